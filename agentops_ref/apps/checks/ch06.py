"""Checks of chapter 6: predict what the gates of a registry say, and write the rule of what counts.

What is right is found by calling a registry, and by the rule that the stores of facts use.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from agentops_ref.agents.memory.facts import FactSource, new_fact, successors
from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.agents.tools.spec import Rate
from agentops_ref.apps.checks import Checked

# --- exercise 1: the gates --------------------------------------------------------------------

OUTCOMES: Mapping[str, str] = {
    "ok": "the tool runs and answers",
    "unknown": "there is no such tool, and the nearest one that the agent may call is named",
    "denied": "the agent is not on the tool's list, and nothing runs",
    "invalid": "the arguments are not those of the schema, and nothing runs",
    "limited": "it was called too often, and nothing runs",
    "repeated": "the first call's result is told again, and nothing runs a second time",
    "timeout": "the caller waits no longer, and whatever comes later is dropped",
    "failed": "the tool ran and raised, and its words are told",
}
"""What can become of a call, in the words of the exercise."""


def heat_demand(area_m2: int, insulated: bool = True) -> float:
    """Heat demand of a house in kW."""
    if area_m2 > 10_000:
        raise ValueError("no house is that large")
    if area_m2 == 1:
        time.sleep(1)
    return area_m2 * (0.05 if insulated else 0.11)


def book_visit(serial: str, day: str) -> str:
    """Book a technician's visit."""
    return f"booked for {serial} on {day}"


def _registry() -> Registry:
    mine = ("planner",)
    return Registry(
        [
            FunctionTool(heat_demand, agents=mine, rate=Rate(3, 60), timeout=0.25),
            FunctionTool(book_visit, agents=mine, effect="write"),
        ]
    )


_PLANNER = Caller("planner", request="one")
_OTHER = replace(_PLANNER, request="another")
_VISIT = {"serial": "NL8-241007", "day": "2026-03-04"}

Call = tuple[str, object, Caller]
CALLS: Mapping[str, Sequence[Call]] = {
    "planner asks for 140 m2": [("heat_demand", {"area_m2": 140}, _PLANNER)],
    "planner asks for 'large' m2": [("heat_demand", {"area_m2": "large"}, _PLANNER)],
    "planner gives an argument 'colour' as well": [
        ("heat_demand", {"area_m2": 140, "colour": "red"}, _PLANNER)
    ],
    "cleaner asks for 140 m2": [("heat_demand", {"area_m2": 140}, Caller("cleaner"))],
    "planner calls a tool 'heat_demands'": [("heat_demands", {"area_m2": 140}, _PLANNER)],
    "planner asks for a fourth house within a minute": [
        ("heat_demand", {"area_m2": 100 + n}, _PLANNER) for n in range(4)
    ],
    "planner asks for 140 m2 again in the same request": [
        ("heat_demand", {"area_m2": 140}, _PLANNER) for _ in range(2)
    ],
    "planner books the same visit again in the same request": [
        ("book_visit", _VISIT, _PLANNER) for _ in range(2)
    ],
    "planner books the same visit in another request": [
        ("book_visit", _VISIT, _PLANNER),
        ("book_visit", _VISIT, _OTHER),
    ],
    "the function sleeps for a second": [("heat_demand", {"area_m2": 1}, _PLANNER)],
    "the function raises an error": [("heat_demand", {"area_m2": 20_000}, _PLANNER)],
}
"""What happens → the calls, of which the last one is asked about."""


@cache
def happened(call: str) -> str:
    """Return which of `OUTCOMES` the last call has, by making all of them."""
    registry = _registry()
    for name, arguments, caller in CALLS[call]:
        result = registry.call(name, arguments, caller)
    return "repeated" if result.ok and result.repeated else result.status


def gates(answer: Mapping[str, str]) -> Checked:
    """Compare what is predicted of each call, call → outcome, with what a registry says."""
    for call in CALLS:
        said, found = answer.get(call, ""), happened(call)
        if said not in OUTCOMES:
            given = f"is '{said}'" if said else "has no prediction"
            return Checked(False, f"“{call}” {given}; expected one of {', '.join(OUTCOMES)}.")
        if said != found:
            return Checked(
                False, f"“{call}”: you say {said}, the registry {found}: {OUTCOMES[found]}."
            )
    return Checked(
        True,
        f"All {len(CALLS)} calls end as you say. Two are worth a second look: a read may be "
        "repeated, a write of one request is made once; and what another request books, the "
        "registry cannot know, so that the schedule itself has to refuse it.",
    )


# --- exercise 2: what counts ------------------------------------------------------------------


class Told(NamedTuple):
    """A fact of one attribute of one customer."""

    text: str
    day: int
    """When it was said."""
    vague: bool = False
    until: int | None = None
    """First day on which it no longer holds."""


START = datetime(2026, 1, 1, tzinfo=UTC)


def counting(told: Iterable[Told], now: int) -> set[str]:
    """Return the texts that count on day ``now``; ``told`` is in the order of arrival."""
    facts = [
        new_fact(
            tenant="t",
            subject="s",
            attribute="a",
            text=one.text,
            source=FactSource("", str(number), "customer"),
            learned_at=START + timedelta(days=one.day),
            certainty="vague" if one.vague else "stated",
            valid_until=None if one.until is None else START + timedelta(days=one.until),
        )
        for number, one in enumerate(told)
    ]
    facts.sort(key=lambda one: one.learned_at)
    newer = successors(facts)
    at = START + timedelta(days=now)
    return {one.text for one in facts if replace(one, superseded_by=newer[one.id]).current(at)}


_HAND: Mapping[str, tuple[list[Told], int]] = {
    "one fact": ([Told("Fridays", 1)], 2),
    "a newer fact": ([Told("Fridays", 1), Told("Tuesdays", 5)], 6),
    "an older fact that arrives late": ([Told("Tuesdays", 5), Told("Fridays", 1)], 6),
    "two of one day": ([Told("Fridays", 1), Told("Tuesdays", 1)], 2),
    "a vague one after a stated one": (
        [Told("Fridays", 1), Told("maybe Tuesdays", 5, vague=True)],
        6,
    ),
    "a stated one after a vague one": (
        [Told("maybe Tuesdays", 1, vague=True), Told("Fridays", 5)],
        6,
    ),
    "a vague one after a vague one": (
        [Told("maybe Tuesdays", 1, vague=True), Told("perhaps Mondays", 5, vague=True)],
        6,
    ),
    "a fact on the day on which it ends": ([Told("away", 1, until=4)], 4),
    "a newer fact that has ended": ([Told("Fridays", 1), Told("away", 5, until=8)], 9),
}


def _histories(number: int) -> Iterable[tuple[list[Told], int]]:
    draw = random.Random(6)
    for _ in range(number):
        told = []
        for text in "ABCDEF"[: draw.randint(1, 6)]:
            day = draw.randint(0, 6)
            until = draw.choice([None, None, day + draw.randint(1, 6)])
            told.append(Told(text, day, draw.random() < 0.4, until))
        yield told, draw.randint(6, 12)


def rule(
    mine: Callable[[list[Told], int], Collection[str]], *, random_histories: int = 300
) -> Checked:
    """Try a rule on histories made by hand, and on random ones."""
    cases = [*((name, *case) for name, case in _HAND.items())]
    cases += [
        (f"a random history: {told}", told, now) for told, now in _histories(random_histories)
    ]
    for name, told, now in cases:
        try:
            said = set(mine(list(told), now))
        except Exception as error:
            return Checked(False, f"The rule failed on {name} ({type(error).__name__}: {error}).")
        wanted = counting(told, now)
        if said != wanted:
            return Checked(
                False,
                f"{name[0].upper()}{name[1:]}: on day {now} {_named(wanted)} counts, you say "
                f"{_named(said)}.",
            )
    return Checked(
        True,
        f"It agrees with the store on {len(_HAND)} histories made by hand and {random_histories} "
        "random ones. That a newer fact which has ended does not bring the older one back is a "
        "choice: whoever said something newer no longer stands by the older.",
    )


def _named(texts: Collection[str]) -> str:
    return " and ".join(f"“{one}”" for one in sorted(texts)) or "nothing"
