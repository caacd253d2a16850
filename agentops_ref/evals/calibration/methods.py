"""The ways to a true rate through a judge, side by side. Taught in chapter 8.

`METHODS` lists them with what each assumes. `corrected_rates` is for one judge; the arrays that the
methods themselves take let `benchmarks/judge_coverage.py` ask how often their intervals hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from agentops_ref.errors import DeveloperError, nearest
from agentops_ref.evals.calibration.counts import Calibration, Counts, Estimate, Estimates, Judged
from agentops_ref.evals.calibration.posterior import combined
from agentops_ref.evals.calibration.score import rogan_gladen
from agentops_ref.intervals import check_level

if TYPE_CHECKING:
    import numpy as np

    from agentops_ref.evals.calibration.counts import Array

Compute = Callable[[Counts, float, "np.random.Generator"], Estimates]

RESAMPLES = 1000
"""Bootstrap samples; the ends of a 95 % interval are then the 25th from either side."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to estimate the rate."""

    name: str
    what: str
    same_population: bool
    """Whether the labelled items must be a random sample of what is judged."""
    compute: Compute
    effort: Literal["closed", "iterated", "resampled"] = "closed"
    """How its interval is found; ``resampled`` draws from the generator that it is given."""


def labels_only(counts: Counts, level: float) -> Estimates:
    """Share of good labels with Wilson's interval; no verdict is used."""
    return _wilson(counts.positives, counts.labels, level)


def naive(counts: Counts, level: float) -> Estimates:
    """Share of good verdicts with Wilson's interval, as if the judge were never wrong."""
    return _wilson(counts.judged_positive, counts.judged, level)


def prediction_powered(counts: Counts, level: float, *, tuned: bool) -> Estimates:
    """Mean of the verdicts plus the mean error that the labels show: PPI [1]_, or PPI++ [2]_.

    ``rate = lambda mean(verdicts) + mean(label - lambda verdict)``, with a normal interval. PPI has
    ``lambda = 1``; ``tuned`` takes the one of least variance, cut to 0..1 (PPI++). Ends outside
    0..1 are cut off.

    Parameters
    ----------
    counts
        Shape ``(r,)``; the labelled items are a random sample of what is judged.
    level
        Confidence level, within 0..1 exclusive.

    References
    ----------
    .. [1] A. N. Angelopoulos, S. Bates, C. Fannjiang, M. I. Jordan and T. Zrnic,
       "Prediction-powered inference", Science 382 (6671), 2023, pp. 669-674.
    .. [2] A. N. Angelopoulos, J. C. Duchi and T. Zrnic, "PPI++: Efficient Prediction-Powered
       Inference", arXiv 2311.01453, 2023.
    """
    import numpy as np

    n, m = counts.labels, counts.judged
    label, verdict = counts.positives / n, counts.labelled_good / n
    judged = counts.judged_positive / m
    together = counts.true_positives / n
    weight = np.ones_like(n)
    if tuned:
        pooled = (counts.labelled_good + counts.judged_positive) / (n + m)
        spread = (1 + n / m) * pooled * (1 - pooled)
        covariance = together - label * verdict
        weight = np.divide(covariance, spread, out=np.zeros_like(n), where=spread > 0).clip(0, 1)
    rate = weight * judged + label - weight * verdict
    # Variance of label - weight * verdict over the labelled items, whose values are 0 and 1.
    squares = label - 2 * weight * together + weight**2 * verdict
    error = (squares - (label - weight * verdict) ** 2) / n
    error += weight**2 * judged * (1 - judged) / m
    half = _z(level) * np.sqrt(np.maximum(error, 0))
    low, high = (rate - half).clip(0, 1), (rate + half).clip(0, 1)
    return Estimates(rate.clip(0, 1), low, high)


def bootstrap(
    counts: Counts, level: float, rng: np.random.Generator, *, judged_too: bool
) -> Estimates:
    """Rogan and Gladen's estimate with a percentile bootstrap of the labelled items [1]_.

    Parameters
    ----------
    counts
        Shape ``(r,)``.
    level
        Confidence level, within 0..1 exclusive.
    rng
        Source of randomness.
    judged_too
        Whether the judged items are resampled as well. Without them this is what the library
        ``judgy`` (0.1.0) does: the share of good verdicts is taken as known exactly.

    Returns
    -------
    Estimates
        nan where `rogan_gladen` has no estimate. Samples without both classes, or with a TPR + TNR
        of at most 1, are left out, as ``judgy`` leaves them out.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman & Hall, 1993,
       chapter 13.
    """
    import numpy as np

    point = counts.judged_positive / counts.judged
    able = counts.tpr > counts.fpr
    columns = (np.full(able.shape, np.nan), np.zeros(able.shape), np.ones(able.shape))
    ends = [(1 - level) / 2, (1 + level) / 2]
    for i in np.flatnonzero(able):
        n, bad = int(counts.labels[i]), counts.negatives[i]
        good, tp, tn = counts.positives[i], counts.true_positives[i], counts.true_negatives[i]
        cells = rng.multinomial(n, np.array([tp, good - tp, bad - tn, tn]) / n, size=RESAMPLES).T
        with np.errstate(divide="ignore", invalid="ignore"):
            tpr, fpr = cells[0] / (cells[0] + cells[1]), cells[2] / (cells[2] + cells[3])
        kept = tpr > fpr
        pi = np.full(RESAMPLES, point[i])
        if judged_too:
            pi = rng.binomial(int(counts.judged[i]), point[i], size=RESAMPLES) / counts.judged[i]
        drawn = ((pi[kept] - fpr[kept]) / (tpr[kept] - fpr[kept])).clip(0, 1)
        skill = counts.tpr[i] - counts.fpr[i]
        columns[0][i] = np.clip((point[i] - counts.fpr[i]) / skill, 0, 1)
        columns[1][i], columns[2][i] = np.quantile(drawn, ends)
    return Estimates(*columns)


METHODS = {
    method.name: method
    for method in (
        Method(
            "combined",
            "labels and verdicts together, Beta interval",
            True,
            lambda counts, level, rng: combined(counts, level),
        ),
        Method(
            "rogan-gladen",
            "corrected by TPR and TNR, score interval",
            False,
            lambda counts, level, rng: rogan_gladen(counts, level),
            effort="iterated",
        ),
        Method(
            "ppi",
            "prediction-powered, normal interval",
            True,
            lambda counts, level, rng: prediction_powered(counts, level, tuned=False),
        ),
        Method(
            "ppi++",
            "prediction-powered, tuned, normal interval",
            True,
            lambda counts, level, rng: prediction_powered(counts, level, tuned=True),
        ),
        Method(
            "bootstrap-both",
            "corrected, labels and verdicts resampled",
            False,
            lambda counts, level, rng: bootstrap(counts, level, rng, judged_too=True),
            effort="resampled",
        ),
        Method(
            "bootstrap-labels",
            "corrected, only labels resampled (as judgy does)",
            False,
            lambda counts, level, rng: bootstrap(counts, level, rng, judged_too=False),
            effort="resampled",
        ),
        Method(
            "labels-only",
            "share of good labels, Wilson",
            True,
            lambda counts, level, rng: labels_only(counts, level),
        ),
        Method(
            "naive",
            "share of good verdicts, Wilson, uncorrected",
            False,
            lambda counts, level, rng: naive(counts, level),
        ),
    )
}


def corrected_rates(
    calibration: Calibration,
    judged: Judged,
    rng: np.random.Generator,
    *,
    methods: Iterable[str] = tuple(METHODS),
    level: float = 0.95,
) -> list[Estimate]:
    """Estimate the share of good items in what was judged, by several methods.

    Parameters
    ----------
    calibration
        What is known of the judge from labelled items.
    judged
        Its verdicts on other items, which must not be among the labelled ones.
    rng
        Source of randomness for the methods that resample.
    methods
        Names from `METHODS`.
    level
        Confidence level, within 0..1 exclusive.

    Returns
    -------
    list of Estimate
        In the order of ``methods``. A method that cannot give a rate has None and the reason.

    Raises
    ------
    DeveloperError
        An unknown method, or a ``level`` outside its range.
    """
    check_level(level)
    counts, found = Counts.of(calibration, judged), []
    for name in methods:
        if name not in METHODS:
            raise DeveloperError(f"no method '{name}'{nearest(name, tuple(METHODS))}")
        rate, low, high = (float(one[0]) for one in METHODS[name].compute(counts, level, rng))
        if rate == rate:
            found.append(Estimate(name, rate, low, high))
        else:
            found.append(Estimate(name, None, 0.0, 1.0, _why_not(calibration)))
    return found


def corrected_rate(
    calibration: Calibration, judged: Judged, *, same_population: bool, level: float = 0.95
) -> Estimate:
    """Estimate the share of good items in what was judged, by the method that is fit for it.

    Parameters
    ----------
    calibration, judged, level
        As `corrected_rates` takes them.
    same_population
        Whether the labelled items are a random sample of the population that was judged:
        `combined`. Otherwise (chosen by class, or from another time or place) only TPR and TNR
        are carried over: `rogan_gladen`.
    """
    import numpy as np

    name = "combined" if same_population else "rogan-gladen"
    unused = np.random.default_rng(0)  # neither of the two resamples
    return corrected_rates(calibration, judged, unused, methods=[name], level=level)[0]


def labels_fit(calibration: Calibration, judged: Judged) -> float:
    """Two-sided p-value that the judge calls as many labelled items good as judged ones.

    Where the labels are a random sample of what is judged, a small value comes by chance only, and
    `corrected_rate` should not be told ``same_population``. A large one proves nothing: a mix of
    other items may get as many good verdicts.

    Parameters
    ----------
    calibration, judged
        As `corrected_rates` takes them.

    Returns
    -------
    float
        Within 0..1, by the score test of two proportions (normal approximation); 1 where all
        verdicts are the same.
    """
    n, m = calibration.n, judged.n
    good = calibration.true_positives + calibration.false_positives
    pooled = (good + judged.positive) / (n + m)
    if pooled in (0, 1):
        return 1.0
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return 2 * NormalDist().cdf(-abs(good / n - judged.positive / m) / error)


def _why_not(calibration: Calibration) -> str:
    if calibration.positives == 0:
        return "no label is good, so TPR is unknown: label more items"
    if calibration.negatives == 0:
        return "no label is bad, so TNR is unknown: label more items"
    tpr = calibration.true_positives / calibration.positives
    tnr = calibration.true_negatives / calibration.negatives
    if tpr + tnr <= 1:
        return f"TPR + TNR = {tpr + tnr:.2f}, not above 1: the judge says nothing of the label"
    return "no rate gives such verdicts with this TPR and TNR: they do not hold for what was judged"


def _wilson(successes: Array, n: Array, level: float) -> Estimates:
    """`agentops_ref.intervals.proportion_interval` of arrays."""
    import numpy as np

    z = _z(level)
    rate, scale = successes / n, 1 + z * z / n
    centre = rate + z * z / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = np.where(successes == 0, 0.0, (centre - half) / scale)
    high = np.where(successes == n, 1.0, (centre + half) / scale)
    return Estimates(rate, low.clip(0, 1), high.clip(0, 1))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)
