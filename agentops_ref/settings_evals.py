"""The schema of ``evals``: cases, scorers, and the rules of the gate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agentops_ref.settings_models import ChatConfig


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScorerConfig(_Section):
    """A scorer that a factory makes of options, or one of the judges."""

    path: str = ""
    judge: str = ""
    options: dict[str, Any] = {}
    name: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> ScorerConfig:
        if bool(self.path) == bool(self.judge) or (self.judge and (self.options or self.name)):
            raise ValueError("a scorer has either a 'path' with its 'options', or a 'judge'")
        return self


class GateRule(_Section):
    """One rule of a gate: a threshold, a margin, a budget, or a fewest number of cases."""

    scorer: str = ""
    slice: str = "all"
    at_least: float | None = Field(default=None, ge=0, le=1)
    no_worse_than: float | None = Field(default=None, gt=0, lt=1)
    measure: Literal["seconds", "tokens", "cost"] | None = None
    at_most: float | None = Field(default=None, ge=0)
    quantile: float = Field(default=0.95, gt=0, lt=1)
    cases: int | None = Field(default=None, ge=1)
    calibration: Path | None = None
    same_population: bool = False
    undecided: Literal["fail", "pass", "warn"] = "fail"

    @model_validator(mode="after")
    def _one_kind(self) -> GateRule:
        limits = [self.at_least, self.no_worse_than]
        if self.scorer:
            if self.measure or self.at_most is not None or limits.count(None) != 1:
                raise ValueError(
                    "a rule for a scorer needs either 'at_least' or 'no_worse_than', and no budget"
                )
            if self.same_population and self.calibration is None:
                raise ValueError("'same_population' is said of a 'calibration'")
            return self
        if self.calibration or self.same_population or limits.count(None) != 2:
            raise ValueError("'at_least', 'no_worse_than' and 'calibration' need a 'scorer'")
        if (self.measure is None) != (self.at_most is None):
            raise ValueError("a budget needs both 'measure' and 'at_most'")
        if self.measure is None and self.cases is None:
            raise ValueError("a rule needs a 'scorer', a 'measure' or 'cases'")
        return self

    @property
    def name(self) -> str:
        """The rule on one line: the same in every report of the same rule."""
        where = "" if self.slice == "all" else f"{self.slice}/"
        if self.at_least is not None:
            return f"{where}{self.scorer}"
        if self.no_worse_than is not None:
            return f"{where}{self.scorer} vs. baseline"
        if self.measure:
            return f"{where}{self.measure} p{100 * self.quantile:g}"
        return f"{where}cases"


class DatasetsConfig(_Section):
    files: list[Path] = Field(min_length=1)
    near_duplicate: float = Field(gt=0, le=1)
    superseding: list[str]

    @field_validator("files")
    @classmethod
    def _names_differ(cls, files: list[Path]) -> list[Path]:
        names = [file.stem for file in files]
        for name in names:
            if names.count(name) > 1 or not re.fullmatch(r"[\w-]+", name):
                raise ValueError(
                    f"a dataset is called as its file without the ending: '{name}' must be "
                    "letters, digits, _ and -, and no other file's name"
                )
        return files


class DialoguesConfig(_Section):
    file: Path
    user: str
    turns: int = Field(ge=1)


class JudgeConfig(_Section):
    criterion: str = Field(min_length=1)
    prompt: str
    model: ChatConfig | None
    reason: Literal["none", "before"]
    context_chars: int = Field(gt=0)


class ErrorsConfig(_Section):
    readings: Path
    seed: int
    new_category: float = Field(gt=0, lt=1)
    orders: int = Field(ge=100)
    prompt: str
    batch: int = Field(ge=2)
    tokens: int = Field(ge=50)


class OptimiseConfig(_Section):
    model: str
    tokens: int = Field(ge=50)
    cases: int = Field(ge=2)
    seed: int
    answers: int = Field(ge=1)
    candidates: int = Field(ge=1)
    examples: int = Field(ge=1)


class EvalsConfig(_Section):
    cases: Path
    datasets: DatasetsConfig
    scorers: list[str | ScorerConfig] = Field(min_length=1)
    dialogues: DialoguesConfig
    judges: dict[str, JudgeConfig]
    gate: list[GateRule] = Field(min_length=1)
    level: float = Field(gt=0, lt=1)
    errors: ErrorsConfig
    optimise: OptimiseConfig
