"""Expected values come from published tables and from cases worked by hand."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.statistics import (
    cases_for,
    gate_power,
    mcnemar,
    paired_bootstrap,
    pass_hat_k,
    proportion_interval,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3 (score, uncorrected).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    assert proportion_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_by_hand() -> None:
    # One of one at z = 1.96: low = 1 / (1 + z²) = 1 / 4.8415, high = 1.
    assert proportion_interval(1, 1) == pytest.approx((0.20654, 1.0), abs=1e-4)


def test_no_trials_say_nothing() -> None:
    assert proportion_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_is_symmetric(pair: tuple[int, int]) -> None:
    successes, n = pair
    low, high = proportion_interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    mirrored = proportion_interval(n - successes, n)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-9)
    assert proportion_interval(successes, n, 0.8).low >= low


@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2), (0, -1)])
def test_wilson_refuses_nonsense(arguments: tuple[int, int]) -> None:
    with pytest.raises(DeveloperError):
        proportion_interval(*arguments)
    with pytest.raises(DeveloperError):
        proportion_interval(1, 2, level=95)


def test_bootstrap_is_reproducible_and_centred() -> None:
    a, b = [0, 0, 1, 1, 0, 1, 0, 0], [1, 0, 1, 1, 1, 1, 0, 1]
    first = paired_bootstrap(a, b, np.random.default_rng(7))
    assert first == paired_bootstrap(a, b, np.random.default_rng(7))
    assert first.mean == pytest.approx(3 / 8)
    # A resampled sum is binomial(8, 3/8): P(0) = 0.023, P(<= 1) = 0.135, P(<= 4) = 0.863 and
    # P(<= 5) = 0.964, so its 5 % and 95 % quantiles are 1 and 5.
    nine_tenths = paired_bootstrap(a, b, np.random.default_rng(7), level=0.9)
    assert nine_tenths == pytest.approx((3 / 8, 1 / 8, 5 / 8))


def test_bootstrap_pairs_cases() -> None:
    # The cases differ widely, the systems always by 0.1: pairing leaves no width.
    a = [0.0, 0.3, 0.5, 0.9]
    b = [value + 0.1 for value in a]
    assert paired_bootstrap(a, b, np.random.default_rng(1)) == pytest.approx((0.1, 0.1, 0.1))


def test_bootstrap_refuses_unpaired() -> None:
    with pytest.raises(DeveloperError):
        paired_bootstrap([1], [1, 0], np.random.default_rng(1))
    with pytest.raises(DeveloperError):
        paired_bootstrap([], [], np.random.default_rng(1))


def test_mcnemar_by_hand() -> None:
    # 1 against 6: 2 · (1 + 7) / 2⁷ = 16 / 128.
    assert mcnemar(1, 6) == 0.125
    assert mcnemar(6, 1) == 0.125
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    with pytest.raises(DeveloperError):
        mcnemar(-1, 2)


def test_gate_power_is_what_simulation_finds() -> None:
    rng = np.random.default_rng(7)
    for n, rate, threshold in ((40, 0.8, 0.6), (95, 0.7, 0.6), (200, 0.65, 0.6), (30, 0.6, 0.6)):
        drawn = rng.binomial(n, rate, size=4000)
        lows = {k: proportion_interval(int(k), n).low for k in set(drawn.tolist())}
        share = np.mean([lows[int(k)] >= threshold for k in drawn])
        assert gate_power(n, rate, threshold) == pytest.approx(share, abs=0.03)


def test_gate_power_at_its_ends() -> None:
    assert gate_power(10, 1.0, 0.6) == 1.0
    assert gate_power(10, 0.0, 0.6) == 0.0
    assert gate_power(3, 0.9, 0.9) == 0.0  # three of three is not enough: the lower end is 0.44
    assert gate_power(1, 0.3, 0.0) == pytest.approx(1.0)
    for wrong in ((0, 0.5), (5, -0.1), (5, 1.1)):
        with pytest.raises(DeveloperError):
            gate_power(*wrong, 0.5)


# --- several tries of each case -----------------------------------------------------------------


def test_pass_hat_k_is_the_share_of_drawn_tries_that_all_pass() -> None:
    """Against drawing k of the tries in every possible way."""
    from itertools import combinations

    passed, trials = [0, 1, 3, 4], 4
    for k in (1, 2, 4):
        tries = [[True] * count + [False] * (trials - count) for count in passed]
        ways = [[all(way) for way in combinations(one, k)] for one in tries]
        expected = float(np.mean([np.mean(way) for way in ways]))
        found = pass_hat_k(passed, trials, k, np.random.default_rng(3))
        assert found.mean == pytest.approx(expected)
        assert 0 <= found.low <= found.mean <= found.high <= 1


@pytest.mark.parametrize(
    ("passed", "trials", "k"), [([], 4, 1), ([5], 4, 1), ([-1], 4, 1), ([1], 4, 5), ([1], 4, 0)]
)
def test_pass_hat_k_refuses_what_cannot_be(passed: list[int], trials: int, k: int) -> None:
    with pytest.raises(DeveloperError, match="expected"):
        pass_hat_k(passed, trials, k, np.random.default_rng(3))


@pytest.mark.parametrize(("half_width", "n"), [(0.1, 93), (0.05, 381), (0.2, 21)])
def test_the_cases_that_an_interval_needs_by_hand(half_width: float, n: int) -> None:
    # At a share of one half, half the width is z / (2 sqrt(n + z²)): n = z² / 4h² - z², rounded up.
    assert cases_for(half_width) == n == ceil(3.8415 / (4 * half_width**2) - 3.8415)


@given(st.floats(0.02, 0.6), st.floats(0, 1))
def test_one_case_fewer_would_be_too_few(half_width: float, rate: float) -> None:
    n = cases_for(half_width, rate=rate)
    widths = [e.high - e.low for e in (proportion_interval(rate * m, m) for m in (n, n - 1) if m)]
    assert widths[0] / 2 <= half_width
    assert n == 1 or widths[1] / 2 > half_width


@pytest.mark.parametrize(("half_width", "rate"), [(0, 0.5), (-0.1, 0.5), (0.1, 1.2)])
def test_no_cases_for_no_width(half_width: float, rate: float) -> None:
    with pytest.raises(DeveloperError, match="width above 0"):
        cases_for(half_width, rate=rate)
