"""All trajectories as a Markov chain: how often what follows what, loops, and dead ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from agentops_ref.evals.errors.records import START, Readings
from agentops_ref.intervals import Interval, proportion_interval

END = "end"
"""What follows the last state of a run."""
LONGEST = 4
"""States of the longest cycle that is looked for."""


class Transition(NamedTuple):
    """How often one state follows another."""

    before: str
    after: str
    count: int  # type: ignore[assignment]  # the tuple's method of that name is not used
    n: int
    """How often anything followed ``before``."""
    share: float
    interval: Interval


class Loop(NamedTuple):
    """States that were gone through again and again, without anything else between."""

    states: tuple[str, ...]
    runs: tuple[str, ...]
    """Ids of the traces in which it happened."""
    most: int
    """The most rounds in a row, at least 2."""


class DeadEnd(NamedTuple):
    """A state after which failed runs end."""

    state: str
    failed: int
    """Failed runs that ended after it."""
    ended: int
    """All runs that were read and ended after it."""
    share: float
    interval: Interval


class Trajectories(NamedTuple):
    """What the paths of all runs show."""

    runs: int
    """Runs whose states are known."""
    transitions: tuple[Transition, ...]
    """In the order of the states."""
    loops: tuple[Loop, ...]
    """Those of the most runs first."""
    dead_ends: tuple[DeadEnd, ...]
    """Those of the most failed runs first."""


def trajectories(readings: Readings, *, level: float = 0.95) -> Trajectories:
    """Return transition frequencies, loops and dead ends of all traces, read or not.

    A first-order view: a transition's share is the estimate of P(after | before) of a Markov
    chain. Its intervals take the visits as independent, which those of one run are not: they are
    too narrow where a run visits a state many times.

    Parameters
    ----------
    readings
        A dead end counts the runs that were read only; the rest counts all.
    level
        Level of Wilson's intervals, within 0..1 exclusive.
    """
    paths = {id_: trace.path for id_, trace in readings.traces.items() if trace.path}
    pairs: Counter[tuple[str, str]] = Counter()
    for path in paths.values():
        pairs.update(zip((START, *path), (*path, END), strict=True))
    left: Counter[str] = Counter()
    for (before, _), count in pairs.items():
        left[before] += count
    order = {state: at for at, state in enumerate((START, *readings.states(), END))}
    found = [
        Transition(
            a, b, count, left[a], count / left[a], proportion_interval(count, left[a], level)
        )
        for (a, b), count in sorted(pairs.items(), key=lambda p: (order[p[0][0]], order[p[0][1]]))
    ]
    return Trajectories(len(paths), tuple(found), _loops(paths), _dead_ends(readings, level))


def rounds(path: Sequence[str]) -> dict[tuple[str, ...], int]:
    """Return cycle → most rounds in a row, for cycles of up to `LONGEST` states.

    A cycle is named from where it was entered, by its shortest form: a a a a is (a,) four times,
    not (a, a) twice.

    >>> rounds(["a", "b", "a", "b", "c"])
    {('a', 'b'): 2}
    """
    found: dict[tuple[str, ...], int] = {}
    for length in range(1, LONGEST + 1):
        at = 0
        while at + 2 * length <= len(path):
            cycle = tuple(path[at : at + length])
            count = 1
            while tuple(path[at + count * length : at + (count + 1) * length]) == cycle:
                count += 1
            if count < 2 or _repeats(cycle):
                at += 1
                continue
            found[cycle] = max(found.get(cycle, 0), count)
            at += (count - 1) * length + 1
    return found


def _repeats(cycle: Sequence[str]) -> bool:
    """Whether a cycle is a shorter one, several times over."""
    size = len(cycle)
    return any(
        size % part == 0 and tuple(cycle) == tuple(cycle[:part]) * (size // part)
        for part in range(1, size)
    )


def _loops(paths: dict[str, tuple[str, ...]]) -> tuple[Loop, ...]:
    runs: dict[tuple[str, ...], dict[str, int]] = {}
    for id_, path in paths.items():
        for cycle, count in rounds(path).items():
            # Entered in b, the cycle a b is the same loop as entered in a.
            turned = [cycle[i:] + cycle[:i] for i in range(len(cycle))]
            held = runs.setdefault(min(turned), {})
            held[id_] = max(held.get(id_, 0), count)
    found = [Loop(cycle, tuple(sorted(ids)), max(ids.values())) for cycle, ids in runs.items()]
    return tuple(sorted(found, key=lambda one: (-len(one.runs), one.states)))


def _dead_ends(readings: Readings, level: float) -> tuple[DeadEnd, ...]:
    ended: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for one in readings.decided:
        path = readings.traces[one.trace].path
        if path:
            ended[path[-1]] += 1
            failed[path[-1]] += one.failed
    found = [
        DeadEnd(state, failed[state], n, failed[state] / n,
                proportion_interval(failed[state], n, level))
        for state, n in ended.items()
        if failed[state]
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-one.failed, one.state)))


def describe_trajectories(found: Trajectories) -> str:
    """Loops and dead ends in words, and the transitions, one a line."""
    lines = [f"runs whose states are known: {found.runs}"]
    for one in found.transitions:
        ends = f"{one.interval.low:.0%} to {one.interval.high:.0%}"
        lines.append(
            f"{one.before} > {one.after}: {one.count} of {one.n} ({one.share:.0%}, {ends})"
        )
    for loop in found.loops:
        told = " > ".join((*loop.states, loop.states[0]))
        lines.append(f"loop {told}: in {len(loop.runs)} runs, at most {loop.most} rounds")
    for end in found.dead_ends:
        ends = f"{end.interval.low:.0%} to {end.interval.high:.0%}"
        lines.append(
            f"after {end.state}: {end.failed} of {end.ended} runs that ended there failed ({ends})"
        )
    return "\n".join(lines)
