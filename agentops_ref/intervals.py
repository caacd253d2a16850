"""How far a number that was counted on few cases can be trusted. Taught in chapter 8.

Below the parts that never import each other: an evaluation's gate and the quality check of a sync
compare intervals with their limits, and both take them from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, inf, sqrt
from statistics import NormalDist
from typing import NamedTuple

from agentops_ref.errors import DeveloperError

EXACT = 1000
"""Above so many values the binomial distribution of ranks is taken as a normal one."""


class Interval(NamedTuple):
    """A two-sided interval."""

    low: float
    high: float


def proportion_interval(successes: float, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion.

    Unlike mean ± 1.96 standard errors it stays inside 0..1, is not of zero width when all cases
    passed, and covers about as often as it says for the small ``n`` of an evaluation slice.

    Parameters
    ----------
    successes
        Number of successes, 0..n. A sum of scores within 0..1 is also accepted: among all scores
        within 0..1 that have this mean, zeros and ones vary most, so the interval is then
        conservative [2]_.
    n
        Number of trials.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    Interval
        Within 0..1. Without trials nothing is known: (0, 1).

    Raises
    ------
    DeveloperError
        ``successes`` outside 0..n, or ``level`` outside its range.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
       Journal of the American Statistical Association 22 (158), 1927, pp. 209-212. Recommended by
       R. G. Newcombe, "Two-sided confidence intervals for the single proportion: comparison of
       seven methods", Statistics in Medicine 17, 1998, pp. 857-872 (method 3), whose table holds
       the values that the tests compare with.
    .. [2] R. Bhatia and C. Davis, "A better bound on the variance", The American Mathematical
       Monthly 107 (4), 2000, pp. 353-357.
    """
    check_level(level)
    if n < 0 or not 0 <= successes <= n:
        raise DeveloperError(f"expected 0 <= successes <= n, got successes={successes}, n={n}")
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Rounding must not push the ends of 0/n and n/n off the ends of the scale.
    low = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if successes == n else min(1.0, (centre + half) / scale)
    return Interval(low, high)


def median_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Interval for the median from order statistics; see `quantile_interval`.

    Returns
    -------
    Interval
        The k-th smallest and the k-th largest value, with the largest k whose interval covers the
        median with a chance of at least ``level``. From -inf to inf where even the smallest and
        the largest value together do not: at 0.95, fewer than six values say nothing.
    """
    return quantile_interval(values, 0.5, level)


def quantile_interval(values: Sequence[float], quantile: float, level: float = 0.95) -> Interval:
    """Interval for a quantile from order statistics, whatever the distribution.

    Parameters
    ----------
    values
        Independent measurements in any order.
    quantile
        Which one, within 0..1 exclusive: 0.5 is the median.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    Interval
        Two of the values. Each end is on the wrong side of the quantile with a chance of at most
        ``(1 - level) / 2``; it is infinite where no value is that sure: at 0.95 a 95th percentile
        has an upper end from 72 values on.

    Raises
    ------
    DeveloperError
        ``quantile`` or ``level`` outside its range.

    References
    ----------
    .. [1] H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition, Wiley, 2003, section 7.1.
    """
    check_level(level)
    if not 0 < quantile < 1:
        raise DeveloperError(f"quantile is a share between 0 and 1, got {quantile}")
    n, beyond = len(values), (1 - level) / 2
    ordered = sorted(values)
    # How many values lie below the quantile is binomial. The k-th smallest is above it when fewer
    # than k are below, and the k-th largest is below it when fewer than k are above.
    low, high = _rank(n, quantile, beyond), _rank(n, 1 - quantile, beyond)
    return Interval(ordered[low - 1] if low else -inf, ordered[n - high] if high else inf)


def _rank(n: int, share: float, beyond: float) -> int:
    """Largest k for which fewer than k successes in n trials have a chance of at most beyond."""
    if n > EXACT:
        mean, deviation = n * share, sqrt(n * share * (1 - share))
        return max(0, int(mean + NormalDist().inv_cdf(beyond) * deviation))
    chance, k = 0.0, 0
    while k < n:
        chance += comb(n, k) * share**k * (1 - share) ** (n - k)
        if chance > beyond:
            break
        k += 1
    return k


def check_level(level: float) -> None:
    """Refuse a confidence level outside 0..1."""
    if not 0 < level < 1:
        raise DeveloperError(f"level is a share between 0 and 1, got {level}")
