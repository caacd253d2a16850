"""Readings made in tests: short to write, as they come out of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agentops_ref.evals.errors import Message, Reading, Readings, Trace, Visit
from agentops_ref.evals.errors.lines import Line
from agentops_ref.evals.errors.store import readings_of


def trace(id_: str, path: Sequence[str] = (), *, slice: str = "", question: str = "") -> Trace:
    told = (Message("user", question or f"Question {id_}?"), Message("assistant", "An answer."))
    return Trace(id_, told, tuple(map(Visit, path)), "desk", slice)


def failed(
    id_: str, last: str = "", first: str = "", *notes: str, coder: str = "anna", when: str = ""
) -> Reading:
    return Reading(id_, coder, "failed", first, last, notes or ("wrong",), when)


def right(id_: str, coder: str = "anna") -> Reading:
    return Reading(id_, coder, "right")


def readings(traces: Iterable[Trace], said: Iterable[Reading] = ()) -> Readings:
    lines = [*(Line(trace=one) for one in traces), *(Line(reading=one) for one in said)]
    return readings_of(lines, path="test")


def placed(cells: Mapping[tuple[str, str], int]) -> Readings:
    """Return readings with this many failures at each (last success, first failure)."""
    pairs = [pair for pair, count in cells.items() for _ in range(count)]
    ids = [f"t{at}" for at in range(len(pairs))]
    return readings(
        [trace(id_) for id_ in ids],
        [failed(id_, last, first) for id_, (last, first) in zip(ids, pairs, strict=True)],
    )
