"""Chapter 2's checks tell right from wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentops_ref.apps.checks.ch02 import DECISIONS, PLANS, decision, review, size
from agentops_ref.evals import Comparison, cases_for
from agentops_ref.evals.statistics import Difference


def test_the_right_size_is_right() -> None:
    assert size(lambda domains, half, share: domains * cases_for(half, rate=share)).right
    assert {domains for domains, _, _ in PLANS} > {1}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda domains, half, share: cases_for(half, rate=share), "enough for one domain only"),
        (lambda domains, half, share: domains * cases_for(half), "more than is needed"),
        (lambda domains, half, share: domains * cases_for(half, rate=share) - 1, "reaches"),
        (lambda domains, half, share: domains, "each domain has 1,"),
        (lambda domains, half, share: 1 // 0, "ZeroDivisionError"),
    ],
)
def test_a_wrong_size_is_told_why(wrong: Callable[[int, float, float], int], why: str) -> None:
    checked = size(wrong)
    assert not checked.right
    assert why in checked.why


def step(low: float, high: float, *, gained: tuple[str, ...], lost: tuple[str, ...]) -> Comparison:
    return Comparison("correct", 9, Difference((low + high) / 2, low, high), 0.5, gained, lost)


STEPS = {
    "w1": step(-0.3, 0.1, gained=("a",), lost=("b", "c")),
    "w2": step(0.1, 0.5, gained=("b", "c"), lost=()),
    "w3": step(-0.5, -0.1, gained=(), lost=("b", "c")),
}
RIGHT: dict[str, dict[str, Any]] = {
    "w1": {"broken": {"b", "c"}, "verdict": "cannot tell"},
    "w2": {"broken": set(), "verdict": "better"},
    "w3": {"broken": ["c", "b"], "verdict": "worse"},
}


def test_the_right_review_is_right() -> None:
    assert review(RIGHT, STEPS).right
    assert [decision(one) for one in STEPS.values()] == ["cannot tell", "better", "worse"]
    assert {one["verdict"] for one in RIGHT.values()} == set(DECISIONS)


@pytest.mark.parametrize(
    ("name", "wrong", "why"),
    [
        ("w1", {"broken": {"b"}, "verdict": "cannot tell"}, "w1 broke c"),
        ("w1", {"broken": {"a", "b", "c"}, "verdict": "cannot tell"}, "which mended it"),
        ("w2", {"broken": {"x"}, "verdict": "better"}, "which did not change it"),
        ("w1", {"broken": {"b", "c"}, "verdict": "worse"}, "from -30% to +10%"),
        ("w3", {"broken": {"b", "c"}}, "expected one of better, worse"),
        ("w3", {}, "w3 broke b"),
    ],
)
def test_a_wrong_review_is_told_why(name: str, wrong: dict[str, Any], why: str) -> None:
    checked = review({**RIGHT, name: wrong}, STEPS)
    assert not checked.right
    assert why in checked.why
