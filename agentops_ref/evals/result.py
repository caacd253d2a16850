"""What an evaluation gives back: every case with its answer and scores, and aggregates of them.

Taught in chapter 8. Every mean comes with an interval and the number of cases behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.errors import DeveloperError, nearest
from agentops_ref.evals.statistics import (
    Difference,
    Interval,
    mcnemar,
    paired_bootstrap,
    proportion_interval,
)
from agentops_ref.records import Answer, Case, Score, Usage

if TYPE_CHECKING:
    import numpy as np

ALL = "all"
"""The name of the whole set where a slice is expected."""


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

    def score(self, scorer: str) -> Score | None:
        """The score of one scorer; None when it did not run."""
        return next((score for score in self.scores if score.scorer == scorer), None)

    @property
    def passed(self) -> bool:
        """Whether no scorer found a fault; a score that could not be had is one."""
        return not any(s.error or (s.value is not None and s.value < 1) for s in self.scores)


class Aggregate(NamedTuple):
    """One scorer over one slice."""

    scorer: str
    slice: str
    n: int
    """Cases to which the scorer applies, failed scores included."""
    mean: float
    """Of the scores that are there, 0..1; 0 without any."""
    interval: Interval
    """A failed score counts as 0 for the lower end and as 1 for the upper end."""
    errors: int
    """Scores that failed."""


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


@dataclass(frozen=True, slots=True)
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

    @property
    def slices(self) -> tuple[str, ...]:
        """Slices in the order of the cases; a case without one counts in the whole only."""
        return tuple(dict.fromkeys(r.case.slice for r in self.results if r.case.slice))

    @property
    def usage(self) -> Usage:
        """Tokens and cost of all answers."""
        return sum((result.answer.usage for result in self.results), Usage())

    def aggregate(self, scorer: str, slice: str = ALL, *, level: float = 0.95) -> Aggregate:
        """Mean of one scorer over one slice with its interval."""
        self._known(scorer)
        chosen = [r.score(scorer) for r in self.results if slice in (ALL, r.case.slice)]
        values = [s.value for s in chosen if s is not None and s.value is not None]
        errors = sum(bool(s and s.value is None and s.error) for s in chosen)
        n, total = len(values) + errors, sum(values)
        low = proportion_interval(total, n, level).low
        high = proportion_interval(total + errors, n, level).high
        mean = total / len(values) if values else 0.0
        return Aggregate(scorer, slice, n, mean, Interval(low, high), errors)

    def aggregates(self, *, level: float = 0.95) -> list[Aggregate]:
        """Every scorer over the whole set and over each slice to which it applies."""
        rows = [
            self.aggregate(scorer, slice, level=level)
            for slice in (ALL, *self.slices)
            for scorer in self.scorers
        ]
        return [row for row in rows if row.n]

    def failures(self, scorer: str = "correct") -> list[CaseResult]:
        """The cases that the scorer marks below 1 or could not score."""
        self._known(scorer)
        found = []
        for result in self.results:
            score = result.score(scorer)
            if score and (score.error or (score.value is not None and score.value < 1)):
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
            "aggregates": [
                {
                    "scorer": row.scorer,
                    "slice": row.slice,
                    "n": row.n,
                    "mean": round(row.mean, 6),
                    "low": round(row.interval.low, 6),
                    "high": round(row.interval.high, 6),
                    "errors": row.errors,
                }
                for row in self.aggregates()
            ],
            "cases": [_case_dict(result) for result in self.results],
        }

    def _known(self, scorer: str) -> None:
        if scorer not in self.scorers:
            hint = nearest(scorer, tuple(self.scorers))
            raise DeveloperError(f"the evaluation has no scorer '{scorer}'{hint}")


def compare(
    a: EvalResult, b: EvalResult, rng: np.random.Generator, *, scorer: str = "correct"
) -> Comparison:
    """Compare two evaluations on the cases that both scored."""
    first, second = _values(a, scorer), _values(b, scorer)
    shared = [case for case in first if case in second]
    gained = tuple(case for case in shared if second[case] >= 1 > first[case])
    lost = tuple(case for case in shared if first[case] >= 1 > second[case])
    difference = paired_bootstrap([first[c] for c in shared], [second[c] for c in shared], rng)
    return Comparison(
        scorer, len(shared), difference, mcnemar(len(lost), len(gained)), gained, lost
    )


def _values(result: EvalResult, scorer: str) -> dict[str, float]:
    result._known(scorer)
    values = {}
    for one in result.results:
        score = one.score(scorer)
        if score and score.value is not None:
            values[one.case.id] = score.value
    return values


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
