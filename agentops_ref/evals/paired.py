"""Two systems on the same cases: intervals, many tests at once, and how many cases it takes.

Taught in chapter 8. Nothing here knows what a case is: numbers go in, numbers come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.statistics import Difference
from agentops_ref.intervals import check_level


def paired_interval(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Difference:
    """Difference of two systems' mean scores on the same cases, ``b`` minus ``a``.

    Tango's score interval. Unlike the percentile bootstrap it covers about as often as it says on
    the few dozens of cases of an evaluation, and is not a point where the systems never differ.

    Parameters
    ----------
    a, b
        Scores within 0..1 in the same order of cases; equal length, at least one.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    Difference
        Within -1..1. For scores other than 0 and 1 the interval is conservative: gains and losses
        that add up to the same vary most when each is a whole case.

    Raises
    ------
    DeveloperError
        Unequal lengths, no case, a score outside 0..1, or a ``level`` outside its range.

    See Also
    --------
    tango_interval : the same from counts, with its source.
    """
    if len(a) != len(b) or not a:
        raise DeveloperError(
            f"expected the scores of the same cases, at least one, got {len(a)} and {len(b)}"
        )
    if not all(0 <= score <= 1 for scores in (a, b) for score in scores):
        raise DeveloperError("expected scores within 0..1")
    deltas = [second - first for first, second in zip(a, b, strict=True)]
    lost = sum(-delta for delta in deltas if delta < 0)
    gained = sum(delta for delta in deltas if delta > 0)
    return tango_interval(lost, gained, len(deltas), level)


def tango_interval(only_a: float, only_b: float, n: int, level: float = 0.95) -> Difference:
    """Score interval for the difference of two paired proportions, ``b`` minus ``a``.

    Parameters
    ----------
    only_a, only_b
        Cases that only the first, or only the second, system passed; together at most ``n``. Sums
        of partial losses and gains are accepted.
    n
        Number of cases, at least one.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    Difference
        The differences that a two-sided score test would not reject. It holds 0 exactly where
        McNemar's test without a correction does not reject.

    Raises
    ------
    DeveloperError
        No case, a negative count, more differing cases than cases, or a ``level`` outside its
        range.

    References
    ----------
    .. [1] T. Tango, "Equivalence test and confidence interval for the difference in proportions
       for the paired-sample design", Statistics in Medicine 17, 1998, pp. 891-908.
    .. [2] M. W. Fagerland, S. Lydersen and P. Laake, "Recommended tests and confidence intervals
       for paired binomial proportions", Statistics in Medicine 33, 2014, pp. 2850-2875.
    """
    check_level(level)
    if n < 1 or min(only_a, only_b) < 0 or only_a + only_b > n + 1e-9:
        raise DeveloperError(
            f"expected counts of at least 0 that add up to at most n, got {only_a}, {only_b}, n={n}"
        )
    z = NormalDist().inv_cdf(0.5 + level / 2)
    mean = (only_b - only_a) / n

    def end(beyond: float, sign: int) -> float:
        inside, outside = mean, beyond
        for _ in range(60):
            middle = (inside + outside) / 2
            if sign * _score(only_a, only_b, n, middle) <= z:
                inside = middle
            else:
                outside = middle
        return inside

    return Difference(mean, end(-1.0, 1), end(1.0, -1))


def _score(only_a: float, only_b: float, n: int, delta: float) -> float:
    """Standardised distance of what was counted from a true difference of delta."""
    # Likelihood of the share that only a passes, given the difference: a quadratic's larger root.
    linear = -only_b - only_a + (2 * n - only_b + only_a) * delta
    constant = -only_a * delta * (1 - delta)
    root = sqrt(max(0.0, linear * linear - 8 * n * constant))
    share = max(0.0, (root - linear) / (4 * n))
    variance = n * (2 * share + delta * (1 - delta))
    distance = only_b - only_a - n * delta
    if variance <= 1e-15:
        return 0.0 if abs(distance) < 1e-12 else (1e9 if distance > 0 else -1e9)
    return float(distance / sqrt(variance))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests, so that the chance of any false finding stays at its level.

    Parameters
    ----------
    p_values
        One a test, within 0..1, in any order; whatever their dependence.

    Returns
    -------
    list of float
        In the same order, within 0..1, none below its p-value. Empty without tests.

    Raises
    ------
    DeveloperError
        A p-value outside 0..1.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
       of Statistics 6, 1979, pp. 65-70.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise DeveloperError(f"expected p-values within 0..1, got {list(p_values)}")
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = most
    return adjusted


def cases_to_detect(
    difference: float, discordance: float, *, level: float = 0.95, power: float = 0.8
) -> int:
    """Fewest cases on which a paired comparison finds a difference of this size.

    Parameters
    ----------
    difference
        True difference of the two shares, within -1..1, not 0.
    discordance
        Share of cases on which the systems differ, at least ``|difference|``, at most 1.
    level
        One minus the two-sided error of McNemar's test.
    power
        Chance to find it.

    Returns
    -------
    int
        By the normal approximation; at least 1.

    Raises
    ------
    DeveloperError
        A value outside its range.

    References
    ----------
    .. [1] R. J. Connor, "Sample size for testing differences in proportions for the paired-sample
       design", Biometrics 43, 1987, pp. 207-211.
    """
    check_level(level)
    check_level(power)
    size = abs(difference)
    if not 0 < size <= discordance <= 1:
        raise DeveloperError(
            "expected a difference other than 0 and a discordance between it and 1, got "
            f"{difference} and {discordance}"
        )
    normal = NormalDist()
    error, hit = normal.inv_cdf(0.5 + level / 2), normal.inv_cdf(power)
    root = error * sqrt(discordance) + hit * sqrt(max(0.0, discordance - size * size))
    return max(1, -int(-((root / size) ** 2) // 1))


def detectable_difference(
    n: int, discordance: float, *, level: float = 0.95, power: float = 0.8
) -> float | None:
    """Smallest difference that ``n`` cases show: the inverse of `cases_to_detect`.

    Parameters
    ----------
    n
        Number of cases, at least one.
    discordance
        Share of cases on which the systems differ, within 0..1.

    Returns
    -------
    float or None
        Within 0..``discordance``; None where not even a difference on all of them would be found.
    """
    if n < 1 or not 0 <= discordance <= 1:
        raise DeveloperError(f"expected n >= 1 and a share of 0..1, got {n} and {discordance}")

    def enough(size: float) -> bool:
        return cases_to_detect(size, discordance, level=level, power=power) <= n

    if discordance == 0 or not enough(discordance):
        return None
    low, high = 0.0, discordance
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if middle and enough(middle) else (middle, high)
    return high
