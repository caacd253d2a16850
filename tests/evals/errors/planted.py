"""A desk with ten defects that can be switched on one by one, and what each leaves behind.

It runs: a plan is made, a unit is looked up, documents are searched, figures are queried, an
answer is written. A defect changes what one of these does; the later ones go on with what they
were given, as a real agent does. Nothing else says where it went wrong.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from agentops_ref.evals.errors import Message, Trace, Visit

UNITS = {"NX4-1": "NX-4", "NL8-2": "NL-8", "DY13-3": "DY-13", "BR50-4": "BR-50"}
FUSES = {"NX-4": "16 A", "NL-8": "20 A", "DY-13": "25 A", "BR-50": "32 A"}
OLD = {"NX-4": "10 A", "NL-8": "13 A", "DY-13": "16 A", "BR-50": "20 A"}
STATES = ("plan", "look up", "search", "query", "answer")


@dataclass
class Run:
    """What is known while a question is answered."""

    unit: str
    defect: str = ""
    visits: list[Visit] = field(default_factory=list)

    def did(self, state: str, output: str, status: str = "ok") -> str:
        self.visits.append(Visit(state, status, self.unit, output))
        return output


def desk(unit: str, defect: str, rng: random.Random) -> Trace:
    """Answer which fuse a unit needs."""
    run = Run(unit, defect)
    others = [one for one in UNITS if one != unit]
    intent = "say hello" if defect == "wrong-intent" else "fuse"
    run.did("plan", intent)
    if defect == "asks-nobody":
        return _ended(run, "I do not know.")
    found = rng.choice(others) if defect == "wrong-unit" else unit
    if defect == "lookup-down":
        run.did("look up", "no connection", "failed")
        return _ended(run, "I do not know.")
    model = run.did("look up", UNITS[found])
    if defect == "lost-model":
        run.did("look up", "a heat pump")
        model = "a heat pump"
    source = "manual 2019" if defect == "stale-manual" else "manual 2024"
    rounds = 4 if defect == "search-loop" else 1
    for _ in range(rounds):
        run.did("search", "nothing" if defect == "search-loop" else f"{source}: {model}")
    if defect == "search-loop":
        return _ended(run, "I do not know.")
    table = OLD if defect == "stale-manual" else FUSES
    value = table.get(model, "20 A")
    if defect == "wrong-column":
        value = f"{len(model)} kW"
    run.did("query", value)
    if defect == "no-unit-of-measure":
        value = value.split()[0]
    if defect == "answers-other":
        value = "Please call us."
    return _ended(run, value)


def _ended(run: Run, answer: str) -> Trace:
    run.did("answer", answer)
    asked = Message("user", f"Which fuse for {run.unit}?")
    id_ = f"{run.defect or 'none'}/{run.unit}"
    told = (asked, Message("assistant", answer))
    right = FUSES[UNITS[run.unit]]
    return Trace(id_, told, tuple(run.visits), "desk", expected=right, source="planted")


DEFECTS = (
    "wrong-intent", "asks-nobody", "wrong-unit", "lookup-down", "lost-model", "stale-manual",
    "search-loop", "wrong-column", "no-unit-of-measure", "answers-other",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a careful reader says of a trace."""

    last_success: str
    first_failure: str
    note: str


def read(trace: Trace) -> Found | None:
    """Read a trace as a person does who knows the units and the manuals, and not the defects.

    Goes through the visits in order, and stops at the first whose output is not what it should be.
    None where nothing is wrong.
    """
    unit = trace.question.split()[-1].rstrip("?")
    model, last = UNITS[unit], "start"
    right = {
        "plan": lambda out: out == "fuse",
        "look up": lambda out: out == model,
        "search": lambda out: out == f"manual 2024: {model}",
        "query": lambda out: out == FUSES[model],
        "answer": lambda out: FUSES[model] in out,
    }
    expected = list(STATES)
    for visit in trace.visits:
        if expected and visit.state in expected:
            skipped = expected[: expected.index(visit.state)]
            if skipped:
                return Found(last, skipped[0], f"{skipped[0]} was left out")
            expected = expected[1:]
        if visit.status != "ok" or not right[visit.state](visit.output):
            return Found(last, visit.state, f"{visit.state} gave {_kind(visit.output, unit)}")
        last = visit.state
    return None


def _kind(output: str, unit: str) -> str:
    """Say what kind of thing it gave, without the unit at hand: that is what makes a category."""
    model = UNITS[unit]
    if output in UNITS.values():
        return "another unit's model"
    for name in UNITS.values():
        output = output.replace(name, "a model")
    if output in OLD.values() or output in FUSES.values():
        return "another current"
    if output.endswith("kW"):
        return "a power"
    if FUSES[model].split()[0] == output:
        return "a number alone"
    return output
