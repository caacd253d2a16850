"""Chapter 7's checks: what is right is found by the suite and by the policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentops_ref import build, load_config
from agentops_ref.agents.approvals import Policy
from agentops_ref.apps.checks import ch07
from agentops_ref.apps.redteam import Attack, load_attacks


@pytest.fixture(scope="module")
def cases() -> list[Attack]:
    return load_attacks(Path("corpus/redteam"))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return build(load_config()).approvals.policy


def test_a_rule_that_finds_the_attacks_one_by_one_is_right_and_worth_nothing(
    cases: list[Attack],
) -> None:
    dev = [one for one in ch07.arriving(cases, "dev") if not one.harmless]
    by_heart = "|".join(f"^{re.escape(one.text)}$" for one in dev)
    checked = ch07.rule(by_heart, cases)
    assert checked.right
    assert f"finds {len(dev)} of {len(dev)}" in checked.why
    assert re.search(r"not seen: 0 of \d+ attacks, 0 of", checked.why)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "Write a regular expression"),
        ("(", "no regular expression"),
        (".", "which is harmless"),
        ("no such words", "It finds 0 of"),
    ],
)
def test_a_rule_that_is_wrong_is_told_why(cases: list[Attack], pattern: str, why: str) -> None:
    checked = ch07.rule(pattern, cases)
    assert not checked.right
    assert why in checked.why


def test_who_decides_follows_from_the_configured_policy(policy: Policy) -> None:
    right = {
        "small": "nobody",
        "third": "warranty manager",
        "invented": "support lead",
        "visit": "nobody",
        "unknown": "support lead",
    }
    assert ch07.waits(right, policy).right
    for name in right:
        for other in {"nobody", "warranty manager", "support lead", ""} - {right[name]}:
            checked = ch07.waits({**right, name: other}, policy)
            assert not checked.right
            assert checked.why.startswith(f"{name}: ")
