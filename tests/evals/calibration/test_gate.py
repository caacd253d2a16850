"""A gate whose rule is for a judge: corrected by labels, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentops_ref import App, build, load_config
from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.evals import ScoreTable, load_scorers
from agentops_ref.evals.calibration import Calibration, Judged, corrected_rate
from agentops_ref.records import Answer, Case, Score
from agentops_ref.settings_evals import ScorerConfig


def app_with(labels: Path, **rule: object) -> App:
    gate = [{"scorer": "first", "calibration": str(labels), **rule}]
    return build(load_config(overrides={"models.mode": "scripted", "evals.gate": gate}))


def labelled(path: Path, *, wrong: int) -> Path:
    """100 test rows, 60 of them good; the judge calls so many of the 40 bad ones good."""
    rows = [
        {"id": f"i{at}", "label": int(at < 60), "judge": int(at < 60 + wrong), "split": "test"}
        for at in range(100)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def judged(good: int, of: int, digest: str = "", prefix: str = "c") -> ScoreTable:
    table = ScoreTable("run", {"first": digest}, judged=["first"])
    for at in range(of):
        case = Case(f"{prefix}{at}", "q")
        table.add(case, Answer("a", abstained=False), [Score("first", float(at < good))])
    return table


def test_the_rate_of_a_judge_is_compared_after_its_correction(tmp_path: Path) -> None:
    labels = labelled(tmp_path / "labels.jsonl", wrong=10)
    table = judged(240, 300)
    counts, verdicts = Calibration(60, 60, 40, 30), Judged(300, 240)
    for same in (False, True):
        (check,) = app_with(labels, at_least=0.7, same_population=same).gate(table).checks
        expected = corrected_rate(counts, verdicts, same_population=same)
        assert check.mean == expected.rate
        assert check.interval == (expected.low, expected.high)
        assert (check.outcome, check.n) == ("undecided", 300)
        assert "says 80%" in check.reason
        assert "100 labels" in check.reason
    assert app_with(labels, at_least=0.5).gate(table).outcome == "pass"
    assert app_with(labels, at_least=0.9).gate(table).outcome == "fail"


def test_a_judge_without_skill_leaves_the_gate_undecided(tmp_path: Path) -> None:
    labels = labelled(tmp_path / "labels.jsonl", wrong=40)
    found = app_with(labels, at_least=0.1).gate(judged(300, 300))
    assert found.exit_code == 3
    assert "not above 1" in found.checks[0].reason


def test_another_judge_on_the_same_test_rows_is_refused(tmp_path: Path) -> None:
    labels = labelled(tmp_path / "labels.jsonl", wrong=10)
    app_with(labels, at_least=0.5).gate(judged(240, 300))
    app_with(labels, at_least=0.9).calibrate(labels)  # the same judge, whatever is named
    labelled(labels, wrong=5)
    with pytest.raises(OperatorError, match="--again"):
        app_with(labels, at_least=0.5).gate(judged(240, 300))


def test_verdicts_of_another_prompt_or_of_labelled_items_are_refused(tmp_path: Path) -> None:
    labels = labelled(tmp_path / "labels.jsonl", wrong=10)
    app = app_with(labels, at_least=0.5)
    with pytest.raises(ConfigError, match="these verdicts are of 'first' 0123"):
        app.gate(judged(240, 300, digest="0123"))
    app.gate(judged(240, 300, digest=app.judge("first").digest))
    with pytest.raises(ConfigError, match="not labelled"):
        app.gate(judged(40, 50, prefix="i"))
    (check,) = app.gate(judged(140, 150, prefix="i")).checks
    assert check.n == 50, "the labelled ones are left out"


def test_a_judge_is_a_scorer_by_its_name() -> None:
    entry = {"judge": "first"}
    app = build(load_config(overrides={"models.mode": "scripted", "evals.scorers": [entry]}))
    (scorer,) = app.scorers()
    assert scorer.__name__ == "first"
    with pytest.raises(ConfigError, match="nothing to ask the judge"):
        load_scorers([ScorerConfig(judge="first")])
    for wrong in ({"judge": "first", "path": "a:b"}, {"judge": "first", "name": "x"}, {}):
        with pytest.raises(ConfigError, match="either a 'path'"):
            load_config(overrides={"evals.scorers": [wrong]})
