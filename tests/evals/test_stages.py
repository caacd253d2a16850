"""The first step that failed, decided from the case, the excerpts, the citations and the answer."""

from __future__ import annotations

import pytest

from agentops_ref.evals.result import CaseResult
from agentops_ref.evals.stages import (
    MEANING,
    STAGES,
    Stage,
    count_stages,
    describe_stages,
    first_failure,
    plot_stages,
)
from agentops_ref.records import Answer, Case, Chunk, Citation, Hit, Score

CASE = Case("c", "?", facts=("20 A",), sources=("right.pdf",), slice="value")
NOWHERE = Case("n", "?", abstain=True, slice="unanswerable")


def hit(document: str, text: str) -> Hit:
    return Hit(Chunk("id", document, "v", 0, text, "context"), 1.0)


FOUND = hit("right.pdf", "Fuse | 20 | A")
OTHER = hit("other.pdf", "Fuse | 20 | A")
VAGUE = hit("right.pdf", "See the table of fuses.")


def cites(document: str) -> tuple[Citation, ...]:
    return (Citation(document, "v", 1, "Fuse | 20 | A"),)


def ended(case: Case, answer: Answer, value: float | None, error: str = "") -> Stage:
    return first_failure(CaseResult(case, answer, (Score("correct", value),), error=error))


@pytest.mark.parametrize(
    ("hits", "abstained", "cited", "value", "stage"),
    [
        ((OTHER, VAGUE), False, "right.pdf", 0.0, "not found"),
        ((), True, "", 0.0, "not found"),
        ((OTHER, FOUND), True, "", 0.0, "silent"),
        ((OTHER, FOUND), False, "other.pdf", 0.0, "read elsewhere"),
        ((OTHER, FOUND), False, "", 0.0, "read elsewhere"),
        ((FOUND,), False, "right.pdf", 0.0, "misread"),
        ((FOUND,), False, "right.pdf", None, "misread"),
        ((OTHER,), False, "", 1.0, "right"),
    ],
)
def test_the_first_step_that_failed(
    hits: tuple[Hit, ...], abstained: bool, cited: str, value: float | None, stage: Stage
) -> None:
    answer = Answer("x", abstained, cites(cited) if cited else (), hits)
    assert ended(CASE, answer, value) == stage


def test_a_question_without_an_answer_and_an_error() -> None:
    assert ended(NOWHERE, Answer("20 A", False, cites("right.pdf"), (FOUND,)), 0.0) == "not silent"
    assert ended(NOWHERE, Answer("no", True), 1.0) == "right"
    assert ended(CASE, Answer("", False), 0.0, error="broken") == "error"


def test_the_waterfall_and_its_words_hold_every_case() -> None:
    results = [
        CaseResult(CASE, Answer("x", True), (Score("correct", 0.0),)),
        CaseResult(CASE, Answer("x", True), (Score("correct", 0.0),)),
        CaseResult(NOWHERE, Answer("x", True), (Score("correct", 1.0),)),
    ]
    counts = count_stages(results)
    assert tuple(counts) == STAGES == tuple(MEANING)
    assert sum(counts.values()) == len(results)
    assert counts["not found"] == 2
    words = describe_stages(counts)
    assert words.startswith("all cases: 3\nnot found: 2 (")
    (axes,) = plot_stages(counts).axes
    assert [text.get_text().strip() for text in axes.texts] == ["3", "-2", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "all cases",
        "not found",
        "right",
    ]
