"""MLflow's scorers that ask no model, by their own words."""

from __future__ import annotations

import pytest

from agentops_ref.errors import ConfigError
from agentops_ref.evals import load_scorers
from agentops_ref.evals.scorers import Scorer
from agentops_ref.records import Answer, Case
from agentops_ref.settings_evals import ScorerConfig

PATH = "agentops_ref.evals.mlflow_scorers:builtin"


def made(scorer: str, **arguments: object) -> Scorer:
    options = {"scorer": scorer, "arguments": arguments}
    return load_scorers([ScorerConfig(path=PATH, options=options)])[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")
def test_code_only_scorers() -> None:
    case = Case("c", "q")
    length = made("ResponseLength", max_length=2, unit="words")
    assert length(case, Answer("42 Nm", False)).value == 1
    assert length(case, Answer("about 42 Nm", False)).value == 0
    assert length(case, Answer("no answer at all", True)).value is None
    number = made("RegexMatch", pattern=r"\d+ Nm")
    assert number(case, Answer("42 Nm", False)).value == 1
    assert number.__name__ == "regex_match"
    private = made("PIIDetection")
    assert private(case, Answer("write to ann@example.com", False)).value == 0
    with pytest.raises(ConfigError, match="invalid regex"):
        made("RegexMatch", pattern="(")


def test_judges_are_not_among_them() -> None:
    with pytest.raises(ConfigError, match="RegexMatch"):
        made("Safety")
