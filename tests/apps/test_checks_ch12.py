"""Chapter 12's checks accept what is right and name what is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentops_ref.apps.checks.ch12 import first_failures, new_chance, show
from agentops_ref.evals.errors import Readings, load_readings
from agentops_ref.evals.errors import unseen as package

FILE = Path(__file__).resolve().parents[2] / "corpus/errors/readings.jsonl"


@pytest.fixture(scope="module")
def held() -> Readings:
    return load_readings(FILE)


def test_a_trace_is_shown_whole(held: Readings, capsys: pytest.CaptureFixture[str]) -> None:
    show(held, "chain/superseded-02")
    said = capsys.readouterr().out
    for head in ("asked:", "retrieve:", "generate:", "cite:", "answered:", "expected:"):
        assert head in said
    assert max(map(len, said.splitlines())) <= 90


def test_first_failures(held: Readings) -> None:
    right = {one.trace: one.first_failure for one in held.failed}
    assert first_failures(right, held, list(right)).right
    assert "no state is given" in first_failures({}, held, list(right)).why


@pytest.mark.parametrize(
    ("trace", "state", "why"),
    [
        ("chain/superseded-02", "generate", "The note: "),
        ("chain/superseded-02", "look up", "is none of its states: retrieve, generate, cite"),
        ("chain/nobody", "generate", "no trace that was read as failed"),
    ],
)
def test_another_first_failure_is_told_why(
    held: Readings, trace: str, state: str, why: str
) -> None:
    checked = first_failures({trace: state}, held, [trace])
    assert not checked.right
    assert why in checked.why


def chance(names: Sequence[str]) -> float:
    counts = Counter(names)
    return sum(n == 1 for n in counts.values()) / len(names) if names else 1.0


def test_the_chance_is_the_package_s() -> None:
    assert new_chance(chance).right
    assert new_chance(lambda names: package(list(Counter(names).values())).chance).right


@pytest.mark.parametrize(
    ("estimate", "why"),
    [
        (lambda names: 0.0, "expected 1, got 0.0"),
        (lambda names: 1 / len(names), "a a a a a a: expected 0"),
        (lambda names: "often", "got 'often'"),
        (
            lambda names: sum(n == 1 for n in Counter(names).values()) / len(names),
            "no trace: failed",
        ),
    ],
)
def test_another_estimate_is_told_why(estimate: object, why: str) -> None:
    checked = new_chance(estimate)  # type: ignore[arg-type]
    assert not checked.right
    assert why in checked.why
