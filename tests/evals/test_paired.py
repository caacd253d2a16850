"""Paired statistics against published values, against brute force, and by their invariants."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.paired import (
    cases_to_detect,
    detectable_difference,
    holm,
    paired_interval,
    tango_interval,
)
from agentops_ref.intervals import quantile_interval

Z = 1.959963984540054


def test_tango_gives_the_published_interval() -> None:
    # Complete response of 161 patients before and after consolidation therapy (Cavo et al. 2012):
    # the example and its interval are those of contingencytables, the R package of Fagerland,
    # Lydersen and Laake, "Statistical Analysis of Contingency Tables", 2017, chapter 8.
    found = tango_interval(16, 6, 161)
    assert (round(found.mean, 4), round(found.low, 4), round(found.high, 4)) == (
        -0.0621,
        -0.1240,
        -0.0054,
    )


def test_nothing_differing_is_no_certainty() -> None:
    found = tango_interval(0, 0, 50)
    # Both ends in closed form: z² / (n + z²).
    assert found.high == pytest.approx(Z**2 / (50 + Z**2), abs=1e-6)
    assert found.low == pytest.approx(-found.high)
    assert found.mean == 0


@pytest.mark.parametrize(
    ("only_a", "only_b", "n"),
    # The second one is the other example of that chapter: airway hyper-responsiveness of 21
    # children before and after stem cell transplantation (Bentur et al. 2009).
    [(3, 9, 30), (7, 1, 21), (0, 5, 12), (16, 6, 161)],
)
def test_tango_inverts_the_score_test_of_the_best_likelihood(
    only_a: int, only_b: int, n: int
) -> None:
    # Nothing of the closed form is used: the likelihood under a difference is maximised by golden
    # section, and an end of the interval is where the score test changes its mind.
    def worse(share: float, delta: float) -> float:
        chances = (share, share + delta, 1 - 2 * share - delta)
        counts = (only_a, only_b, n - only_a - only_b)
        return -sum(k * log(max(p, 1e-300)) for k, p in zip(counts, chances, strict=True) if k)

    def score(delta: float) -> float:
        low, high = max(0.0, -delta), (1 - delta) / 2
        for _ in range(200):
            left, right = low + 0.382 * (high - low), high - 0.382 * (high - low)
            if worse(left, delta) < worse(right, delta):
                high = right
            else:
                low = left
        variance = n * (2 * low + delta - delta * delta)
        return float((only_b - only_a - n * delta) / variance**0.5)

    found = tango_interval(only_a, only_b, n)
    assert score(found.low) == pytest.approx(Z, abs=1e-4)
    assert score(found.high) == pytest.approx(-Z, abs=1e-4)
    assert abs(score(found.low + 0.01)) < Z < score(found.low - 0.01)
    assert abs(score(found.high - 0.01)) < Z < -score(found.high + 0.01)


counts = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60)).filter(sum)


@given(counts)
def test_tango_is_symmetric_and_agrees_with_mcnemar(drawn: tuple[int, int, int]) -> None:
    only_a, only_b, _ = drawn
    n = sum(drawn)
    one, other = tango_interval(only_a, only_b, n), tango_interval(only_b, only_a, n)
    assert -1 <= one.low <= one.mean <= one.high <= 1
    assert one.low == pytest.approx(-other.high, abs=1e-9)
    differing = only_a + only_b
    statistic = abs(only_b - only_a) / differing**0.5 if differing else 0.0
    if abs(statistic - Z) > 1e-6:
        assert (one.low <= 0 <= one.high) == (statistic < Z)
    wider = tango_interval(only_a, only_b, n, level=0.99)
    assert wider.low <= one.low
    assert one.high <= wider.high


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_paired_interval_takes_shares(pairs: list[tuple[float, float]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = paired_interval(a, b)
    assert found.mean == pytest.approx(sum(b) / len(b) - sum(a) / len(a), abs=1e-9)
    assert -1 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1


def test_paired_interval_refuses_what_is_no_pair() -> None:
    with pytest.raises(DeveloperError, match="got 1 and 2"):
        paired_interval([1], [1, 0])
    with pytest.raises(DeveloperError, match="got 0 and 0"):
        paired_interval([], [])
    with pytest.raises(DeveloperError, match="scores within"):
        paired_interval([1.5], [0])
    with pytest.raises(DeveloperError, match="add up"):
        tango_interval(6, 5, 10)
    with pytest.raises(DeveloperError, match="level"):
        tango_interval(1, 1, 10, level=95)


def test_holm() -> None:
    # By hand: sorted 0.01, 0.02, 0.03, 0.04 → times 4, 3, 2, 1 → never below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    with pytest.raises(DeveloperError, match="p-values"):
        holm([1.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-12
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


def test_cases_to_detect_by_hand() -> None:
    # (1.96 √0.2 + 0.8416 √(0.2 − 0.01))² / 0.01 = 154.6
    assert cases_to_detect(0.1, 0.2) == 155
    assert cases_to_detect(-0.1, 0.2) == 155
    assert cases_to_detect(0.1, 0.2, power=0.9) > 155
    with pytest.raises(DeveloperError, match="other than 0"):
        cases_to_detect(0, 0.2)
    with pytest.raises(DeveloperError, match="discordance"):
        cases_to_detect(0.3, 0.2)


@given(st.integers(10, 2000), st.floats(0.02, 1))
def test_detectable_difference_is_the_inverse(n: int, discordance: float) -> None:
    size = detectable_difference(n, discordance)
    if size is None:
        assert cases_to_detect(discordance, discordance) > n
    else:
        assert cases_to_detect(size, discordance) <= n
        assert size < 2e-9 or cases_to_detect(size * 0.99, discordance) > n * 0.98
    assert detectable_difference(n, 0) is None


def test_quantile_interval() -> None:
    # 0.95^71 = 0.0262 and 0.95^72 = 0.0249: only then is the largest value sure enough.
    assert quantile_interval(list(range(71)), 0.95).high == float("inf")
    assert quantile_interval(list(range(72)), 0.95).high == 71
    assert quantile_interval([], 0.5) == (-float("inf"), float("inf"))
    with pytest.raises(DeveloperError, match="quantile"):
        quantile_interval([1], 1)


def test_quantile_interval_covers() -> None:
    import numpy as np

    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(2000):
        low, high = quantile_interval(rng.random(100).tolist(), 0.9)
        covered += low <= 0.9 <= high
    assert 0.94 < covered / 2000 <= 1
