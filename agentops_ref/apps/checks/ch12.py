"""Checks of chapter 12: where a trace went wrong first, and the chance of a new kind of failure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from math import isclose

from agentops_ref.apps.checks import Checked
from agentops_ref.evals.errors import Readings, trace_called

WIDTH = 90
MOST = 900
"""Characters of a state's output that `show` prints."""

# --- exercise 1: the first failure --------------------------------------------------------------


def show(readings: Readings, id_: str) -> None:
    """Print a trace as a person reads it: question, steps, answer, what was expected."""
    trace = trace_called(readings, id_)
    lines = [("asked", trace.question)]
    lines += [(visit.state, visit.output[:MOST]) for visit in trace.visits]
    lines += [("answered", trace.answer), ("expected", trace.expected or "nothing")]
    for head, text in lines:
        print(textwrap.fill(f"{head}: {text}", WIDTH, subsequent_indent="    "))


def first_failures(said: Mapping[str, str], readings: Readings, asked: Sequence[str]) -> Checked:
    """Compare states, one for each trace that was asked for, with what the reader wrote.

    That reader is no judge: where you differ for a reason, write your own reading.
    """
    known = {one.trace: one for one in readings.failed}
    for id_ in asked:
        if id_ not in said:
            return Checked(False, f"{id_}: no state is given.")
    for id_, state in said.items():
        if id_ not in known:
            return Checked(False, f"'{id_}' is no trace that was read as failed.")
        trace, read = readings.traces[id_], known[id_]
        states = readings.known_states(trace)
        if state not in states:
            return Checked(False, f"{id_}: '{state}' is none of its states: {', '.join(states)}.")
        if state != read.first_failure:
            return Checked(
                False,
                f"{id_}: {state} is not the first that failed; the last right one was "
                f"{read.last_success}. The note: {' '.join(read.notes)}",
            )
    return Checked(
        True,
        f"All {len(said)} first failures are where the reader saw them. What came after each could "
        "not be right for a reason, so nothing after it was noted.",
    )


# --- exercise 2: the chance of something new ----------------------------------------------------

TRACES: tuple[tuple[tuple[str, ...], float, str], ...] = (
    (("a",) * 6, 0.0, "one category, seen often: nothing points to another one"),
    (("a", "b", "c", "d"), 1.0, "each was new when it came; the next will be"),
    (("a", "a", "a", "b", "b", "c"), 1 / 6, "one trace of six is the only one of its category"),
    (("a", "b", "a", "b", "c", "d", "e", "a"), 3 / 8, "c, d and e were seen once, of eight traces"),
    ((), 1.0, "before anything was read, everything is new"),
)
"""Categories of the failed traces → chance that the next one is of a new category."""


def new_chance(estimate: Callable[[Sequence[str]], float]) -> Checked:
    """Try a function that takes each failed trace's category and returns a chance, 0 to 1."""
    for names, wanted, why in TRACES:
        given = " ".join(names) or "no trace"
        try:
            found = estimate(list(names))
        except Exception as error:
            return Checked(False, f"{given}: failed ({type(error).__name__}: {error}).")
        if not isinstance(found, int | float) or not isclose(found, wanted, abs_tol=1e-9):
            return Checked(False, f"{given}: expected {wanted:.3g}, got {found!r}; {why}.")
    return Checked(
        True,
        f"All {len(TRACES)} are right. The estimate has an interval, too: none seen once among "
        "twenty traces and among two hundred are not the same.",
    )
