"""What is read next, and what has been read: open codes counted."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.errors.lines import flaw
from agentops_ref.evals.errors.records import START, Reading, Readings, Trace
from agentops_ref.intervals import Interval, proportion_interval


class Count(NamedTuple):
    """How often something is, with its interval."""

    name: str
    slice: str
    """The group it was counted in; "all" for the whole."""
    count: int  # type: ignore[assignment]  # the tuple's method of that name is not used
    n: int
    """Traces read in that group."""
    share: float
    interval: Interval


def reading_order(traces: Iterable[Trace], seed: int) -> list[str]:
    """Return the ids in a random order whose every beginning is close to the whole in its parts.

    The traces are stratified by system and slice; within a stratum of n, the i-th of a random
    order gets the place (i + u) / n with u uniform in 0..1, and all are read by their places. A
    plain random order would leave rare strata out of the first traces by chance, and what is found
    in those first traces decides when reading may stop. The order of ``traces`` does not matter.

    References
    ----------
    .. [1] W. G. Cochran, Sampling Techniques, 3rd edition, Wiley, 1977, chapter 5 (proportional
       allocation).
    """
    rng = random.Random(seed)
    strata: dict[tuple[str, str], list[str]] = {}
    for trace in sorted(traces, key=lambda one: one.id):
        strata.setdefault((trace.system, trace.slice), []).append(trace.id)
    placed: list[tuple[float, str]] = []
    for _, ids in sorted(strata.items()):
        rng.shuffle(ids)
        placed += [((at + rng.random()) / len(ids), id_) for at, id_ in enumerate(ids)]
    return [id_ for _, id_ in sorted(placed)]


def next_unread(readings: Readings, coder: str, seed: int) -> Trace | None:
    """Return the trace that this person reads next; None when all are read."""
    for id_ in reading_order(readings.traces.values(), seed):
        if (id_, coder) not in readings.by_coder:
            return readings.traces[id_]
    return None


def trace_called(readings: Readings, id_: str) -> Trace:
    """Return a trace.

    Raises
    ------
    ConfigError
        There is none of that id; names the nearest.
    """
    if id_ not in readings.traces:
        raise ConfigError(f"no trace '{id_}'{_near(id_, tuple(readings.traces))}")
    return readings.traces[id_]


def new_reading(
    readings: Readings,
    id_: str,
    *,
    coder: str,
    when: str,
    notes: Sequence[str] = (),
    first_failure: str = "",
    last_success: str = "",
    right: bool = False,
) -> Reading:
    """Return a reading of a trace, checked against its states.

    Without ``last_success`` it is the state visited before ``first_failure``.

    Raises
    ------
    ConfigError
        No such trace; a state that its system does not have; neither a failure nor ``right``.
    """
    trace = trace_called(readings, id_)
    known = readings.known_states(trace)
    for what, state in (("first failure", first_failure), ("last success", last_success)):
        if state and known and state not in (*known, *([START] if what == "last success" else ())):
            listed = "" if nearest(state, known).startswith("; did") else f": {', '.join(known)}"
            raise ConfigError(
                f"{what}: '{state}' is no state of {trace.system or id_}"
                f"{listed or nearest(state, known)}"
            )
    if first_failure and not last_success:
        last_success = trace.before(first_failure) or ""
    made = Reading(
        id_,
        coder,
        "right" if right else "failed",
        first_failure,
        last_success,
        tuple(note.strip() for note in notes if note.strip()),
        when,
    )
    if problem := flaw(made):
        raise ConfigError(problem)
    return made


def count_of(name: str, slice: str, count: int, n: int, level: float) -> Count:
    """Return a count with its share and Wilson's interval."""
    share = count / n if n else 0.0
    return Count(name, slice, count, n, share, proportion_interval(count, n, level))


def failure_counts(readings: Readings, *, level: float = 0.95) -> list[Count]:
    """Return how many of the read traces failed, in all and by slice."""
    rows = []
    for slice in (None, *readings.slices):
        part = readings.within(slice=slice)
        if part.decided or slice is None:
            rows.append(
                count_of("failed", slice or "all", len(part.failed), len(part.decided), level)
            )
    return rows


def state_counts(readings: Readings, *, level: float = 0.95) -> list[Count]:
    """Return where the first failures are: each state, of all traces that were read, by slice."""
    states = list(dict.fromkeys(one.first_failure for one in readings.failed))
    ordered = [state for state in readings.states() if state in states]
    ordered += [""] if "" in states else []
    rows = []
    for state in ordered:
        for slice in (None, *readings.slices):
            part = readings.within(slice=slice)
            count = sum(one.first_failure == state for one in part.failed)
            if count:
                name = state or "(not placed)"
                rows.append(count_of(name, slice or "all", count, len(part.decided), level))
    return rows


def _near(name: str, known: tuple[str, ...]) -> str:
    told = nearest(name, known)
    return told if told.startswith("; did") else f": there are {len(known)}, none of that name"
