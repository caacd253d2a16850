"""A desk with ten known defects that can be switched on one by one, and what reading shows of them.

A plan is made, a unit is looked up, documents are searched, figures are queried, an answer is
written. A defect changes what one of these does; the later ones go on with what they were given, as
a real agent does. Nothing else says where it went wrong. For chapter 12; what the gate makes of
them is in `agentops_ref.apps.planted_gate`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agentops_ref.evals.errors import (
    Machine,
    Message,
    Readings,
    Taxonomy,
    Trace,
    Visit,
    add_category,
    assign,
    failure_matrix,
    new_reading,
    reading_order,
    trajectories,
)

FUSES = {"NX-4": "16 A", "NL-8": "20 A", "DY-13": "25 A", "BR-50": "32 A"}
OLD = {"NX-4": "10 A", "NL-8": "13 A", "DY-13": "16 A", "BR-50": "20 A"}
DEFECTS = (
    "wrong-intent", "asks-nobody", "wrong-unit", "lookup-down", "lost-model", "stale-manual",
    "search-loop", "wrong-column", "no-unit-of-measure", "answers-other",
)  # fmt: skip
UNITS = {f"{m.replace('-', '')}-{i}": m for i in range(len(DEFECTS)) for m in FUSES}
"""Unit → its model; each defect is read on units of its own, one of each model."""
STATES = ("plan", "look up", "search", "query", "answer")
TOOLS = STATES[1:4]
"""The states that call a tool."""
UNKNOWN = "I do not know."


# --- the desk -----------------------------------------------------------------------------------


@dataclass
class _Run:
    """What is known while a question is answered."""

    visits: list[Visit] = field(default_factory=list)

    def did(self, state: str, output: str, status: str = "ok", **given: str) -> str:
        self.visits.append(Visit(state, status, json.dumps(given), output))
        return output


def desk(unit: str, defect: str, rng: random.Random) -> Trace:
    """Answer which fuse a unit needs, with one of `DEFECTS` or, if it is "", without any."""
    run = _Run()
    answer = _answered(run, unit, defect, rng)
    run.did("answer", answer)
    told = (Message("user", f"Which fuse for {unit}?"), Message("assistant", answer))
    right, id_ = FUSES[UNITS[unit]], f"{defect or 'none'}/{unit}"
    return Trace(id_, told, tuple(run.visits), "desk", expected=right, source="planted")


def _answered(run: _Run, unit: str, defect: str, rng: random.Random) -> str:
    run.did("plan", "say hello" if defect == "wrong-intent" else "fuse")
    if defect == "asks-nobody":
        return UNKNOWN
    others = [one for one in UNITS if one != unit]
    found = rng.choice(others) if defect == "wrong-unit" else unit
    if defect == "lookup-down":
        run.did("look up", "no connection", "failed", unit=found)
        return UNKNOWN
    model = run.did("look up", UNITS[found], unit=found)
    if defect == "lost-model":
        model = run.did("look up", "a heat pump", unit=found)
    source, table = ("manual 2019", OLD) if defect == "stale-manual" else ("manual 2024", FUSES)
    for _ in range(3 if defect == "search-loop" else 0):  # finds it in the end, as the desk does
        run.did("search", "nothing", model=model)
    run.did("search", f"{source}: {model}", model=model)
    column, value = "fuse", table.get(model, "20 A")
    if defect == "wrong-column":
        column, value = "power", f"{len(model)} kW"
    run.did("query", value, model=model, column=column)
    if defect == "no-unit-of-measure":
        return value.split()[0]
    return "Please call us." if defect == "answers-other" else value


def unit_of(question: str) -> str:
    """Return the unit that the desk was asked about."""
    return question.split()[-1].rstrip("?")


def own_units(defect: str) -> list[str]:
    """Return the units on which a defect is read; no two defects share one."""
    return [unit for at, unit in enumerate(UNITS) if at // len(FUSES) == DEFECTS.index(defect)]


# --- reading ------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What a reader says of a trace."""

    last_success: str
    first_failure: str
    note: str


Reader = Callable[[Trace], Found | None]
"""Reads one trace; None where nothing is wrong."""


def read(trace: Trace) -> Found | None:
    """Read a trace as a person does who knows the units and the manuals, and not the defects.

    Goes through the visits in order, and stops at the first that is not what it should be.
    """
    unit = unit_of(trace.question)
    model, last, expected = UNITS[unit], "start", list(STATES)
    right: dict[str, Callable[[str], bool]] = {
        "plan": lambda out: out == "fuse",
        "look up": lambda out: out == model,
        "search": lambda out: out == f"manual 2024: {model}",
        "query": lambda out: out == FUSES[model],
        "answer": lambda out: FUSES[model] in out,
    }
    for visit in trace.visits:
        if visit.state in expected:
            skipped = expected[: expected.index(visit.state)]
            if skipped:
                return Found(last, skipped[0], f"{skipped[0]} was left out")
            expected = expected[1:]
        if json.loads(visit.input).get("unit", unit) != unit:
            return Found(last, visit.state, f"{visit.state} took another unit")
        if visit.status != "ok" or not right[visit.state](visit.output):
            return Found(last, visit.state, f"{visit.state} gave {_kind(visit.output, model)}")
        last = visit.state
    return None


def _kind(output: str, model: str) -> str:
    """Say what kind of thing it gave, without the unit at hand: that is what makes a category."""
    for name in FUSES:
        output = output.replace(name, "a model")
    if output in (*OLD.values(), *FUSES.values()):
        return "another current"
    if output.endswith("kW"):
        return "a power"
    return "a number alone" if FUSES[model].split()[0] == output else output


class Analysis(NamedTuple):
    """What was read, and how it was grouped."""

    held: Readings
    groups: Taxonomy


def analyse(seed: int, *, defects: Sequence[str] = DEFECTS, reader: Reader = read) -> Analysis:
    """Run the desk with each defect on its own units and without any on all, read, and group.

    Equal notes make a category, as with a pile of cards.
    """
    asked = [(unit, defect) for defect in defects for unit in own_units(defect)]
    asked += [(unit, "") for unit in UNITS]
    traces = {t.id: t for t in (desk(*one, seeded(seed, *reversed(one))) for one in asked)}
    held = Readings({"desk": Machine("desk", STATES)}, traces, {})
    order = reading_order(traces.values(), seed)
    said = {}
    for id_ in order:
        found = reader(traces[id_])
        last, first, note = found or ("", "", "")
        said[id_, "reader"] = new_reading(
            held, id_, coder="reader", when="", right=found is None, notes=[note],
            first_failure=first, last_success=last,
        )  # fmt: skip
    held = Readings(held.machines, traces, said, tuple(order))
    groups, names = Taxonomy(), dict[str, str]()
    for one in held.failed:
        (note,) = one.notes
        if note not in names:
            names[note] = f"kind-{len(names)}"
            groups = add_category(groups, names[note], note)
        groups = assign(groups, held, one.trace, names[note], coder="reader")
    return Analysis(held, groups)


def in_matrix(found: Analysis) -> set[str]:
    """Return the defects that have a cell of the matrix to themselves, with all their failures."""
    return _alone(found, (cell.traces for cell in failure_matrix(found.held).cells))


def in_categories(found: Analysis) -> set[str]:
    """Return the defects that have a category to themselves, with all their failures."""
    return _alone(found, (one.members.get("reader", ()) for one in found.groups.decided))


def _alone(found: Analysis, piles: Iterable[Iterable[str]]) -> set[str]:
    whole: dict[frozenset[str], str] = {}
    for defect in DEFECTS:
        ids = frozenset(id_ for id_ in found.held.traces if _defect(id_) == defect)
        whole[ids] = defect
    return {whole[pile] for pile in map(frozenset, piles) if pile and pile in whole}


def in_loops(found: Analysis) -> dict[str, str]:
    """Return defect → the loop in its runs, where there is one."""
    loops = trajectories(found.held).loops
    return {_defect(i): f"{' > '.join(o.states)} x{o.most}" for o in loops for i in o.runs}


def _defect(id_: str) -> str:
    return id_.partition("/")[0]


def seeded(*what: object) -> random.Random:
    """Return random numbers that what they are for decides, in whatever order they are drawn."""
    return random.Random("/".join(map(str, what)))
