"""What is counted of a judge, and what an estimate from it looks like. Taught in chapter 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.errors import DeveloperError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Human label against judge's verdict, on labelled items; 1 is good, 0 is bad."""

    positives: int
    """Items that people call good."""
    true_positives: int
    """Of these, how many the judge calls good: 0..positives."""
    negatives: int
    """Items that people call bad."""
    true_negatives: int
    """Of these, how many the judge calls bad: 0..negatives."""

    def __post_init__(self) -> None:
        within = (
            0 <= self.true_positives <= self.positives
            and 0 <= self.true_negatives <= self.negatives
        )
        if not within or self.n == 0:
            raise DeveloperError(
                "expected at least one label, 0 <= true_positives <= positives and "
                f"0 <= true_negatives <= negatives, got {self}"
            )

    @property
    def n(self) -> int:
        """Labelled items."""
        return self.positives + self.negatives

    @property
    def false_positives(self) -> int:
        """Bad items that the judge calls good."""
        return self.negatives - self.true_negatives

    @property
    def false_negatives(self) -> int:
        """Good items that the judge calls bad."""
        return self.positives - self.true_positives


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on items that nobody labelled."""

    n: int
    """Items, at least one."""
    positive: int
    """How many the judge calls good: 0..n."""

    def __post_init__(self) -> None:
        if not 0 <= self.positive <= self.n or self.n == 0:
            raise DeveloperError(f"expected n >= 1 and 0 <= positive <= n, got {self}")

    @property
    def share(self) -> float:
        """Share of good verdicts, 0..1: not yet the rate."""
        return self.positive / self.n


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its interval, or the reason why there is none."""

    method: str
    rate: float | None
    """0..1; None where the data do not give one."""
    low: float
    high: float
    """Ends of the interval, within 0..1; without a rate, 0 and 1: nothing is known."""
    reason: str = ""
    """Why there is no rate."""

    @property
    def width(self) -> float:
        """Length of the interval, 0..1."""
        return self.high - self.low


class Counts(NamedTuple):
    """Many calibrations with their judged sets at once, one an element: arrays of one shape."""

    positives: Array
    true_positives: Array
    negatives: Array
    true_negatives: Array
    judged: Array
    judged_positive: Array

    @classmethod
    def of(cls, calibration: Calibration, judged: Judged) -> Counts:
        """Return arrays of one element."""
        import numpy as np

        values = (
            calibration.positives,
            calibration.true_positives,
            calibration.negatives,
            calibration.true_negatives,
            judged.n,
            judged.positive,
        )
        return cls(*(np.array([value], dtype=float) for value in values))

    @property
    def labels(self) -> Array:
        """Labelled items."""
        return self.positives + self.negatives

    @property
    def tpr(self) -> Array:
        """Share of the good items that the judge calls good; nan without one."""
        return share(self.true_positives, self.positives)

    @property
    def fpr(self) -> Array:
        """Share of the bad items that the judge calls good, 1 - TNR; nan without one."""
        return share(self.negatives - self.true_negatives, self.negatives)

    @property
    def labelled_good(self) -> Array:
        """Labelled items that the judge calls good."""
        return self.true_positives + self.negatives - self.true_negatives


class Estimates(NamedTuple):
    """What a method says of each element of `Counts`; ``rate`` is nan where it says nothing."""

    rate: Array
    low: Array
    high: Array


def share(part: Any, whole: Any) -> Array:
    """Return ``part / whole``, nan where ``whole`` is 0."""
    import numpy as np

    found: Array = np.divide(
        part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0
    )
    return found
