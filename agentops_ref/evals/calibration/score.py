"""Rogan and Gladen's rate with the interval of a score test. Taught in chapter 8b.

The model: an item is good with chance theta; the judge calls a good one good with chance TPR and a
bad one with chance FPR = 1 - TNR. So of the judged items

    positive ~ Binomial(n, pi),   pi = theta TPR + (1 - theta) FPR,

and the calibration has two more binomials, true positives and false positives. For each theta that
is asked about, TPR and FPR take their most likely values *given that theta*, and the score of the
likelihood is compared with its standard error there. The interval holds every theta that this test
does not reject. Nothing is resampled, and no standard error is taken at an estimate of 0 or 1,
where it would be zero. That is what lets Wilson's interval cover where the textbook's does not, and
this is Wilson's for a rate that is seen through a judge.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING

from agentops_ref.evals.calibration.counts import Counts, Estimates

if TYPE_CHECKING:
    from agentops_ref.evals.calibration.counts import Array

EDGE = 1e-6
"""How near to 0 and 1 a rate is asked about: at the ends themselves the score is 0/0, and nearer to
them rounding decides. An end of an interval within twice that of 0 or 1 is 0 or 1."""
FAINT = 1e-3
"""Pseudo-labels of a class without labels, so that its share has some most likely value."""


def rogan_gladen(counts: Counts, level: float) -> Estimates:
    """Rate from the verdicts and the judge's errors alone (Rogan and Gladen [1]_).

    ``theta = (pi - FPR) / (TPR - FPR)``, cut to 0..1. What share of the labels is good plays no
    part, so the labelled items may be chosen by class, if TPR and TNR hold where the judge is used.
    The interval is that of the score test for ``pi - theta TPR - (1 - theta) FPR = 0``, a contrast
    of three proportions, with the variance at the most likely values under it, as Miettinen and
    Nurminen [2]_ take it for two.

    Parameters
    ----------
    counts
        Shape ``(r,)``.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    Estimates
        Shape ``(r,)``; nan, with 0 and 1 as its interval, where a class has no labels, where
        TPR + TNR is at most 1 (a judge that errs as often as it is right says nothing), and where
        the test rejects every rate: then the judged share lies outside what this TPR and this TNR
        can give, and they do not hold there.

    References
    ----------
    .. [1] W. J. Rogan and B. Gladen, "Estimating prevalence from the results of a screening test",
       American Journal of Epidemiology 107 (1), 1978, pp. 71-76.
    .. [2] O. Miettinen and M. Nurminen, "Comparative analysis of two rates", Statistics in
       Medicine 4 (2), 1985, pp. 213-226.
    """
    import numpy as np

    tpr, fpr = counts.tpr, counts.fpr
    pi = counts.judged_positive / counts.judged
    able = tpr > fpr  # False for nan
    skill = np.where(able, tpr - fpr, 1.0)
    rate = np.where(able, np.clip((pi - fpr) / skill, 0, 1), np.nan)
    # A stand-in, so that the arithmetic of those that are refused below is defined.
    usable = Counts(*(np.where(able, part, 1.0) for part in counts))
    low, high = _invert(lambda theta: _score_contrast(theta, usable), rate, level)
    known = able & (low < high)
    return Estimates(
        np.where(known, rate, np.nan), np.where(known, low, 0.0), np.where(known, high, 1.0)
    )


def _invert(score: Callable[[Array], Array], rate: Array, level: float) -> tuple[Array, Array]:
    """Return the lowest and the highest theta with ``|score| <= z``; the score falls with theta.

    Where every theta is rejected, both ends are the same. The upper end is the lower one of the
    same question with good and bad exchanged, so that no rounding prefers either.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    low = falling_root(lambda theta: score(theta) - z, EDGE, 1 - EDGE, rate.shape)
    high = 1 - falling_root(lambda bad: -score(1 - bad) - z, EDGE, 1 - EDGE, rate.shape)
    return _snapped(low), _snapped(high)


def _snapped(end: Array) -> Array:
    import numpy as np

    at: Array = np.where(end <= 2 * EDGE, 0.0, np.where(end >= 1 - 2 * EDGE, 1.0, end))
    return at


def _score_contrast(theta: Array, counts: Counts) -> Array:
    """Return the contrast divided by its standard error under theta."""
    import numpy as np

    pi, tpr, fpr = most_likely(theta, counts)
    observed = counts.judged_positive / counts.judged - theta * counts.tpr
    variance = (
        pi * (1 - pi) / counts.judged
        + theta**2 * tpr * (1 - tpr) / counts.positives
        + (1 - theta) ** 2 * fpr * (1 - fpr) / counts.negatives
    )
    z: Array = (observed - (1 - theta) * counts.fpr) / np.sqrt(np.maximum(variance, 1e-300))
    return z


def most_likely(theta: Array, counts: Counts) -> tuple[Array, Array, Array]:
    """Return the most likely (pi, TPR, FPR) among those with ``pi = theta TPR + (1 - theta) FPR``.

    With a multiplier lambda for the constraint, each proportion p with x of n solves

        x / p - (n - x) / (1 - p) = c lambda,   c = 1, -theta, -(1 - theta),

    a quadratic equation, and the constraint's residual falls with lambda: one root is to be found.
    """
    import numpy as np

    trials = np.stack((counts.judged, counts.positives, counts.negatives))
    hits = np.stack(
        (counts.judged_positive, counts.true_positives, counts.negatives - counts.true_negatives)
    )
    none = trials == 0
    trials, hits = np.where(none, FAINT, trials), np.where(none, FAINT / 2, hits)
    signs = np.stack((np.ones_like(theta), -theta, theta - 1))
    scale = 4 * trials.sum(axis=0)

    def proportions(t: Array) -> Array:
        force = signs * (scale * t / (1 - t * t))  # lambda, from a bounded scale
        total = trials + force
        root = np.sqrt(np.maximum(total * total - 4 * force * hits, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            # Of two ways to write the root, the one that subtracts nothing of equal size.
            chosen = np.where(total > 0, 2 * hits / (total + root), (total - root) / (2 * force))
        inside: Array = np.clip(chosen, 0, 1)
        return inside

    def residual(t: Array) -> Array:
        total: Array = (signs * proportions(t)).sum(axis=0)
        return total

    limit = 1 - 1e-9
    found = proportions(falling_root(residual, -limit, limit, theta.shape, tolerance=1e-12))
    return found[0], found[1], found[2]


def falling_root(
    function: Callable[[Array], Array],
    low: float,
    high: float,
    shape: tuple[int, ...],
    *,
    tolerance: float = 1e-8,
) -> Array:
    """Return where each of many falling functions crosses zero (Chandrupatla [1]_).

    Parameters
    ----------
    function
        Takes and gives an array of ``shape``; each element is a function of its own.
    low, high
        Where to look. A function that is negative everywhere gives ``low``, one that is positive
        everywhere ``high``.
    tolerance
        Greatest distance to the crossing.

    References
    ----------
    .. [1] T. R. Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a
       nonlinear function without using derivatives", Advances in Engineering Software 28 (3),
       1997, pp. 145-149.
    """
    import numpy as np

    a, b = np.full(shape, low), np.full(shape, high)
    fa, fb = function(a), function(b)
    outside = np.where(fa <= 0, low, np.where(fb >= 0, high, np.nan))
    fa, fb = np.where(fa <= 0, 1.0, fa), np.where(fb >= 0, -1.0, fb)
    step = np.full(shape, 0.5)
    for _ in range(100):
        x = a + step * (b - a)
        fx = function(x)
        same = (fx > 0) == (fa > 0)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        near = 0.5 * tolerance / np.maximum(np.abs(b - a), 1e-300)
        if np.all((near >= 0.5) | (fa == 0) | ~np.isnan(outside)):
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            inverse = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
            quadratic = fa / (fb - fa) * fc / (fb - fc)
            quadratic += (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        step = np.where(inverse & np.isfinite(quadratic), quadratic, 0.5)
        step = np.clip(step, np.minimum(near, 0.5), np.maximum(1 - near, 0.5))
    best: Array = np.where(np.abs(fa) <= np.abs(fb), a, b)
    return np.where(np.isnan(outside), best, outside)
