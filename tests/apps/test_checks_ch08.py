"""Chapter 8's checks accept what is right and name what is not."""

from __future__ import annotations

import pytest

from agentops_ref.apps.checks.ch08 import SAID, fewest_cases, matcher, size
from agentops_ref.evals import gate_power, states


def test_the_packages_matcher_passes_and_the_substring_does_not() -> None:
    assert matcher(states).right
    naive = matcher(lambda answer, fact: fact in answer)
    assert not naive.right
    assert "120" in naive.why


def test_constant_matchers_and_broken_ones_are_told_where_they_fail() -> None:
    assert SAID[1].answer in matcher(lambda answer, fact: True).why
    assert SAID[0].answer in matcher(lambda answer, fact: False).why
    assert "ZeroDivisionError" in matcher(lambda answer, fact: bool(1 / 0)).why


def test_the_size_is_the_one_after_the_last_that_falls_short() -> None:
    wanted = fewest_cases(rate=0.7, threshold=0.6, power=0.8)
    assert gate_power(wanted - 1, 0.7, 0.6) < 0.8
    assert all(gate_power(n, 0.7, 0.6) >= 0.8 for n in range(wanted, 4 * wanted))
    asked = {"rate": 0.7, "threshold": 0.6, "power": 0.8}
    assert size(wanted, **asked).right
    assert not size(wanted - 1, **asked).right
    assert "fewer" in size(wanted + 40, **asked).why


@pytest.mark.parametrize("wrong", [0, -3, True, 12.5, "many", None])
def test_what_is_no_size_is_named(wrong: object) -> None:
    checked = size(wrong, rate=0.7, threshold=0.6, power=0.8)  # type: ignore[arg-type]
    assert not checked.right
    assert repr(wrong) in checked.why


def test_a_rate_at_the_threshold_has_no_size() -> None:
    with pytest.raises(ValueError, match="too close"):
        fewest_cases(rate=0.605, threshold=0.6, power=0.8)
