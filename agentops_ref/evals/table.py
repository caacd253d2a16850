"""Scores in columns: all that aggregates, comparisons and gates read, some tens of bytes a score.

Taught in chapter 8. Rows are added one at a time, so that a file of any length is read in little
memory. A case that was asked several times is one row: its tries are no independent cases.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agentops_ref.errors import DeveloperError, nearest
from agentops_ref.evals.limits import Measure, measured
from agentops_ref.evals.statistics import Interval, proportion_interval
from agentops_ref.records import Answer, Case, Score, Usage

ALL = "all"
"""The name of the whole set where a slice is expected."""
MEASURES: tuple[Measure, ...] = ("seconds", "tokens", "cost")


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

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        ends = {"low": round(self.interval.low, 6), "high": round(self.interval.high, 6)}
        row = {"scorer": self.scorer, "slice": self.slice, "n": self.n}
        return {**row, "mean": round(self.mean, 6), **ends, "errors": self.errors}


class _Column:
    """One scorer's sums over the tries of each case."""

    def __init__(self) -> None:
        self.total, self.scored = array("d"), array("I")
        self.failed, self.passed = array("I"), array("I")

    def grow(self, rows: int) -> None:
        more = rows - len(self.total)
        self.total.extend([0.0] * more)
        for counts in (self.scored, self.failed, self.passed):
            counts.extend([0] * more)


class ScoreTable:
    """The scores of one evaluation, one row a case."""

    def __init__(
        self, name: str, scorers: Mapping[str, str], *, judged: Sequence[str] = ()
    ) -> None:
        self.name, self.scorers = name, dict(scorers)
        """Scorer → digest; "" where it is not known."""
        self.judged = frozenset(judged)
        """Scorers whose verdicts a model decides."""
        self.ids: dict[str, int] = {}
        """Case → row."""
        self.usage, self.attempts = Usage(), array("I")
        self._slices: list[str] = []
        self._columns = {scorer: _Column() for scorer in self.scorers}
        self._measures = {measure: array("d") for measure in MEASURES}
        self._rows = array("I")
        self._first, self._differs = array("q"), bytearray()

    def add(self, case: Case, answer: Answer, scores: Sequence[Score]) -> None:
        """Add one answer's scores; a case of the same id is another try of it."""
        said = hash((answer.text, answer.abstained))
        row = self.ids.setdefault(case.id, len(self.ids))
        if row == len(self._slices):
            self._slices.append(case.slice)
            self.attempts.append(0)
            self._first.append(said)
            self._differs.append(0)
        elif self._slices[row] != case.slice:
            raise DeveloperError(f"case '{case.id}' is in two slices; its id is used twice")
        self.attempts[row] += 1
        self.usage = self.usage + answer.usage
        for measure, values in self._measures.items():
            values.append(measured(answer, measure))
        self._rows.append(row)
        self._differs[row] |= said != self._first[row]
        for score in scores:
            column = self._columns.get(score.scorer)
            if column is None:
                hint = nearest(score.scorer, tuple(self.scorers))
                raise DeveloperError(f"no column for scorer '{score.scorer}'{hint}")
            column.grow(row + 1)
            if score.value is not None:
                column.total[row] += score.value
                column.scored[row] += 1
                column.passed[row] += score.value >= 1
            elif score.error:
                column.failed[row] += 1

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def slices(self) -> tuple[str, ...]:
        """Slices in the order of the cases; a case without one counts in the whole only."""
        return tuple(name for name in dict.fromkeys(self._slices) if name)

    def rows(self, slice: str = ALL) -> Iterator[tuple[str, int]]:
        """Yield (case, row) of a slice."""
        return ((case, row) for case, row in self.ids.items() if slice in (ALL, self._slices[row]))

    def measures(self, measure: Measure, slice: str = ALL) -> Sequence[float]:
        """Return what each answer took, each try of a case for itself."""
        values = self._measures[measure]
        if slice == ALL:
            return values
        kept = zip(self._rows, values, strict=True)
        return [value for row, value in kept if self._slices[row] == slice]

    def values(self, scorer: str, slice: str = ALL) -> dict[str, float]:
        """Case → mean of its tries' scores; without those to which the scorer does not apply."""
        column = self._column(scorer)
        return {
            case: column.total[row] / column.scored[row]
            for case, row in self.rows(slice)
            if column.scored[row]
        }

    def bounds(self, scorer: str, slice: str = ALL) -> dict[str, Interval]:
        """Case → between what its score must be: apart only where one of its tries' failed."""
        column = self._column(scorer)
        found = {}
        for case, row in self.rows(slice):
            valid, failed, total = column.scored[row], column.failed[row], column.total[row]
            if tried := valid + failed:
                found[case] = Interval(total / tried, (total + failed) / tried)
        return found

    def failed(self, scorer: str, slice: str = ALL) -> int:
        """Return how many scores failed."""
        column = self._column(scorer)
        return sum(column.failed[row] for _, row in self.rows(slice))

    def passes(self, scorer: str, slice: str = ALL) -> dict[str, tuple[int, int]]:
        """Case → (tries that passed, tries that were scored)."""
        column = self._column(scorer)
        return {
            case: (column.passed[row], column.scored[row])
            for case, row in self.rows(slice)
            if column.scored[row]
        }

    def aggregate(self, scorer: str, slice: str = ALL, *, level: float = 0.95) -> Aggregate:
        """Mean of one scorer over one slice with its interval."""
        bounds = self.bounds(scorer, slice).values()
        n, errors = len(bounds), self.failed(scorer, slice)
        values = self.values(scorer, slice).values()
        # Sums of thirds and the like may come out above n by a rounding error.
        low, high = min(n, sum(b.low for b in bounds)), min(n, sum(b.high for b in bounds))
        ends = Interval(
            proportion_interval(low, n, level).low, proportion_interval(high, n, level).high
        )
        mean = sum(values) / len(values) if values else 0.0
        return Aggregate(scorer, slice, n, mean, ends, errors)

    def aggregates(self, *, level: float = 0.95) -> list[Aggregate]:
        """Every scorer over the whole set and over each slice to which it applies."""
        rows = [
            self.aggregate(scorer, slice, level=level)
            for slice in (ALL, *self.slices)
            for scorer in self.scorers
        ]
        return [row for row in rows if row.n]

    def unstable(self, scorer: str | None = None) -> tuple[int, int]:
        """Return (cases whose tries differ, cases that were asked more than once).

        They differ in their text, or with a scorer in whether they pass.
        """
        again = [(case, row) for case, row in self.ids.items() if self.attempts[row] > 1]
        if scorer is None:
            return sum(self._differs[row] for _, row in again), len(again)
        column = self._column(scorer)
        again = [(case, row) for case, row in again if column.scored[row] > 1]
        mixed = sum(0 < column.passed[row] < column.scored[row] for _, row in again)
        return mixed, len(again)

    def _column(self, scorer: str) -> _Column:
        column = self._columns.get(scorer)
        if column is None:
            hint = nearest(scorer, tuple(self.scorers))
            raise DeveloperError(f"the evaluation has no scorer '{scorer}'{hint}")
        column.grow(len(self.ids))
        return column
