"""The schema of the section ``guards:``; what each key means stands in ``config/base.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

GuardChannel = Literal["user", "document", "tool", "answer"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CheckConfig(_Section):
    guard: str
    channels: list[GuardChannel]
    on_hit: Literal["redact", "block", "ask"]
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _somebody_waits(self) -> CheckConfig:
        """Only a question and an answer can be put before a person."""
        inside = sorted({"document", "tool"} & set(self.channels))
        if self.on_hit == "ask" and inside:
            raise ValueError(
                f"on_hit: ask is for the channels user and answer, not {', '.join(inside)}: what "
                "is found within cannot wait; say redact or block, or make it two checks"
            )
        return self


class RefusalsConfig(_Section):
    user: str
    answer: str
    ask: str
    withheld: str


class GuardsConfig(_Section):
    checks: dict[str, CheckConfig]
    refusals: RefusalsConfig
    redteam: Path
