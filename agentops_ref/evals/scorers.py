"""Scorers: one case and one answer in, one score with its reason out.

Taught in chapter 8. A scorer is a plain function, named in YAML by its import path and pinned by
the hash of its source (`agentops_ref.evals.loading`). The same function gates a release and scores
sampled production traffic; a check that a case does not ask for does not apply (``value`` None).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agentops_ref.evals.matching import states, unsupported
from agentops_ref.records import Answer, Case, Score


class Scorer(Protocol):
    """Scores one answer. Raising is allowed: `apply` turns it into a score with an error."""

    __name__: str

    def __call__(self, case: Case, answer: Answer) -> Score: ...


NOTHING = "nothing is expected of this question"


def expects(case: Case) -> bool:
    """Whether a case says what a right answer is; a question of production does not."""
    return case.abstain or bool(case.facts or case.forbidden or case.sources)


def correct(case: Case, answer: Answer) -> Score:
    """Abstains when it must; otherwise states every fact and nothing forbidden. 0 or 1."""
    name = "correct"
    if not expects(case):
        return Score(name, None, NOTHING)
    if case.abstain or answer.abstained:
        right = case.abstain == answer.abstained
        return Score(name, float(right), abstention_right(case, answer).rationale)
    missing, wrong = _missing(case, answer.text), _stated(case.forbidden, answer.text)
    reasons = [f"missing: {fact}" for fact in missing] + [f"forbidden: {text}" for text in wrong]
    return Score(name, float(not reasons), "; ".join(reasons) or "all facts, nothing forbidden")


def facts_present(case: Case, answer: Answer) -> Score:
    """Share of the expected facts that the answer states."""
    name = "facts_present"
    if case.abstain or not case.facts:
        return Score(name, None, "no facts expected")
    if answer.abstained:
        return Score(name, 0.0, "abstained")
    missing = _missing(case, answer.text)
    reason = f"missing: {'; '.join(missing)}" if missing else "all facts stated"
    return Score(name, 1 - len(missing) / len(case.facts), reason)


def nothing_forbidden(case: Case, answer: Answer) -> Score:
    """1 unless the answer states a value that would do harm: withdrawn, or another model's."""
    name = "nothing_forbidden"
    if not case.forbidden:
        return Score(name, None, "nothing is forbidden")
    wrong = [] if answer.abstained else _stated(case.forbidden, answer.text)
    return Score(name, float(not wrong), f"states {'; '.join(wrong)}" if wrong else "none stated")


def abstention_right(case: Case, answer: Answer) -> Score:
    """1 when the agent abstained exactly where the documents hold no answer."""
    if not expects(case):
        return Score("abstention_right", None, NOTHING)
    did = "abstained" if answer.abstained else "answered"
    must = "the documents hold no answer" if case.abstain else "the documents hold the answer"
    return Score("abstention_right", float(case.abstain == answer.abstained), f"{did}; {must}")


def citation_right(case: Case, answer: Answer) -> Score:
    """1 when a quote from a right document holds a fact, ½ when only the document is right."""
    name = "citation_right"
    if case.abstain or not case.sources:
        return Score(name, None, "no source expected")
    if not answer.citations:
        return Score(name, 0.0, "abstained" if answer.abstained else "nothing cited")
    cited = [citation for citation in answer.citations if citation.document in case.sources]
    if not cited:
        documents = ", ".join(dict.fromkeys(c.document for c in answer.citations))
        return Score(name, 0.0, f"cites {documents}; expected {' or '.join(case.sources)}")
    for citation in cited:
        for fact in case.facts:
            # A table row has its unit in the header, which the quoted line lacks.
            if states(citation.quote, fact, bare="always"):
                return Score(name, 1.0, f"{citation.document} holds: {fact}")
    return Score(name, 0.5, f"{cited[0].document} is right, the quote holds no fact")


def numbers_grounded(case: Case, answer: Answer) -> Score:
    """1 when every quantity of the answer stands in an excerpt that the model was shown.

    Needs no expectation, so it also scores production traffic; an invented value is found, a real
    value of the wrong model is not.
    """
    name = "numbers_grounded"
    if answer.abstained:
        return Score(name, None, "abstained")
    evidence = "\n".join([case.question, *(hit.chunk.text for hit in answer.hits)])
    invented = unsupported(answer.text, evidence)
    reason = f"not in the excerpts: {', '.join(invented)}" if invented else "all in the excerpts"
    return Score(name, float(not invented), reason)


def apply(scorer: Scorer, case: Case, answer: Answer) -> Score:
    """Score; a scorer that raises gives a score with its error."""
    try:
        return scorer(case, answer)
    except Exception as error:
        return Score(scorer.__name__, None, error=f"{type(error).__name__}: {error}")


def _missing(case: Case, text: str) -> list[str]:
    return [fact for fact in case.facts if not states(text, fact)]


def _stated(facts: Sequence[str], text: str) -> list[str]:
    return [fact for fact in facts if states(text, fact)]
