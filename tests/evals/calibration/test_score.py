"""The intervals against what they must be: limits worked by hand, symmetry, brute force."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agentops_ref.evals.calibration import (
    Calibration,
    Counts,
    Judged,
    Setting,
    corrected_rate,
    simulate,
)
from agentops_ref.evals.calibration.counts import Estimates
from agentops_ref.evals.calibration.posterior import combined
from agentops_ref.evals.calibration.score import (
    _score_contrast,
    falling_root,
    most_likely,
    rogan_gladen,
)
from agentops_ref.intervals import proportion_interval

Z = 1.959963984540054
Method = Callable[[Counts, float], Estimates]


def drawn(seed: int, n: int = 200, *, classes: int = 0) -> Counts:
    """Counts of all kinds, few and many, likely and absurd; ``classes`` labels of each at least."""
    rng = np.random.default_rng(seed)
    most = rng.integers(1, 150, size=(3, n))
    positives, negatives = rng.integers(classes, classes + most[:2])
    positives += (positives + negatives) == 0
    judged = rng.integers(1, 1 + 2 * most[2])
    share = rng.beta(0.5, 0.5, size=(3, n))  # often nearly all or none
    hits = rng.binomial(np.stack((positives, negatives, judged)), share)
    parts = (positives, hits[0], negatives, hits[1], judged, hits[2])
    return Counts(*(part.astype(float) for part in parts))


def turned(c: Counts) -> Counts:
    """Call what was good bad, for people and judge."""
    bad = c.judged - c.judged_positive
    return Counts(c.negatives, c.true_negatives, c.positives, c.true_positives, c.judged, bad)


seeds = pytest.mark.parametrize("seed", range(4))
both = pytest.mark.parametrize("method", [combined, rogan_gladen])


# --- limits that are known ----------------------------------------------------------------------


def test_a_judge_that_says_nothing_leaves_wilson_on_the_labels() -> None:
    """TPR = FPR: the verdicts drop out of the likelihood wherever they agree with the labels'."""
    found = corrected_rate(Calibration(40, 20, 10, 5), Judged(200, 100), same_population=True)
    assert (found.low, found.high) == pytest.approx(proportion_interval(40, 50), abs=0.02)
    assert found.rate == pytest.approx(0.8)


def test_a_judge_known_to_be_right_leaves_wilson_on_all_items() -> None:
    found = corrected_rate(
        Calibration(40_000, 40_000, 40_000, 40_000), Judged(300, 225), same_population=False
    )
    assert found.rate == pytest.approx(0.75)
    assert (found.low, found.high) == pytest.approx(proportion_interval(225, 300), abs=2e-3)


def test_the_combined_estimate_by_hand() -> None:
    # Verdicts: 36 + 1 of 50 labelled and 300 of 400 judged are good, so pi = 337 / 450. Of the
    # labelled, 36 / 37 called good and 4 / 13 called bad are good.
    pi = 337 / 450
    found = corrected_rate(Calibration(40, 36, 10, 9), Judged(400, 300), same_population=True)
    assert found.rate == pytest.approx(pi * 36 / 37 + (1 - pi) * 4 / 13)


def test_rogan_and_gladen_by_hand() -> None:
    # (0.75 - 0.1) / (0.9 - 0.1)
    found = corrected_rate(Calibration(40, 36, 10, 9), Judged(400, 300), same_population=False)
    assert found.rate == pytest.approx(0.8125)


def test_fewer_labels_and_fewer_verdicts_give_wider_intervals() -> None:
    for same in (True, False):
        widths = [
            corrected_rate(
                Calibration(40 * a, 36 * a, 10 * a, 9 * a), Judged(100 * b, 75 * b),
                same_population=same,
            ).width
            for a, b in ((8, 8), (2, 8), (2, 1), (1, 1))
        ]  # fmt: skip
        assert widths == sorted(widths)
        assert len(set(widths)) == len(widths)


# --- what holds for all counts ------------------------------------------------------------------


@both
@seeds
def test_the_interval_holds_the_estimate_within_0_and_1(method: Method, seed: int) -> None:
    rate, low, high = method(drawn(seed), 0.95)
    assert np.all((low >= 0) & (low <= high) & (high <= 1))
    none = np.isnan(rate)
    assert np.all((low[none] == 0) & (high[none] == 1))
    assert np.all((low <= rate + 1e-7)[~none] & (rate <= high + 1e-7)[~none])
    assert none.any() == (method is rogan_gladen)


@both
@seeds
def test_calling_good_bad_turns_the_interval_around(method: Method, seed: int) -> None:
    rate, low, high = method(drawn(seed), 0.95)
    other, other_low, other_high = method(turned(drawn(seed)), 0.95)
    np.testing.assert_allclose(1 - rate, other, atol=1e-9)
    np.testing.assert_allclose(1 - high, other_low, atol=1e-5)
    np.testing.assert_allclose(1 - low, other_high, atol=1e-5)


@both
@seeds
def test_more_good_verdicts_of_an_able_judge_never_lower_the_rate(
    method: Method, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(20):
        sizes, (skill, rate) = rng.integers(30, 400, size=2), rng.uniform(0.65, 0.95, size=2)
        setting = Setting(int(sizes[0]), int(sizes[1]), skill, skill, rate)
        parts.append(simulate(setting, 10, rng))
    counts = Counts(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    able = (counts.tpr > counts.fpr) & (counts.judged_positive < counts.judged)
    counts = Counts(*(part[able] for part in counts))
    fewer = method(counts, 0.95)
    more = method(counts._replace(judged_positive=counts.judged_positive + 1), 0.95)
    given = ~np.isnan(fewer.rate + more.rate)
    assert given.sum() > 150
    assert np.all((more.rate - fewer.rate)[given] >= -1e-9)
    # Nearer to the middle a share varies more: a good verdict may move an end of `combined` back.
    slack = 0.005 if method is combined else 1e-6
    assert np.all((more.low - fewer.low)[given] >= -slack)
    assert np.all((more.high - fewer.high)[given] >= -slack)


@both
@seeds
def test_a_higher_level_is_wider(method: Method, seed: int) -> None:
    rate, low, high = method(drawn(seed), 0.9)
    given = ~np.isnan(rate)
    _, wide_low, wide_high = method(drawn(seed), 0.99)
    assert np.all((wide_low <= low + 1e-7)[given] & (high <= wide_high + 1e-7)[given])


@seeds
def test_the_most_likely_shares_meet_the_constraint_and_no_others_are_likelier(seed: int) -> None:
    counts = drawn(seed, classes=1)
    theta = np.random.default_rng(seed).uniform(0.01, 0.99, size=counts.labels.shape)
    pi, tpr, fpr = most_likely(theta, counts)
    np.testing.assert_allclose(pi, theta * tpr + (1 - theta) * fpr, atol=1e-6)

    def likelihood(tpr: NDArray[np.float64], fpr: NDArray[np.float64]) -> NDArray[np.float64]:
        pi = theta * tpr + (1 - theta) * fpr
        total = np.zeros_like(theta)
        for hits, n, p in (
            (counts.judged_positive, counts.judged, pi),
            (counts.true_positives, counts.positives, tpr),
            (counts.negatives - counts.true_negatives, counts.negatives, fpr),
        ):
            total += np.where(hits > 0, hits * np.log(np.maximum(p, 1e-300)), 0)
            total += np.where(n > hits, (n - hits) * np.log(np.maximum(1 - p, 1e-300)), 0)
        return total

    best = likelihood(tpr, fpr)
    for a, b in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (0.01, -0.01), (-0.01, 0.01)):
        inside = (np.minimum(tpr + a, fpr + b) >= 0) & (np.maximum(tpr + a, fpr + b) <= 1)
        beside = likelihood((tpr + a).clip(0, 1), (fpr + b).clip(0, 1))
        assert np.all((beside <= best + 1e-5) | ~inside)


@seeds
def test_the_ends_are_those_of_a_search_through_all_rates(seed: int) -> None:
    counts = drawn(seed, classes=1)
    rate, low, high = rogan_gladen(counts, 0.95)
    asked = np.linspace(0.005, 0.995, 100)
    scores = np.stack([_score_contrast(np.full(rate.shape, theta), counts) for theta in asked])
    compared = 0
    for i in np.flatnonzero(~np.isnan(rate)):
        kept = asked[np.abs(scores[:, i]) <= Z]
        if not len(kept):
            continue
        assert low[i] <= kept[0] + 1e-6
        assert kept[-1] - 1e-6 <= high[i]
        # A score that does not fall all the way (a hopeless judge) may give more than it must.
        if np.all(np.diff(scores[:, i]) < 0):
            compared += 1
            assert (low[i], high[i]) == pytest.approx((kept[0], kept[-1]), abs=0.0101)
    assert compared > 30


@seeds
def test_the_combined_ends_are_those_of_draws_after_the_counts(seed: int) -> None:
    """Beta distributions drawn from, three at a time: what the matched moments stand for."""
    settings = [Setting(n, 400, 0.8, 0.9, rate) for n in (100, 400) for rate in (0.3, 0.6, 0.9)]
    parts = [
        simulate(one, 10, np.random.default_rng([seed, at])) for at, one in enumerate(settings)
    ]
    counts = Counts(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    _, low, high = combined(counts, 0.95)
    rng = np.random.default_rng(seed)

    def share(hits: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
        return rng.beta(hits + 0.5, n - hits + 0.5, size=(10_000, len(n)))

    pi = share(counts.labelled_good + counts.judged_positive, counts.labels + counts.judged)
    good = share(counts.true_positives, counts.labelled_good)
    bad = share(counts.positives - counts.true_positives, counts.labels - counts.labelled_good)
    rates = pi * good + (1 - pi) * bad
    ends = np.quantile(rates, [0.0225, 0.9775], axis=0)
    assert np.all(low <= ends[0] + 0.005)
    assert np.all(ends[1] - 0.005 <= high)
    # The other prior widens by little where there is something to count.
    assert 1 <= np.mean(high - low) / np.mean(ends[1] - ends[0]) < 1.06


@given(st.lists(st.floats(-0.9, 0.9), min_size=1, max_size=8), st.integers(1, 7))
def test_a_root_is_found_for_each_function(roots: list[float], power: int) -> None:
    at = np.array(roots)
    odd = 2 * power - 1
    found = falling_root(lambda x: -np.sign(x - at) * np.abs(x - at) ** odd, -1, 1, at.shape)
    # x ** 13 is 0 in floating point well beside its root, which is as good.
    assert np.all(np.abs(found - at) ** odd <= 1e-8)


def test_a_function_without_a_root_gives_the_end_where_it_would_be() -> None:
    assert falling_root(lambda x: x * 0 - 1, -1, 1, (1,)) == -1
    assert falling_root(lambda x: x * 0 + 1, -1, 1, (1,)) == 1
