"""The true rate from labels and verdicts of one population. Taught in chapter 8b.

Seen from the verdict, the likelihood falls into three parts that share nothing. With pi the share
that the judge calls good, p1 the share of good items among those, and p0 that among the others,

    rate = pi p1 + (1 - pi) p0,

and pi is counted on all items, p1 on the labelled ones that were called good, p0 on the labelled
ones that were called bad. Each has a Beta distribution of its own after its counts, so mean and
variance of the rate are exact and cost a line each. Nothing is resampled and nothing iterated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops_ref.evals.calibration.counts import Counts, Estimates, share

if TYPE_CHECKING:
    from agentops_ref.evals.calibration.counts import Array

PRIORS = (0.5, 0.1)
"""Pseudo-counts of good and of bad that are tried; the interval holds what either of them gives."""
SPARED = 0.1
"""Share of the permitted misses that is not used: a nominal 95 % interval leaves out 4.5 %."""


def combined(counts: Counts, level: float) -> Estimates:
    """Rate from labels and verdicts together, if both are of one population (Tenenbein [1]_).

    The labelled items then say twice what is sought: by their own labels, and by what these make of
    each verdict on the others. The estimate is the most likely one. The interval is that of a Beta
    distribution with the mean and the variance of the rate after the counts.

    Where few labels are bad, the prior decides where the interval ends: Jeffreys' (1/2) makes them
    look like more than they are, and with a smaller one none in thirty would be close to none at
    all. So the interval is the hull of two priors', as in Walley's imprecise Beta model [2]_, and
    reaches the end of the scale where a class has no label. Counts are discrete, which costs some
    coverage here and there; a tenth of the misses is spared for that. What these choices are good
    for is counted by ``benchmarks/judge_coverage.py``.

    Parameters
    ----------
    counts
        Shape ``(r,)``. The labelled items must be a random sample of the population that the
        judged ones are of: then, and only then, is their share of good ones a measurement of it.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    Estimates
        Shape ``(r,)``. Never nan: a class without labels, or a judge without skill, leaves at least
        what the labels say. Where the judge gave all labelled items one verdict, nothing is known
        of the other one's meaning, and the middle of what it may be is taken.

    References
    ----------
    .. [1] A. Tenenbein, "A double sampling scheme for estimating from binomial data with
       misclassifications", Journal of the American Statistical Association 65 (331), 1970,
       pp. 1350-1361.
    .. [2] P. Walley, "Inferences from multinomial data: learning about a bag of marbles", Journal
       of the Royal Statistical Society B 58 (1), 1996, pp. 3-57.
    """
    import numpy as np

    good_verdicts = counts.labelled_good + counts.judged_positive
    called_good, called_bad = counts.labelled_good, counts.labels - counts.labelled_good
    false_negatives = counts.positives - counts.true_positives
    pi = good_verdicts / (counts.labels + counts.judged)
    good_if_good = np.nan_to_num(share(counts.true_positives, called_good), nan=0.5)
    good_if_bad = np.nan_to_num(share(false_negatives, called_bad), nan=0.5)
    rate = pi * good_if_good + (1 - pi) * good_if_bad
    low, high = rate, rate
    for prior in PRIORS:
        ends = _matched(
            _beta(good_verdicts, counts.labels + counts.judged, prior),
            _beta(counts.true_positives, called_good, prior),
            _beta(false_negatives, called_bad, prior),
            level + SPARED * (1 - level),
        )
        low, high = np.minimum(low, ends[0]), np.maximum(high, ends[1])
    low = np.where(counts.positives == 0, 0.0, low)
    high = np.where(counts.negatives == 0, 1.0, high)
    return Estimates(rate, low, high)


def _beta(hits: Array, n: Array, prior: float) -> tuple[Array, Array]:
    """Return mean and variance of a share after ``hits`` of ``n``."""
    total = n + 2 * prior
    mean = (hits + prior) / total
    return mean, mean * (1 - mean) / (total + 1)


def _matched(
    pi: tuple[Array, Array], good: tuple[Array, Array], bad: tuple[Array, Array], level: float
) -> tuple[Array, Array]:
    """Return the quantiles of a Beta distribution with the moments of ``pi good + (1-pi) bad``."""
    from scipy.special import betaincinv

    (m, v), (m1, v1), (m0, v0) = pi, good, bad
    mean = m * m1 + (1 - m) * m0
    variance = v * (m1 - m0) ** 2 + (m * m + v) * v1 + ((1 - m) ** 2 + v) * v0
    size = mean * (1 - mean) / variance - 1
    tail = (1 - level) / 2
    a, b = mean * size, (1 - mean) * size
    return betaincinv(a, b, tail), betaincinv(a, b, 1 - tail)
