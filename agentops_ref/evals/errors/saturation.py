"""When enough has been read: categories found against traces read, and what is likely unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.errors.records import Readings
from agentops_ref.evals.errors.taxonomy import Taxonomy
from agentops_ref.intervals import check_level, proportion_interval

if TYPE_CHECKING:
    import numpy as np


class Curve(NamedTuple):
    """Distinct categories after each trace; index 0 is after the first."""

    found: tuple[int, ...]
    """In the order of reading."""
    mean: tuple[float, ...]
    """Over random orders."""
    low: tuple[float, ...]
    high: tuple[float, ...]


class Unseen(NamedTuple):
    """What the categories' counts say of those that were not seen."""

    n: int
    """Failed traces with a category."""
    categories: int
    once: int
    """Categories with one trace."""
    twice: int
    """Categories with two."""
    chance: float
    """That the next failed trace shows a new category."""
    upper: float
    """Upper bound of that chance."""
    total: float
    """Categories that there are at least, those unseen included."""


class Saturation(NamedTuple):
    """Whether reading may stop."""

    curve: Curve
    unseen: Unseen
    without: int
    """Failed traces without a category on which nobody differs."""
    limit: float
    """Below which ``upper`` must be."""
    stop: bool
    verdict: str
    """The same in words."""


def accumulation(
    names: Sequence[str | None], rng: np.random.Generator, *, orders: int, level: float = 0.95
) -> Curve:
    """Return how many distinct names were found after each item, as read and in random orders.

    Parameters
    ----------
    names
        One an item, in the order of reading; None where the item shows none.
    rng
        Source of randomness for the orders.
    orders
        Random orders, at least 1.
    level
        Share of the orders that lie within the band at each place, within 0..1 exclusive.

    Returns
    -------
    Curve
        Each line as long as ``names``, rising from 0 or 1 to the number of distinct names. Empty
        for no items.

    References
    ----------
    .. [1] N. J. Gotelli and R. K. Colwell, "Quantifying biodiversity: procedures and pitfalls in
       the measurement and comparison of species richness", Ecology Letters 4, 2001, pp. 379-391
       (accumulation curves, and smoothing them over random orders).
    """
    import numpy as np

    check_level(level)
    if orders < 1:
        raise DeveloperError(f"orders must be at least 1, got {orders}")
    if not names:
        return Curve((), (), (), ())
    number = {name: at for at, name in enumerate(dict.fromkeys(n for n in names if n is not None))}
    codes = np.array([-1 if name is None else number[name] for name in names])

    def distinct(order: np.ndarray) -> np.ndarray:
        _, first = np.unique(order, return_index=True)
        new = np.zeros(len(order), dtype=int)
        new[first] = 1
        new[order == -1] = 0
        return np.cumsum(new)

    drawn = np.array([distinct(rng.permutation(codes)) for _ in range(orders)])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    as_read = distinct(codes)
    return Curve(
        tuple(int(one) for one in as_read),
        tuple(float(one) for one in drawn.mean(axis=0)),
        tuple(float(one) for one in low),
        tuple(float(one) for one in high),
    )


def unseen(counts: Sequence[int], *, level: float = 0.95) -> Unseen:
    """Estimate what was not seen from how often each category was.

    Parameters
    ----------
    counts
        Traces of each category, each at least 1.
    level
        Level of the two-sided interval whose upper end is taken, within 0..1 exclusive.

    Returns
    -------
    Unseen
        ``chance`` is Good's and Turing's estimate, the share of traces that are the only one of
        their category [1]_. ``upper`` is the larger of two bounds: the normal one with the
        variance of Zhang and Zhang [2]_, which counts the pairs as well, and Wilson's for the
        singletons, which has a width where there are none. In simulated populations it holds
        somewhat less often than it says where many categories are equally rare (see the tests).
        ``total`` is Chao's lower bound, corrected for bias [3]_. Without any count nothing is
        known: 1, 1 and infinity.

    References
    ----------
    .. [1] I. J. Good, "The population frequencies of species and the estimation of population
       parameters", Biometrika 40, 1953, pp. 237-264.
    .. [2] C.-H. Zhang and Z. Zhang, "Asymptotic normality of a nonparametric estimator of sample
       coverage", Annals of Statistics 37 (5A), 2009, pp. 2582-2595.
    .. [3] A. Chao, "Nonparametric estimation of the number of classes in a population",
       Scandinavian Journal of Statistics 11, 1984, pp. 265-270; the corrected form is eq. 4 of
       A. Chao, "Species richness estimation", Encyclopedia of Statistical Sciences, 2005.
    """
    check_level(level)
    if any(count < 1 for count in counts):
        raise DeveloperError(f"a category that was seen has a count of at least 1, got {counts}")
    n = sum(counts)
    once, twice = (sum(count == wanted for count in counts) for wanted in (1, 2))
    if n == 0:
        return Unseen(0, 0, 0, 0, 1.0, 1.0, inf)
    total = len(counts) + (n - 1) / n * once * (once - 1) / (2 * (twice + 1))
    return Unseen(n, len(counts), once, twice, once / n, _upper(once, twice, n, level), total)


def assess_saturation(
    readings: Readings,
    taxonomy: Taxonomy,
    rng: np.random.Generator,
    *,
    limit: float,
    orders: int,
    level: float = 0.95,
) -> Saturation:
    """Say whether more reading is likely to show a new category.

    Parameters
    ----------
    limit
        Reading may stop when the upper bound of the chance that the next failed trace shows a new
        category is below it, and every failed trace has a category.
    """
    agreed = taxonomy.agreed()
    names = [agreed.get(one.trace) if one.failed else None for one in readings.decided]
    without = sum(one.trace not in agreed for one in readings.failed)
    counts = list(Counter(name for name in names if name is not None).values())
    found = unseen(counts, level=level)
    stop = found.upper < limit and not without
    curve = accumulation(names, rng, orders=orders, level=level)
    return Saturation(
        curve, found, without, limit, stop, _verdict(found, without, limit, stop, level)
    )


def describe_saturation(found: Saturation) -> str:
    """The figure in words: its text equivalent."""
    curve, lines = found.curve, []
    last = 0
    for at, (count, mean, low, high) in enumerate(zip(*curve, strict=True), start=1):
        if count > last or at == len(curve.found):
            lines.append(
                f"after {at} traces: {count} categories ({mean:.1f} in a random order, band "
                f"{low:.0f} to {high:.0f})"
            )
            last = count
    return "\n".join([*lines, found.verdict])


def _upper(once: int, twice: int, n: int, level: float) -> float:
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = once / n
    normal = share + z * sqrt(once * (1 - share) + 2 * twice) / n
    return min(1.0, max(normal, proportion_interval(once, n, level).high))


def _verdict(found: Unseen, without: int, limit: float, stop: bool, level: float) -> str:
    if found.n == 0:
        return "Go on: no failed trace has a category yet."
    chance = (
        f"{found.n} failed traces show {found.categories} categories, {found.once} of them only "
        f"once. The chance that the next failed trace shows a new one is about "
        f"{found.chance:.0%}, at most {found.upper:.1%} (upper end of the {level:.0%} interval)"
    )
    if stop:
        return f"Stop: {chance}, which is below {limit:.0%}."
    if without:
        told = f"{without} failed traces have no category"
        return f"Go on: {told}, and any could show a new one. {chance}."
    more = _more(found, limit, level)
    return (
        f"Go on: {chance}; the limit is {limit:.0%}. If none of them shows a new category or "
        f"another case of a rare one, {more} more failed traces will do."
    )


def _more(found: Unseen, limit: float, level: float) -> int:
    """Return how many more traces it takes at least, should the rare categories stay as rare."""
    more = 1
    while _upper(found.once, found.twice, found.n + more, level) >= limit:
        more += 1 + more // 50
    return more
