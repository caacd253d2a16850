"""What an evaluation gives back: every case with its answer and scores, and aggregates of them.

Taught in chapter 8. Every mean comes with an interval and the number of cases behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.errors import DeveloperError, nearest
from agentops_ref.evals.statistics import Difference, mcnemar, paired_bootstrap
from agentops_ref.evals.table import ALL, Aggregate, ScoreTable
from agentops_ref.records import Answer, Case, Score, Usage

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, answered and scored."""

    case: Case
    answer: Answer
    """Empty text when the agent failed."""
    scores: tuple[Score, ...]
    trace_id: str = ""
    error: str = ""
    """Why the agent gave no answer; empty otherwise."""
    attempt: int = 1
    """Which try of its case this is, from 1."""

    def score(self, scorer: str) -> Score | None:
        """The score of one scorer; None when it did not run."""
        return next((score for score in self.scores if score.scorer == scorer), None)

    @property
    def passed(self) -> bool:
        """Whether no scorer found a fault; a score that could not be had is one."""
        return not any(map(fault, self.scores))


def fault(score: Score) -> bool:
    """Whether a score marks a case: below 1, or it could not be had."""
    return bool(score.error) or (score.value is not None and score.value < 1)


class Comparison(NamedTuple):
    """Two evaluations of the same cases, the second minus the first."""

    scorer: str
    n: int
    difference: Difference
    p: float
    """Exact McNemar test on pass (score 1) and fail; 1 when they never differ."""
    gained: tuple[str, ...]
    """Ids of cases that only the second passes."""
    lost: tuple[str, ...]
    """Ids of cases that only the first passes."""


@dataclass(frozen=True)
class EvalResult:
    """One evaluation run."""

    name: str
    results: tuple[CaseResult, ...]
    scorers: Mapping[str, str]
    """Scorer → digest of its source."""
    cases_digest: str
    params: Mapping[str, str] = field(default_factory=dict)
    run_id: str = ""
    """MLflow run; empty when nothing was tracked."""
    seconds: float = 0.0

    judged: tuple[str, ...] = ()
    """Scorers whose verdicts a model decides."""

    @cached_property
    def table(self) -> ScoreTable:
        """The scores in columns; the tries of one case are one row of it."""
        made = ScoreTable(self.name, self.scorers, judged=self.judged)
        for result in self.results:
            made.add(result.case, result.answer, result.scores)
        return made

    @property
    def slices(self) -> tuple[str, ...]:
        """Slices in the order of the cases; a case without one counts in the whole only."""
        return self.table.slices

    @property
    def usage(self) -> Usage:
        """Tokens and cost of all answers."""
        return self.table.usage

    def aggregate(self, scorer: str, slice: str = ALL, *, level: float = 0.95) -> Aggregate:
        """Mean of one scorer over one slice with its interval."""
        return self.table.aggregate(scorer, slice, level=level)

    def aggregates(self, *, level: float = 0.95) -> list[Aggregate]:
        """Every scorer over the whole set and over each slice to which it applies."""
        return self.table.aggregates(level=level)

    def failures(self, scorer: str = "correct") -> list[CaseResult]:
        """The cases that the scorer marks below 1 or could not score."""
        if scorer not in self.scorers:
            hint = nearest(scorer, tuple(self.scorers))
            raise DeveloperError(f"the evaluation has no scorer '{scorer}'{hint}")
        found = []
        for result in self.results:
            score = result.score(scorer)
            if score and fault(score):
                found.append(result)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; answers without the excerpts that the model was shown."""
        return {
            "name": self.name,
            "run_id": self.run_id,
            "cases_digest": self.cases_digest,
            "scorers": dict(self.scorers),
            "params": dict(self.params),
            "seconds": round(self.seconds, 3),
            "tokens": self.usage.tokens,
            "cost": self.usage.cost,
            "aggregates": [row.to_dict() for row in self.aggregates()],
            "cases": [_case_dict(result) for result in self.results],
        }


def compare(
    a: EvalResult, b: EvalResult, rng: np.random.Generator, *, scorer: str = "correct"
) -> Comparison:
    """Compare two evaluations on the cases that both scored."""
    first, second = a.table.values(scorer), b.table.values(scorer)
    shared = [case for case in first if case in second]
    gained = tuple(case for case in shared if second[case] >= 1 > first[case])
    lost = tuple(case for case in shared if first[case] >= 1 > second[case])
    difference = paired_bootstrap([first[c] for c in shared], [second[c] for c in shared], rng)
    return Comparison(
        scorer, len(shared), difference, mcnemar(len(lost), len(gained)), gained, lost
    )


def _case_dict(result: CaseResult) -> dict[str, Any]:
    case, answer = result.case, result.answer
    return {
        "id": case.id,
        "slice": case.slice,
        "question": case.question,
        "expected": "abstain" if case.abstain else list(case.facts),
        "answer": answer.text,
        "abstained": answer.abstained,
        "cited": [
            {"document": c.document, "page": c.page, "quote": c.quote} for c in answer.citations
        ],
        "scores": {
            s.scorer: {"value": s.value, "rationale": s.rationale, "error": s.error}
            for s in result.scores
        },
        "seconds": round(answer.seconds, 3),
        "tokens": answer.usage.tokens,
        "trace_id": result.trace_id,
        "error": result.error,
    }
