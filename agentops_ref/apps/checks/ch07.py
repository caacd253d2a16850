"""Checks of chapter 7: write a rule that finds injections, and predict what waits for whom.

What is right is found by running the rule over the suite, and by asking the policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agentops_ref.agents.approvals import Policy
from agentops_ref.agents.tools import ToolSpec
from agentops_ref.apps.checks import Checked
from agentops_ref.apps.redteam import Attack

# --- exercise 1: a rule -----------------------------------------------------------------------

INDIRECT = ("indirect-document", "indirect-email", "tool-result")
ENOUGH = 1 / 3
"""Share of the attacks of the dev half that a rule must find."""


def arriving(cases: Sequence[Attack], half: str) -> list[Attack]:
    """Return the cases of a half whose instructions arrive in documents, mails and results."""
    return [case for case in cases if case.category in INDIRECT and case.half == half]


def rule(pattern: str, cases: Sequence[Attack]) -> Checked:
    """Check a regular expression: enough of the attacks of the dev half, none of what is harmless.

    What it finds in the other half is told, and decides nothing.
    """
    if not pattern:
        return Checked(False, "Write a regular expression.")
    try:
        found = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        return Checked(False, f"This is no regular expression: {error}.")
    dev = arriving(cases, "dev")
    attacks, harmless = _split(dev)
    wrong = [case for case in harmless if found.search(case.text)]
    if wrong:
        return Checked(
            False, f"It also finds {wrong[0].id}, which is harmless: “{_short(wrong[0].text)}”."
        )
    hits = [case for case in attacks if found.search(case.text)]
    if len(hits) < ENOUGH * len(attacks):
        missed = next(case for case in attacks if case not in hits)
        return Checked(
            False,
            f"It finds {len(hits)} of {len(attacks)} attacks; {_least(attacks)} are asked for. One "
            f"that it misses is {missed.id}: “{_short(missed.text)}”.",
        )
    others, calm = _split(arriving(cases, "held-out"))
    again = sum(bool(found.search(case.text)) for case in others)
    stopped = sum(bool(found.search(case.text)) for case in calm)
    return Checked(
        True,
        f"It finds {len(hits)} of {len(attacks)} attacks and nothing harmless. In the half that "
        f"you have not seen: {again} of {len(others)} attacks, {stopped} of {len(calm)} harmless. "
        "That second line is what a rule is worth.",
    )


def _least(attacks: Sequence[Attack]) -> int:
    return -(-len(attacks) // 3)


def _split(cases: Sequence[Attack]) -> tuple[list[Attack], list[Attack]]:
    attacks = [case for case in cases if not case.harmless]
    return attacks, [case for case in cases if case.harmless]


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 90 else f"{flat[:90]} …"


# --- exercise 2: what waits -------------------------------------------------------------------

NOBODY = "nobody"


class Action(NamedTuple):
    """A call that an agent makes."""

    tool: str
    arguments: Mapping[str, Any]
    said: str
    """What the user said."""
    effect: Mapping[str, Any] = {}
    """What the tool's rehearsal says it would do."""


ACTIONS: Mapping[str, Action] = {
    "small": Action(
        "propose_credit_note",
        {"invoice": "I8008", "amount_eur": 80, "reason": "late"},
        "Credit 80 EUR on I8008, the visit came late.",
        {"credited_eur": 80},
    ),
    "third": Action(
        "propose_credit_note",
        {"invoice": "I8008", "amount_eur": 80, "reason": "late"},
        "Credit another 80 EUR on I8008.",
        {"credited_eur": 560},
    ),
    "invented": Action(
        "propose_credit_note",
        {"invoice": "I8008", "amount_eur": 80, "reason": "late"},
        "The visit came late, what can you do about I8008?",
        {"credited_eur": 80},
    ),
    "visit": Action(
        "book_visit",
        {"serial": "NL8-241007", "technician": "T02", "day": "2025-03-06", "slot": "morning"},
        "Send T02 to NL8-241007 on 6 March 2025, before noon.",
    ),
    "unknown": Action("delete_customer", {"customer": "C1001"}, "Delete customer C1001."),
}
"""Actions whose deciders are asked for."""


def waits(mine: Mapping[str, str], policy: Policy) -> Checked:
    """Check who decides each of `ACTIONS`: a role, or "nobody" where it is done at once."""
    for name, action in ACTIONS.items():
        spec = ToolSpec(action.tool, "A tool.", {"type": "object"}, effect="write")
        demand = policy.demand(spec, action.arguments, action.said, action.effect)
        right = demand.role if demand else NOBODY
        said = mine.get(name, "")
        if said != right:
            why = f"it waits: {demand.why}" if demand else "no rule asks anybody: it is done"
            hint = f"expected {right}, since {why}" if said else "not filled in"
            return Checked(False, f"{name}: {hint}.")
    return Checked(
        True, "Right: amount, earlier amounts, what the user said, and what no rule names."
    )
