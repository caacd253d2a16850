"""A nominal 95 % interval holds the true rate 94 times in a hundred, or it is none.

A small part of the grid of `benchmarks/judge_coverage.py`, with as many repetitions as seconds
allow: a method fails here when its coverage is below 94 % beyond what chance explains.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.calibration import GRID, Coverage, Setting, measure, simulate

SMALL = (
    Setting(50, 100, 0.7, 0.7, 0.95),
    Setting(50, 1000, 0.97, 0.97, 0.8),
    Setting(50, 1000, 0.97, 0.97, 0.95),
    Setting(100, 400, 0.9, 0.9, 0.8),
    Setting(1000, 100, 0.97, 0.97, 0.5),
)


def covered(settings: tuple[Setting, ...], method: str, n: int, seed: int = 1) -> list[Coverage]:
    return [
        row
        for index, setting in enumerate(settings)
        for row in measure(setting, n, np.random.default_rng([seed, index]), methods=[method])
    ]


def too_low(rows: list[Coverage]) -> list[Coverage]:
    return [row for row in rows if row.high < 0.94]


@pytest.mark.parametrize("method", ["combined", "rogan-gladen"])
def test_the_intervals_of_the_package_cover(method: str) -> None:
    rows = covered(SMALL, method, 1500)
    assert not too_low(rows)
    assert np.mean([row.coverage for row in rows]) >= 0.945


@pytest.mark.parametrize("method", ["bootstrap-labels", "bootstrap-both", "naive", "ppi++"])
def test_the_same_test_fails_for_the_others(method: str) -> None:
    assert too_low(covered(SMALL, method, 300))


def test_where_labels_are_chosen_by_class_only_what_carries_tpr_and_tnr_over_covers() -> None:
    elsewhere = tuple(replace(one, balanced=True) for one in SMALL)
    assert not too_low(covered(elsewhere, "rogan-gladen", 1500))
    for method in ("combined", "labels-only", "ppi++"):
        assert too_low(covered(elsewhere, method, 300)), method


def test_the_combined_interval_is_narrower_than_a_bootstrap_that_covers() -> None:
    """Half as wide and less where the judge is poor or was tried on few bad items."""
    covering = (SMALL[0], SMALL[3], SMALL[4])
    ours, theirs = (covered(covering, name, 100) for name in ("combined", "bootstrap-both"))
    for mine, peer in zip(ours, theirs, strict=True):
        assert mine.width < 0.75 * peer.width


def test_a_draw_is_reproducible_and_as_the_setting_says() -> None:
    setting = Setting(100, 400, 0.9, 0.8, 0.7)
    counts = simulate(setting, 4000, np.random.default_rng(3))
    again = simulate(setting, 4000, np.random.default_rng(3))
    assert all(np.array_equal(a, b) for a, b in zip(counts, again, strict=True))
    assert np.all(counts.labels == 100)
    assert counts.positives.mean() == pytest.approx(70, abs=0.3)
    assert np.nanmean(counts.tpr) == pytest.approx(0.9, abs=0.003)
    assert 1 - np.nanmean(counts.fpr) == pytest.approx(0.8, abs=0.005)
    assert counts.judged_positive.mean() / 400 == pytest.approx(0.7 * 0.9 + 0.3 * 0.2, abs=0.002)
    half = simulate(replace(setting, balanced=True), 3, np.random.default_rng(3))
    assert half.positives.tolist() == [50, 50, 50]


def test_refusals_are_counted() -> None:
    # At a rate of 0.95 some fifty labels in 13 (0.95 ** 50) hold no bad item at all.
    (row,) = covered((Setting(50, 100, 0.97, 0.97, 0.95),), "rogan-gladen", 1000)
    assert row.refused == pytest.approx(0.95**50, abs=0.03)
    (row,) = covered((Setting(50, 100, 0.97, 0.97, 0.95),), "combined", 200)
    assert row.refused == 0


def test_the_grid_is_the_one_that_is_claimed() -> None:
    assert len(GRID) == len(set(GRID)) == 4 * 3 * 3 * 3
    assert not any(one.balanced for one in GRID)


@pytest.mark.parametrize("wrong", [(0, 1, 0.9, 0.9, 0.5), (1, 0, 0.9, 0.9, 0.5), (1, 1, 2, 1, 0)])
def test_an_impossible_setting_is_refused(wrong: tuple[int, int, float, float, float]) -> None:
    with pytest.raises(DeveloperError, match="shares within"):
        Setting(*wrong)
