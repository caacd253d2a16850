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
    """Interval for the median from order statistics, whatever the distribution.

    Parameters
    ----------
    values
        Independent measurements in any order.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    Interval
        The k-th smallest and the k-th largest value, with the largest k whose interval covers the
        median with a chance of at least ``level``. From -inf to inf where even the smallest and
        the largest value together do not: at 0.95, fewer than six values say nothing.

    References
    ----------
    .. [1] H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition, Wiley, 2003, section 7.1.
    """
    check_level(level)
    n = len(values)
    outside, k = 0.0, 0
    if n > EXACT:
        k = int((n - NormalDist().inv_cdf(0.5 + level / 2) * sqrt(n)) / 2)
    # The k-th smallest is above the median when fewer than k values are below it.
    while n <= EXACT and k < n // 2 and 2 * (outside + comb(n, k) / 2**n) <= 1 - level:
        outside += comb(n, k) / 2**n
        k += 1
    if k == 0:
        return Interval(-inf, inf)
    ordered = sorted(values)
    return Interval(ordered[k - 1], ordered[n - k])


def check_level(level: float) -> None:
    """Refuse a confidence level outside 0..1."""
    if not 0 < level < 1:
        raise DeveloperError(f"level is a share between 0 and 1, got {level}")
