"""The checks of chapter 5's second page tell right from wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agentops_ref import build, load_config
from agentops_ref.apps.checks.ch05b import TRIED, bound, metric
from agentops_ref.evals.scorers import correct
from agentops_ref.records import Answer, Case
from agentops_ref.wiring import App


@pytest.fixture
def app(tmp_path: Path) -> App:
    return build(load_config(overrides={"paths.state": str(tmp_path)}))


def test_the_right_bound_is_right(app: App) -> None:
    assert bound(lambda calls: 2 * calls, app).right


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (lambda calls: calls, "raises before the answer of 1 model call;"),
        (lambda calls: 2 * calls - 1, "raises before"),
        (lambda calls: 2 * calls + 1, "is more than 1 model call need"),
        (lambda calls: 2 if calls == 1 else 3 * calls, "the same graph answers with 4"),
        (lambda calls: 1 // 0, "limit(1) failed (ZeroDivisionError"),
    ],
)
def test_a_wrong_bound_is_told_why(limit: Callable[[int], int], why: str, app: App) -> None:
    checked = bound(limit, app)
    assert not checked.right
    assert why in checked.why


def keep(case: Case, answer: Answer) -> bool:
    looked = bool(answer.steps) and all(step.status == "ok" for step in answer.steps)
    return looked and correct(case, answer).value == 1


def test_the_right_metric_is_right() -> None:
    assert metric(keep).right


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda case, answer: True, "A wrong value"),
        (lambda case, answer: False, "The right value after a search should be kept"),
        (lambda case, answer: correct(case, answer).value == 1, "by luck"),
        (lambda case, answer: bool(answer.steps) and correct(case, answer).value == 1, "repeated"),
        (lambda case, answer: answer.nothing, "failed on the right value after a search"),
    ],
)
def test_a_wrong_metric_is_told_why(wrong: Callable[[Case, Answer], bool], why: str) -> None:
    checked = metric(wrong)
    assert not checked.right
    assert why in checked.why


def test_both_verdicts_occur_for_answers_and_for_silence() -> None:
    kinds = {(one.answer.abstained, one.keep) for one in TRIED}
    assert kinds == {(silent, kept) for silent in (True, False) for kept in (True, False)}
