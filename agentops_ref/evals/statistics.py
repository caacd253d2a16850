"""The few statistics that an evaluation of some dozens of cases needs.

Taught in chapter 8. Nothing here knows what a case is: numbers go in, numbers come out. Whatever
samples takes a random generator.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import comb, exp, lgamma, log
from typing import TYPE_CHECKING, NamedTuple

from agentops_ref.errors import DeveloperError
from agentops_ref.intervals import Interval, check_level, proportion_interval

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Difference",
    "Interval",
    "cases_for",
    "gate_power",
    "mcnemar",
    "paired_bootstrap",
    "pass_hat_k",
    "proportion_interval",
]


class Difference(NamedTuple):
    """A difference of two means with its interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    a: Sequence[float],
    b: Sequence[float],
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Difference:
    """Difference of the means of two systems on the same cases, ``b`` minus ``a``.

    Cases are drawn with replacement and each keeps both of its scores, so that a case which is
    hard for both does not widen the interval (percentile bootstrap [1]_).

    Parameters
    ----------
    a, b
        Scores in the same order of cases; equal length, at least one.
    rng
        Source of randomness; the same seed gives the same interval.
    level
        Confidence level, within 0..1 exclusive.
    resamples
        Number of bootstrap samples.

    Returns
    -------
    Difference
        Mean of ``b - a`` and the ends of its interval. With one case the interval is that point,
        which says that one case cannot tell, not that the difference is certain.

    Raises
    ------
    DeveloperError
        Unequal lengths, no case, or a ``level`` outside its range.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman & Hall, 1993,
       chapter 13.
    """
    import numpy as np

    check_level(level)
    if len(a) != len(b) or not a:
        raise DeveloperError(
            f"expected the scores of the same cases, at least one, got {len(a)} and {len(b)}"
        )
    deltas = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    chosen = rng.integers(0, len(deltas), size=(resamples, len(deltas)))
    means = deltas[chosen].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Difference(float(deltas.mean()), float(low), float(high))


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p-value that two systems pass equally often on the same cases.

    Only the cases on which they differ say anything; if neither is better, each of these falls to
    either side with probability one half.

    Parameters
    ----------
    only_a, only_b
        Number of cases that only the first, or only the second, system passed.

    Returns
    -------
    float
        Within 0..1; 1 when the systems never differ.

    Raises
    ------
    DeveloperError
        A negative count.

    References
    ----------
    .. [1] Q. McNemar, "Note on the sampling error of the difference between correlated
       proportions or percentages", Psychometrika 12, 1947, pp. 153-157 (here without the normal
       approximation).
    """
    if only_a < 0 or only_b < 0:
        raise DeveloperError(f"expected counts, got {only_a} and {only_b}")
    n, few = only_a + only_b, min(only_a, only_b)
    tail: int = sum(comb(n, k) for k in range(few + 1))
    return min(1.0, 2 * tail / float(2**n))


def pass_hat_k(
    passed: Sequence[int],
    trials: int,
    k: int,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Difference:
    """Chance that ``k`` independent tries of one case all pass, over cases: pass^k [1]_.

    Parameters
    ----------
    passed
        For each case, how many of its ``trials`` tries passed; at least one case.
    trials
        Tries of each case; at least ``k``.
    k
        Tries that must all pass; with 1 it is the plain share.
    rng
        Source of randomness; the same seed gives the same interval.

    Returns
    -------
    Difference
        Mean over cases of the unbiased estimate ``C(passed, k) / C(trials, k)``, within 0..1, and
        the ends of its interval (percentile bootstrap over cases).

    Raises
    ------
    DeveloperError
        No case, a count outside 0..``trials``, or a ``k`` outside 1..``trials``.

    References
    ----------
    .. [1] S. Yao, N. Shinn, P. Razavi and K. Narasimhan, "tau-bench: A Benchmark for
       Tool-Agent-User Interaction in Real-World Domains", arXiv 2406.12045, 2024, section 3.
    """
    if not 1 <= k <= trials:
        raise DeveloperError(f"expected k within 1..{trials} tries, got {k}")
    if not passed or not all(0 <= count <= trials for count in passed):
        raise DeveloperError(f"expected counts within 0..{trials}, at least one, got {passed}")
    shares = [comb(count, k) / comb(trials, k) for count in passed]
    return paired_bootstrap([0.0] * len(shares), shares, rng, level=level, resamples=resamples)


def gate_power(n: int, rate: float, threshold: float, level: float = 0.95) -> float:
    """Chance that a gate on ``n`` cases passes: its whole interval is at the threshold or above.

    Parameters
    ----------
    n
        Number of cases, at least one.
    rate
        The system's true share of passing cases, 0..1.
    threshold
        Share that the lower end of `proportion_interval` must reach.
    level
        Confidence level of the interval.

    Returns
    -------
    float
        Exact, by summing the binomial distribution; 0..1.

    Raises
    ------
    DeveloperError
        No case, a rate outside 0..1, or a ``level`` outside its range.
    """
    if n < 1 or not 0 <= rate <= 1:
        raise DeveloperError(f"expected n >= 1 and a rate of 0..1, got n={n}, rate={rate}")
    # The lower end grows with the number of successes, so those that pass are the upper ones.
    fewest = bisect_left(
        range(n + 1), threshold, key=lambda k: proportion_interval(k, n, level).low
    )
    return min(1.0, sum(_binomial(k, n, rate) for k in range(fewest, n + 1)))


def cases_for(half_width: float, *, rate: float = 0.5, level: float = 0.95) -> int:
    """Fewest cases whose interval is at most ``half_width`` wide to either side.

    Parameters
    ----------
    half_width
        Half the width of `proportion_interval`, above 0.
    rate
        The share that is expected, 0..1; at 0.5 the interval is widest.
    level
        Confidence level of the interval.

    Returns
    -------
    int
        At least 1, for an interval around ``rate`` itself; what is measured will lie beside it,
        so plan with 0.5 where nothing is known.

    Raises
    ------
    DeveloperError
        No width, a rate outside 0..1, or a ``level`` outside its range.
    """
    if not (half_width > 0 and 0 <= rate <= 1):
        raise DeveloperError(
            f"expected a width above 0 and a rate of 0..1, got {half_width} and {rate}"
        )

    def narrow(n: int) -> bool:
        ends = proportion_interval(rate * n, n, level)
        return (ends.high - ends.low) / 2 <= half_width

    most = 1
    while not narrow(most):
        most *= 2
    return bisect_left(range(most + 1), True, lo=1, key=narrow)


def _binomial(k: int, n: int, rate: float) -> float:
    """Chance of exactly k successes in n trials."""
    if rate in (0, 1):
        return float(k == n * rate)
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(ways + k * log(rate) + (n - k) * log(1 - rate))
