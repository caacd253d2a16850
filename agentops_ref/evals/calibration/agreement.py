"""How far a judge agrees with people, and with itself at another time. Taught in chapter 8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.calibration.counts import Calibration, Estimate
from agentops_ref.evals.statistics import mcnemar
from agentops_ref.intervals import check_level, proportion_interval

if TYPE_CHECKING:
    import numpy as np

    from agentops_ref.evals.calibration.counts import Array

DRAWS = 20_000
"""Draws from a posterior distribution."""


class Agreement(NamedTuple):
    """What the labels say of a judge."""

    tpr: Estimate
    tnr: Estimate
    kappa: Estimate
    share: Estimate
    """Share of the items on which judge and people agree."""


class Drift(NamedTuple):
    """The same judge's verdicts on the same items, then and now."""

    n: int
    gained: int
    """Items called bad then and good now."""
    lost: int
    """Items called good then and bad now."""
    flipped: Estimate
    """Share of the items whose verdict changed, whichever way."""
    p: float
    """Exact McNemar: how likely so uneven a change is if the judge is as lenient as it was. A judge
    that flips as often either way has drifted too, and only ``flipped`` shows it."""


def agreement(
    calibration: Calibration, rng: np.random.Generator, *, level: float = 0.95
) -> Agreement:
    """TPR, TNR and raw agreement with Wilson's interval, and Cohen's kappa with its own.

    Raises
    ------
    DeveloperError
        A ``level`` outside its range.
    """
    c = calibration
    agreed = c.true_positives + c.true_negatives
    return Agreement(
        _share("TPR", c.true_positives, c.positives, level, "no label is good"),
        _share("TNR", c.true_negatives, c.negatives, level, "no label is bad"),
        cohen_kappa(calibration, rng, level=level),
        _share("agreement", agreed, c.n, level, ""),
    )


def cohen_kappa(
    calibration: Calibration, rng: np.random.Generator, *, level: float = 0.95
) -> Estimate:
    """Agreement beyond what the two shares of good verdicts alone would give (Cohen [1]_).

    Parameters
    ----------
    calibration
        Labels against verdicts.
    rng
        Source of randomness for the interval.
    level
        Level of the interval, within 0..1 exclusive.

    Returns
    -------
    Estimate
        ``rate`` is kappa, 1 for full agreement, 0 for as much as chance gives, down to -1. Its
        interval is the central part of the posterior distribution under Jeffreys' prior for the
        four cells (a Dirichlet distribution, 1/2 each), stretched to hold kappa itself: the usual
        normal interval has no width for a judge that was right on all items, and a bootstrap has
        none either. None where labels and verdicts are all the same one, with the reason and -1
        to 1.

    Notes
    -----
    `agentops_ref.evals.errors.cohen_kappa` takes any number of categories. With k of them there
    are k x k cells, and 1/2 in each would outweigh a few dozen items; its interval takes the
    agreement by chance as known, and where one category is rare it is up to 1.7 times as long.

    References
    ----------
    .. [1] J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
       Measurement 20 (1), 1960, pp. 37-46.
    """
    import numpy as np

    check_level(level)
    c = calibration
    cells = np.array(
        [c.true_positives, c.false_negatives, c.false_positives, c.true_negatives], dtype=float
    )
    if max(cells[0], cells[3]) == c.n:
        reason = "all labels and verdicts are the same one: chance would agree as often"
        return Estimate("kappa", None, -1.0, 1.0, reason)
    kappa = float(_kappa(cells[None] / c.n)[0])
    drawn = _kappa(rng.dirichlet(cells + 0.5, size=DRAWS))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate("kappa", kappa, min(float(low), kappa), max(float(high), kappa))


def drift(then: Mapping[str, int], now: Mapping[str, int], *, level: float = 0.95) -> Drift:
    """Compare verdicts on a frozen set of items with those on the same items today.

    Parameters
    ----------
    then, now
        Item's id → verdict, 0 or 1. Only items of both are compared.
    level
        Confidence level of the share that flipped, within 0..1 exclusive.

    Raises
    ------
    DeveloperError
        No item in both, or a ``level`` outside its range.
    """
    both = sorted(then.keys() & now.keys())
    if not both:
        raise DeveloperError("no item has a verdict of then and one of now: compare the same ids")
    gained = sum(then[item] == 0 and now[item] == 1 for item in both)
    lost = sum(then[item] == 1 and now[item] == 0 for item in both)
    flipped = _share("flipped", gained + lost, len(both), level, "")
    return Drift(len(both), gained, lost, flipped, mcnemar(lost, gained))


def _share(name: str, part: int, whole: int, level: float, why_not: str) -> Estimate:
    ends = proportion_interval(part, whole, level)
    return Estimate(name, part / whole, *ends) if whole else Estimate(name, None, *ends, why_not)


def _kappa(cells: Array) -> Array:
    """Kappa of rows (both good, only people, only judge, both bad) that sum to 1."""
    agreed = cells[:, 0] + cells[:, 3]
    people, judge = cells[:, 0] + cells[:, 1], cells[:, 0] + cells[:, 2]
    chance = people * judge + (1 - people) * (1 - judge)
    found: Array = (agreed - chance) / (1 - chance)
    return found
