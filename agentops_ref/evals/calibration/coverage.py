"""How often an interval holds the true rate, by simulation. Taught in chapter 8.

A method that says "95 %" makes a claim that can be counted: draw labels and verdicts where the true
rate is known, a few thousand times, and see how often its interval holds that rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.calibration.counts import Counts
from agentops_ref.evals.calibration.methods import METHODS
from agentops_ref.intervals import proportion_interval

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Setting:
    """A judge, a true rate, and how much was labelled and judged."""

    n_labels: int
    n_judged: int
    tpr: float
    """Chance that the judge calls a good item good, 0..1."""
    tnr: float
    """Chance that the judge calls a bad item bad, 0..1."""
    rate: float
    """Share of good items, 0..1: what is to be estimated."""
    balanced: bool = False
    """Labels are half good and half bad by choice, else a random sample of the same population."""

    def __post_init__(self) -> None:
        shares = (self.tpr, self.tnr, self.rate)
        if min(self.n_labels, self.n_judged) < 1 or not all(0 <= one <= 1 for one in shares):
            raise DeveloperError(f"expected counts from 1 and shares within 0..1, got {self}")


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a method's intervals did in one setting."""

    setting: Setting
    method: str
    coverage: float
    """Share of the intervals that held the true rate."""
    low: float
    high: float
    """95 % interval of ``coverage``: how sure so many repetitions are of it."""
    n: int
    """Repetitions."""
    width: float
    """Mean length of the intervals; one without an estimate is 0..1 and has length 1."""
    refused: float
    """Share of the repetitions in which the method gave no estimate."""


GRID = tuple(
    Setting(n_labels, n_judged, skill, skill, rate)
    for n_labels, n_judged, skill, rate in product(
        (50, 100, 400, 1000), (100, 400, 1000), (0.7, 0.9, 0.97), (0.5, 0.8, 0.95)
    )
)
"""From few labels to many, a poor judge to a good one, a system that fails often to one that fails
rarely. With 50 labels at a rate of 0.95, two or three of them are bad: the hardest corner."""


def simulate(setting: Setting, n: int, rng: np.random.Generator) -> Counts:
    """Draw what would be counted in a setting, ``n`` times."""
    import numpy as np

    labels = np.full(n, setting.n_labels)
    positives = labels // 2 if setting.balanced else rng.binomial(labels, setting.rate)
    verdicts = setting.rate * setting.tpr + (1 - setting.rate) * (1 - setting.tnr)
    judged = np.full(n, setting.n_judged)
    drawn = (
        positives,
        rng.binomial(positives, setting.tpr),
        labels - positives,
        rng.binomial(labels - positives, setting.tnr),
        judged,
        rng.binomial(judged, verdicts),
    )
    return Counts(*(one.astype(float) for one in drawn))


def measure(
    setting: Setting,
    n: int,
    rng: np.random.Generator,
    *,
    methods: Iterable[str] = tuple(METHODS),
    level: float = 0.95,
) -> Iterator[Coverage]:
    """Yield how often each method's intervals hold the true rate, on the same ``n`` draws.

    Where a method gives no estimate its interval is 0..1, which holds every rate: ``refused`` says
    how much of its coverage is owed to that.
    """
    import numpy as np

    counts = simulate(setting, n, rng)
    for name in methods:
        rate, low, high = METHODS[name].compute(counts, level, rng)
        # A rate of exactly an end is held; 1e-12 forgives rounding.
        held = int(np.sum((low <= setting.rate + 1e-12) & (setting.rate - 1e-12 <= high)))
        ends = proportion_interval(held, n)
        refused = float(np.isnan(rate).mean())
        yield Coverage(setting, name, held / n, *ends, n, float((high - low).mean()), refused)
