"""Agreement and drift against published and hand-worked figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.calibration import Calibration, Estimate, agreement, cohen_kappa, drift
from agentops_ref.intervals import proportion_interval


def kappa(c: Calibration, seed: int = 0) -> Estimate:
    return cohen_kappa(c, np.random.default_rng(seed))


def test_kappa_by_hand() -> None:
    # 20 and 15 of 50 agreed, so 0.7; chance 0.6 * 0.5 + 0.4 * 0.5 = 0.5; (0.7 - 0.5) / 0.5.
    found = kappa(Calibration(25, 20, 25, 15))
    assert found.rate == pytest.approx(0.4)
    assert found.low < 0.4 < found.high
    assert found == kappa(Calibration(25, 20, 25, 15))


def test_kappa_of_a_judge_that_was_always_right_has_a_width() -> None:
    found = kappa(Calibration(10, 10, 10, 10))
    assert (found.rate, found.high) == (1, 1)
    assert found.low < 0.95
    assert kappa(Calibration(100, 100, 100, 100)).low > found.low


def test_kappa_where_chance_would_do_as_well_is_refused() -> None:
    for c in (Calibration(10, 10, 0, 0), Calibration(0, 0, 10, 10)):
        assert kappa(c).rate is None
        assert "chance" in kappa(c).reason
    assert kappa(Calibration(10, 0, 0, 0)).rate == 0


def test_kappas_interval_covers() -> None:
    """300 samples of 60 items from a table whose kappa is 0.6: 95 % give or take chance."""
    rng, cells = np.random.default_rng(5), np.array([0.4, 0.1, 0.1, 0.4])
    held = 0
    for tp, fn, fp, tn in rng.multinomial(60, cells, size=300):
        found = cohen_kappa(Calibration(int(tp + fn), int(tp), int(fp + tn), int(tn)), rng)
        held += found.low <= 0.6 <= found.high
    assert proportion_interval(held, 300, 0.99).high >= 0.94


@settings(max_examples=40)
@given(st.tuples(*[st.integers(0, 40)] * 4).filter(lambda cells: sum(cells) > 0))
def test_kappa_does_not_mind_who_is_the_judge_or_what_is_good(
    cells: tuple[int, int, int, int],
) -> None:
    tp, fn, fp, tn = cells
    first = kappa(Calibration(tp + fn, tp, fp + tn, tn))
    swapped = kappa(Calibration(tp + fp, tp, fn + tn, tn))
    turned = kappa(Calibration(fp + tn, tn, tp + fn, tp))
    assert first.rate == pytest.approx(swapped.rate) == pytest.approx(turned.rate)
    assert -1 <= first.low <= first.high <= 1
    if first.rate is not None:
        assert first.low <= first.rate <= first.high


def test_agreement_says_what_it_lacks() -> None:
    found = agreement(Calibration(10, 9, 0, 0), np.random.default_rng(0))
    assert (found.tpr.low, found.tpr.high) == proportion_interval(9, 10)
    assert found.tnr.rate is None
    assert found.tnr.reason == "no label is bad"
    assert (found.tnr.low, found.tnr.high) == (0, 1)
    assert found.share.rate == 0.9


def test_drift_by_hand() -> None:
    then = dict.fromkeys("abcdefgh", 1) | {"x": 0, "only then": 1}
    now = dict.fromkeys("ab", 1) | dict.fromkeys("cdefgh", 0) | {"x": 1, "only now": 0}
    found = drift(then, now)
    assert (found.n, found.gained, found.lost) == (9, 1, 6)
    assert found.p == 0.125  # 1 against 6, as in the test of McNemar itself
    assert found.flipped.rate == pytest.approx(7 / 9)
    back = drift(now, then)
    assert (back.gained, back.lost, back.p) == (6, 1, found.p)


def test_a_judge_that_flips_both_ways_shows_in_the_share_only() -> None:
    then = {str(i): i % 2 for i in range(40)}
    found = drift(then, {item: 1 - verdict for item, verdict in then.items()})
    assert found.p == 1
    assert found.flipped.low > 0.9
    assert drift(then, then).flipped.rate == 0


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(DeveloperError, match="same ids"):
        drift({"a": 1}, {"b": 1})
