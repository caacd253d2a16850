"""What waits for whom: by kind, amount and confidence; the first rule that fits decides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.agents.approvals import Demand, Policy, Rule, confidence
from agentops_ref.agents.tools import ToolSpec
from tests.agents.approvals.parts import POLICY

PAY = ToolSpec("pay", "Pay.", {"type": "object"}, effect="write")


@pytest.mark.parametrize(
    ("arguments", "said", "role"),
    [
        ({"euros": 100}, "pay 100", None),
        ({"euros": 100.01}, "pay 100.01", "treasurer"),
        ({"euros": 50}, "pay them something", "clerk"),
        ({}, "pay", "treasurer"),  # no amount is not a small one
        ({"euros": "7"}, "pay 7", "treasurer"),
        ({"euros": None}, "pay", "treasurer"),
        ({"euros": True}, "pay", "treasurer"),
        ({"euros": float("nan")}, "pay nan", "treasurer"),
    ],
)
def test_amount_and_confidence_decide(
    arguments: dict[str, Any], said: str, role: str | None
) -> None:
    found = POLICY.demand(PAY, arguments, said)
    assert (found.role if found else None) == role


def test_a_write_that_no_rule_names_waits_and_a_read_never_does() -> None:
    other = ToolSpec("delete_customer", "Delete.", {"type": "object"}, effect="write")
    assert POLICY.demand(other, {}, "") == Demand("chief", "no rule lets it be done unasked")
    assert POLICY.demand(ToolSpec("pay", "Read.", {"type": "object"}), {"euros": 1e9}, "") is None


def test_patterns_name_kinds_of_tools() -> None:
    policy = Policy([Rule(("delete_*",), "owner"), Rule(("*",))], role="chief")
    spec = ToolSpec("delete_all", "Delete.", {"type": "object"}, effect="write")
    assert policy.demand(spec, {}, "") == Demand("owner", "a rule says so")
    assert policy.demand(PAY, {}, "") is None


@pytest.mark.parametrize(
    ("arguments", "said", "share"),
    [
        ({"day": "2025-03-06"}, "come on 6 March 2025", 1),
        ({"day": "2025-03-06"}, "come on March 6, 2025", 1),
        ({"day": "2025-03-06"}, "come on 06.03.2025 please", 1),
        ({"day": "2025-03-06"}, "come on 7 March 2025", 0),
        ({"serial": "NL12-241022"}, "book for nl12-241022.", 1),
        ({"serial": "NL12-241022"}, "book for NL12-2410225", 0),
        ({"euros": 5}, "pay 50", 0),
        ({"euros": 50}, "pay 50.00 EUR", 1),
        ({"a": {"b": ["T02", "T03"]}}, "T02", 0.5),
        ({"reason": "it came late"}, "", 1),
        ({}, "", 1),
    ],
)
def test_confidence_is_the_share_of_values_that_were_said(
    arguments: dict[str, Any], said: str, share: float
) -> None:
    assert confidence(arguments, said) == share


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.text(),
)
def test_confidence_is_a_share_whatever_a_model_says(value: Any, said: str) -> None:
    assert 0 <= confidence({"x": value}, said) <= 1
