"""Outcomes of several systems side by side."""

from __future__ import annotations

from agentops_ref.evals.outcomes import (
    COLOURS,
    describe_outcomes,
    outcome,
    outcomes,
    plot_outcomes,
)
from agentops_ref.evals.result import CaseResult, EvalResult
from agentops_ref.records import Answer, Case, Score


def result(value: float | None, *, abstained: bool = False, error: str = "") -> CaseResult:
    case = Case("c", "?", facts=("x",), sources=("d",), slice="s")
    scores = (Score("correct", value),)
    return CaseResult(case, Answer("x", abstained=abstained), scores, error=error)


def test_an_outcome_tells_silence_from_error() -> None:
    assert outcome(result(1.0)) == "right"
    assert outcome(result(1.0, abstained=True)) == "right"
    assert outcome(result(0.0)) == "wrong"
    assert outcome(result(0.0, abstained=True)) == "abstained"
    assert outcome(result(0.0, abstained=True, error="broken")) == "wrong"
    assert outcome(result(None)) == "wrong"


def test_the_matrix_its_words_and_its_figure_agree() -> None:
    def system(*results: CaseResult) -> EvalResult:
        return EvalResult("e", results, {"correct": "1"}, "2")

    table = outcomes({"a": system(result(1.0)), "b": system(result(0.0))})
    assert table == {"c": {"a": "right", "b": "wrong"}}
    assert describe_outcomes(table) == "c: a right, b wrong"
    figure = plot_outcomes(table, labels={"c": "A question"})
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["right", "wrong"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A question"]
    assert plot_outcomes({}).axes


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4) for p in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_white_words_can_be_read_on_every_colour() -> None:
    for colour in COLOURS.values():
        assert 1.05 / (_luminance(colour) + 0.05) >= 4.5
