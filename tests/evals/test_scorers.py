"""The scorers on hand-made answers."""

from __future__ import annotations

import pytest

from agentops_ref.errors import ConfigError
from agentops_ref.evals import loading
from agentops_ref.evals.loading import load_scorers, scorer_digest
from agentops_ref.evals.scorers import (
    abstention_right,
    apply,
    citation_right,
    correct,
    facts_present,
    nothing_forbidden,
    numbers_grounded,
)
from agentops_ref.records import Answer, Case, Chunk, Citation, Hit, Score

FLARE = Case(
    "c",
    "Torque of the gas line flare nut?",
    facts=("63 Nm",),
    forbidden=("65 Nm", "70 Nm"),
    sources=("bulletins/new.docx",),
    slice="superseded",
)
FLOW = Case("f", "E17?", facts=("flow", "20 l/min"), sources=("m.pdf",), slice="fault-code")
UNKNOWN = Case("u", "E99?", abstain=True, forbidden=("9 Nm",), slice="unanswerable")


def said(text: str, *citations: Citation, hits: tuple[Hit, ...] = ()) -> Answer:
    return Answer(text, abstained=False, citations=citations, hits=hits)


SILENT = Answer("I could not find this.", abstained=True)


@pytest.mark.parametrize(
    ("case", "answer", "value"),
    [
        (FLARE, said("63 Nm"), 1),
        (FLARE, said("Use 63 Nm, no longer 65 Nm."), 1),
        (FLARE, said("63 Nm, or 65 Nm by the manual"), 0),
        (FLARE, said("65 Nm"), 0),
        (FLARE, said("163 Nm"), 0),
        (FLARE, SILENT, 0),
        (FLOW, said("Water flow is below 20 l/min"), 1),
        (FLOW, said("Water flow is too low"), 0),
        (UNKNOWN, SILENT, 1),
        (UNKNOWN, said("It is the fan."), 0),
    ],
)
def test_correct(case: Case, answer: Answer, value: float) -> None:
    score = correct(case, answer)
    assert score.value == value
    assert score.rationale


def test_facts_present_is_a_share() -> None:
    assert facts_present(FLOW, said("flow too low")).value == 0.5
    assert facts_present(FLOW, said("nonsense")).value == 0
    assert facts_present(FLOW, SILENT).value == 0
    assert facts_present(UNKNOWN, SILENT).value is None


def test_nothing_forbidden() -> None:
    assert nothing_forbidden(FLARE, said("70 Nm")).value == 0
    assert "70 Nm" in nothing_forbidden(FLARE, said("70 Nm")).rationale
    assert nothing_forbidden(FLARE, SILENT).value == 1
    assert nothing_forbidden(FLOW, said("70 Nm")).value is None


def test_abstention_right() -> None:
    assert abstention_right(UNKNOWN, SILENT).value == 1
    assert abstention_right(UNKNOWN, said("x")).value == 0
    assert abstention_right(FLARE, SILENT).value == 0


def test_citation_right_has_three_levels() -> None:
    right = Citation("bulletins/new.docx", "v", None, "tighten the nut to 63 Nm.")
    vague = Citation("bulletins/new.docx", "v", None, "Use two spanners.")
    wrong = Citation("manual.pdf", "v", 3, "Flare nut | 63 | Nm")
    assert citation_right(FLARE, said("63 Nm", wrong, right)).value == 1
    assert citation_right(FLARE, said("63 Nm", vague)).value == 0.5
    assert citation_right(FLARE, said("63 Nm", wrong)).value == 0
    assert "expected bulletins/new.docx" in citation_right(FLARE, said("x", wrong)).rationale
    assert citation_right(FLARE, said("63 Nm")).value == 0
    assert citation_right(UNKNOWN, said("x")).value is None


def test_numbers_grounded_needs_no_expectation() -> None:
    hit = Hit(Chunk("c1", "d", "v", 0, "Flare nut | 63 | Nm", ""), 1.0)
    bare = Case("online", "How tight?")
    assert numbers_grounded(bare, said("63 Nm", hits=(hit,))).value == 1
    assert numbers_grounded(bare, said("75 Nm", hits=(hit,))).value == 0
    assert numbers_grounded(bare, SILENT).value is None


def test_a_scorer_that_raises_leaves_an_error() -> None:
    def broken(case: Case, answer: Answer) -> Score:
        raise KeyError("judge")

    score = apply(broken, FLARE, said("x"))
    assert score.value is None
    assert score.error == "KeyError: 'judge'"


def test_load_scorers_says_what_is_wrong() -> None:
    path = "agentops_ref.evals.scorers:correct"
    assert load_scorers([path]) == [correct]
    with pytest.raises(ConfigError, match="did you mean 'correct'"):
        load_scorers(["agentops_ref.evals.scorers:corect"])
    with pytest.raises(ConfigError, match="cannot import"):
        load_scorers(["no.such.module:correct"])
    with pytest.raises(ConfigError, match="two scorers"):
        load_scorers([path, path])


def test_digest_follows_what_the_scorer_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scorer_digest(correct)
    assert before == scorer_digest(correct)
    assert before != scorer_digest(facts_present)
    real = loading.inspect.getsource

    def changed(target: object) -> str:
        return real(target) + ("# other" if "matching" in str(target) else "")

    monkeypatch.setattr(loading.inspect, "getsource", changed)
    assert scorer_digest(correct) != before  # a helper in another module of the package
    assert scorer_digest(abstention_right) == scorer_digest(abstention_right)


def test_a_scorer_may_state_its_own_digest() -> None:
    class Judge:
        __name__ = "judge"
        digest = "abc"

        def __call__(self, case: Case, answer: Answer) -> Score:
            return Score("judge", 1.0)

    assert scorer_digest(Judge()) == "abc"
