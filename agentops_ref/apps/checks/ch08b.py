"""Checks of chapter 8b: correcting a judge's rate by hand, and how many labels a claim needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import isclose

from agentops_ref.apps.checks import Checked

# --- exercise 1: the correction by hand ---------------------------------------------------------

JUDGES = (
    (1.0, 1.0, 0.8, 0.8, "a judge that is never wrong says the rate itself"),
    (0.9, 0.9, 0.75, 0.8125, "(0.75 - 0.1) / (0.9 - 0.1)"),
    (0.95, 0.6, 0.8, 0.4 / 0.55, "four in ten bad answers are called good, and are taken off"),
    (0.9, 0.8, 0.95, 1.0, "more good verdicts than such a judge can give: the rate ends at 1"),
    (0.9, 0.8, 0.1, 0.0, "fewer than its mistakes alone would give: the rate ends at 0"),
    (0.7, 0.3, 0.7, None, "TPR + TNR = 1: it calls good and bad items good as often"),
    (0.6, 0.3, 0.6, None, "TPR + TNR below 1: it says the opposite, or nothing"),
)
"""TPR, TNR, share of good verdicts → the rate, None where there is none."""


def correction(rate_of: Callable[[float, float, float], float | None]) -> Checked:
    """Try a function ``(tpr, tnr, share)`` that gives the rate, or None where there is none."""
    for tpr, tnr, share, wanted, why in JUDGES:
        given = f"TPR {tpr:g}, TNR {tnr:g}, {share:.0%} called good"
        try:
            found = rate_of(tpr, tnr, share)
        except Exception as error:
            return Checked(False, f"{given}: failed ({type(error).__name__}: {error}).")
        if wanted is None and found is not None:
            return Checked(False, f"{given}: got {found!r}, but there is no rate; {why}.")
        if wanted is not None and (found is None or not isclose(found, wanted, abs_tol=1e-6)):
            return Checked(False, f"{given}: expected {wanted:.4g}, got {found!r}; {why}.")
    return Checked(
        True,
        f"All {len(JUDGES)} judges are corrected. What is missing is the interval: TPR and TNR "
        "were measured on a few dozen labels each, and that is most of what is not known.",
    )


# --- exercise 2: how many labels ----------------------------------------------------------------


def labels(n: int, *, width: float, judged: int, tpr: float, tnr: float, rate: float) -> Checked:
    """Compare ``n`` labels with the fewest, in tens, whose intervals are as narrow as asked for."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 10 or n % 10:
        return Checked(False, f"Expected a number of labels in tens, from 10, got {n!r}.")
    wanted = fewest_labels(width=width, judged=judged, tpr=tpr, tnr=tnr, rate=rate)
    mean = mean_width(n, judged, tpr, tnr, rate)
    if n < wanted:
        return Checked(False, f"With {n} labels it is {mean:.3f} wide on average; ask for more.")
    if n > wanted:
        return Checked(False, f"With {n} labels it is {mean:.3f} wide on average; fewer will do.")
    alone = mean_width(n, 1, tpr, tnr, rate)
    return Checked(
        True,
        f"With {n} labels and {judged:,} verdicts the interval is {mean:.3f} wide on average; with "
        f"the labels alone it would be {alone:.3f}. That difference is what the judge is worth.",
    )


def fewest_labels(*, width: float, judged: int, tpr: float, tnr: float, rate: float) -> int:
    """Return the fewest labels, in tens, whose mean interval is no wider than ``width``."""
    for n in range(10, 5_001, 10):
        if mean_width(n, judged, tpr, tnr, rate) <= width:
            return n
    raise ValueError(f"5,000 labels do not make it as narrow as {width}")


@cache
def mean_width(n_labels: int, n_judged: int, tpr: float, tnr: float, rate: float) -> float:
    """Return the mean width of `combined`'s 95 % interval, over the same 400 draws each time."""
    import numpy as np

    from agentops_ref.evals.calibration import Setting, measure

    setting = Setting(n_labels, n_judged, tpr, tnr, rate)
    (row,) = measure(setting, 400, np.random.default_rng(8), methods=["combined"])
    return row.width
