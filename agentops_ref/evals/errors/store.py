"""The file of readings: lines are only added, and the newest one of a trace or a reader counts.

The file is the review: its history is a line a decision, and git shows who added which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.evals.errors.lines import Line, parse_lines, to_line
from agentops_ref.evals.errors.records import Machine, Reading, Readings, Trace
from agentops_ref.files import write_whole

WAIT = 10.0
"""Seconds to wait for another process that writes the same file."""


class Imported(NamedTuple):
    """What an import did."""

    traces: int
    """New or changed."""
    readings: int
    """New or changed."""
    unchanged: int
    """Traces and readings that were there already."""


def load_readings(path: Path) -> Readings:
    """Read the file; one that does not exist yet holds nothing.

    Raises
    ------
    ConfigError
        A line is wrong, or a reading is of a trace that the file does not have.
    """
    return readings_of(parse_lines(_read(path), path=str(path)), path=str(path))


def readings_of(lines: Iterable[Line], *, path: str) -> Readings:
    """Return what counts of these lines."""
    machines: dict[str, Machine] = {}
    traces: dict[str, Trace] = {}
    said: dict[tuple[str, str], Reading] = {}
    first: dict[str, str] = {}  # trace -> when it was first read
    for line in lines:
        if line.machine:
            machines[line.machine.system] = line.machine
        if line.trace:
            traces[line.trace.id] = line.trace
        if line.reading:
            key = (line.reading.trace, line.reading.coder)
            said.pop(key, None)  # a reading that was revised was written last
            said[key] = line.reading
            first.setdefault(line.reading.trace, line.reading.when)
    unknown = [trace for trace, _ in said if trace not in traces]
    if unknown:
        raise ConfigError(
            f"{path}: a reading of '{unknown[0]}', and no trace of that id: import its "
            "conversation first (agentops errors import)"
        )
    order = sorted(first, key=first.__getitem__)  # stable: those of one moment as in the file
    return Readings(machines, traces, said, tuple(order))


def add_records(path: Path, records: Iterable[Machine | Trace | Reading]) -> Imported:
    """Add what the file does not hold yet. All of it is written, or nothing.

    Raises
    ------
    ConfigError
        The file is broken, or a reading's trace is neither in it nor among ``records``.
    """
    given = list(records)
    with locked(path):
        before = _read(path)
        lines = parse_lines(before, path=str(path))
        held = readings_of(lines, path=str(path))
        fresh = list(_fresh(held, given))
        readings_of([*lines, *map(_as_line, given)], path=str(path))
        if fresh:
            end = "" if not before or before.endswith("\n") else "\n"
            write_whole(path, before + end + "".join(f"{to_line(one)}\n" for one in fresh))
    traces = sum(isinstance(one, Trace) for one in fresh)
    readings = sum(isinstance(one, Reading) for one in fresh)
    told = sum(not isinstance(one, Machine) for one in given)
    return Imported(traces, readings, told - traces - readings)


def records_of(lines: Iterable[Line]) -> list[Machine | Trace | Reading]:
    """Return what lines bring, one after the other."""
    return [one for line in lines for one in line if one is not None]


def _fresh(
    held: Readings, given: Iterable[Machine | Trace | Reading]
) -> Iterator[Machine | Trace | Reading]:
    machines, traces, said = dict(held.machines), dict(held.traces), dict(held.by_coder)
    for one in given:
        if isinstance(one, Machine):
            if machines.get(one.system) != one:
                machines[one.system] = one
                yield one
        elif isinstance(one, Trace):
            if traces.get(one.id) != one:
                traces[one.id] = one
                yield one
        else:
            key = (one.trace, one.coder)
            now = said.get(key)
            # When it was said is no other saying: an import with another date changes nothing.
            if now is None or replace(now, when="") != replace(one, when=""):
                said[key] = one
                yield one


def _as_line(record: Machine | Trace | Reading) -> Line:
    if isinstance(record, Machine):
        return Line(machine=record)
    return Line(trace=record) if isinstance(record, Trace) else Line(reading=record)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing a file meanwhile; its folder is made where it lacks."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{path}.lock", timeout=WAIT):
            yield
    except Timeout:
        raise OperatorError(f"{path} is being written by another process; try again") from None
