"""The schema of the section ``guards:``; what each key means stands in ``config/base.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

GuardChannel = Literal["user", "document", "tool", "answer"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CheckConfig(_Section):
    guard: str
    channels: list[GuardChannel]
    on_hit: Literal["redact", "block", "ask"]
    options: dict[str, Any] = {}


class RefusalsConfig(_Section):
    user: str
    answer: str
    ask: str
    withheld: str


class GuardsConfig(_Section):
    checks: dict[str, CheckConfig]
    refusals: RefusalsConfig
    redteam: Path
