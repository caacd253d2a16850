"""Each way to a rate against hand-worked figures, its published form, and what it must refuse."""

from __future__ import annotations

import numpy as np
import pytest

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.calibration import (
    METHODS,
    Calibration,
    Counts,
    Estimate,
    Judged,
    corrected_rates,
    labels_fit,
)
from agentops_ref.intervals import proportion_interval

LABELS = Calibration(positives=40, true_positives=36, negatives=10, true_negatives=9)
VERDICTS = Judged(n=400, positive=300)


def estimates(
    calibration: Calibration = LABELS, judged: Judged = VERDICTS, seed: int = 0
) -> dict[str, Estimate]:
    rng = np.random.default_rng(seed)
    return {one.method: one for one in corrected_rates(calibration, judged, rng)}


def test_the_uncorrected_ones_are_wilsons() -> None:
    found = estimates()
    assert (found["naive"].low, found["naive"].high) == pytest.approx(proportion_interval(300, 400))
    labels = found["labels-only"]
    assert (labels.low, labels.high) == pytest.approx(proportion_interval(40, 50))
    every = Counts.of(Calibration(5, 5, 0, 0), Judged(3, 0))
    assert METHODS["naive"].compute(every, 0.95, np.random.default_rng(0)).low[0] == 0
    assert METHODS["labels-only"].compute(every, 0.95, np.random.default_rng(0)).high[0] == 1


def test_prediction_powered_as_defined_on_the_items_themselves() -> None:
    """Against the definition on arrays of items; `ppi_py` 0.2.3 gives 0.81 and 0.80604 here."""
    label = np.repeat([1, 0], [40, 10]).astype(float)
    verdict = np.concatenate([np.repeat([1, 0], [36, 4]), np.repeat([1, 0], [1, 9])]).astype(float)
    judged = np.repeat([1, 0], [300, 100]).astype(float)
    pooled = np.concatenate([verdict, judged])
    tuned = np.cov(label, verdict, ddof=0)[0, 1] / ((1 + 50 / 400) * pooled.var())
    found = estimates()
    for name, weight in (("ppi", 1.0), ("ppi++", tuned)):
        rest = label - weight * verdict
        rate = weight * judged.mean() + rest.mean()
        half = 1.959963984540054 * np.sqrt(weight**2 * judged.var() / 400 + rest.var() / 50)
        assert found[name].rate == pytest.approx(rate)
        assert (found[name].low, found[name].high) == pytest.approx((rate - half, rate + half))
    assert found["ppi"].rate == pytest.approx(0.81)
    assert found["ppi++"].rate == pytest.approx(0.80604, abs=1e-4)


def test_the_labels_only_bootstrap_is_the_published_one() -> None:
    """`judgy` 0.1.0 with 20,000 samples: 0.8125, about 0.702 to 0.936, over several seeds."""
    ends = np.array(
        [(e.low, e.high) for e in (estimates(seed=i)["bootstrap-labels"] for i in range(20))]
    )
    assert estimates()["bootstrap-labels"].rate == pytest.approx(0.8125)
    assert ends.mean(axis=0) == pytest.approx((0.702, 0.936), abs=0.006)


def test_resampling_both_is_wider_and_reproducible() -> None:
    found, again = estimates(), estimates()
    assert found == again
    assert found["bootstrap-both"].width > found["bootstrap-labels"].width
    assert found["bootstrap-both"] != estimates(seed=1)["bootstrap-both"]


CORRECTED = ("rogan-gladen", "bootstrap-both", "bootstrap-labels")


@pytest.mark.parametrize(
    ("calibration", "reason"),
    [
        (Calibration(50, 45, 0, 0), "no label is bad"),
        (Calibration(0, 0, 50, 45), "no label is good"),
        (Calibration(40, 20, 10, 5), "not above 1"),
        (Calibration(40, 10, 10, 5), "not above 1"),
    ],
)
def test_what_cannot_be_corrected_is_a_value_with_its_reason(
    calibration: Calibration, reason: str
) -> None:
    for name, found in estimates(calibration).items():
        assert (found.rate is None) == (name in CORRECTED), name
        if found.rate is None:
            assert (found.low, found.high) == (0, 1)
            assert reason in found.reason


def test_verdicts_that_no_rate_explains_are_refused_by_the_score_test() -> None:
    found = estimates(Calibration(500, 450, 500, 400), Judged(1000, 990))
    assert found["rogan-gladen"].rate is None
    assert "do not hold" in found["rogan-gladen"].reason


def test_labels_of_another_population_are_seen() -> None:
    assert labels_fit(LABELS, VERDICTS) > 0.5  # 37 of 50 and 300 of 400
    assert labels_fit(LABELS, Judged(400, 100)) < 1e-6
    # Worked by hand: 5 of 10 and 8 of 10, pooled 0.65; z = 0.3 / sqrt(0.65 * 0.35 * 0.2) = 1.4064.
    assert labels_fit(Calibration(5, 5, 5, 5), Judged(10, 8)) == pytest.approx(0.1596, abs=1e-4)
    assert labels_fit(Calibration(5, 5, 0, 0), Judged(10, 10)) == 1


@pytest.mark.parametrize("counts", [(3, 4, 1, 1), (3, -1, 1, 1), (1, 1, 2, 3), (0, 0, 0, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(DeveloperError, match="true_positives <= positives"):
        Calibration(*counts)
    with pytest.raises(DeveloperError, match="positive <= n"):
        Judged(0, 0)
    with pytest.raises(DeveloperError, match="positive <= n"):
        Judged(3, 4)


def test_an_unknown_method_or_level_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DeveloperError, match="did you mean 'rogan-gladen'"):
        corrected_rates(LABELS, VERDICTS, rng, methods=["rogan-glade"])
    with pytest.raises(DeveloperError, match="level is a share"):
        corrected_rates(LABELS, VERDICTS, rng, level=95)
