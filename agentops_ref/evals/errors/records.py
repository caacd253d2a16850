"""What error analysis works on: traces as they ran, and what people read in them.

Taught in chapter 12. A trace is what a system did; a reading is what one person says of it. They
are kept apart, so that two people can read the same trace, and a reading can be revised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

START = "start"
"""The last state that succeeded where none did."""

Outcome = Literal["failed", "right"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    """user, assistant, system or tool."""
    content: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One state that a run went through."""

    state: str
    status: str = "ok"
    """"ok", or what became of it in a word, as in `agentops_ref.records.Step`."""
    input: str = ""
    output: str = ""
    """What came of it, shortened; of a search, the documents."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The states of a system, in the order of its work, as its graph names them."""

    system: str
    states: tuple[str, ...]
    edges: tuple[tuple[str, str], ...] = ()
    """(from, to): the transitions that the graph allows; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One run of a system, as a person reads it."""

    id: str
    messages: tuple[Message, ...]
    visits: tuple[Visit, ...] = ()
    """In order; empty where only the conversation is known."""
    system: str = ""
    slice: str = ""
    """The group that it is reported under."""
    expected: str = ""
    """What a right answer must hold, where a case says so."""
    verdict: str = ""
    """What a scorer said: "right", or "wrong: " and why; empty where none did. A hint, no more."""
    source: str = ""
    """Where it comes from: a file, or an MLflow run."""

    @property
    def question(self) -> str:
        """What the user said first."""
        return next((one.content for one in self.messages if one.role == "user"), "")

    @property
    def answer(self) -> str:
        """What the system said last."""
        said = [one.content for one in self.messages if one.role == "assistant" and one.content]
        return said[-1] if said else ""

    @property
    def path(self) -> tuple[str, ...]:
        """The states in the order of their visits."""
        return tuple(visit.state for visit in self.visits)

    def suggested(self) -> tuple[str, str] | None:
        """Return (last success, first failure) as the statuses have it; None where all are ok.

        A suggestion: a step can go wrong without an error, and most do.
        """
        last = START
        for visit in self.visits:
            if visit.status != "ok":
                return last, visit.state
            last = visit.state
        return None

    def before(self, state: str) -> str | None:
        """Return the state visited before the first visit of ``state``; None without a visit."""
        if state not in self.path:
            return None
        at = self.path.index(state)
        return self.path[at - 1] if at else START


@dataclass(frozen=True, slots=True)
class Reading:
    """What one person read in one trace."""

    trace: str
    """The trace's id."""
    coder: str
    outcome: Outcome
    first_failure: str = ""
    """The first state that went wrong; what came after it could not be right for a reason."""
    last_success: str = ""
    """The last state before that which did what it should, or `START`."""
    notes: tuple[str, ...] = ()
    """Open codes: what went wrong, in the reader's own words."""
    when: str = ""
    """UTC, ISO 8601; empty where the file does not say."""

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"

    @property
    def placed(self) -> bool:
        """Whether it says between which two states the work went wrong."""
        return self.failed and bool(self.first_failure and self.last_success)


@dataclass(frozen=True, slots=True)
class Readings:
    """Traces and what was read in them; of each, the newest line that was written."""

    machines: Mapping[str, Machine]
    """System → its states."""
    traces: Mapping[str, Trace]
    """Id → trace, in the order in which they came."""
    by_coder: Mapping[tuple[str, str], Reading]
    """(trace, coder) → reading, the one that was written last at the end."""
    order: tuple[str, ...] = ()
    """Ids of the traces that were read, in the order in which they first were."""

    @property
    def coders(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(coder for _, coder in self.by_coder))

    @property
    def decided(self) -> tuple[Reading, ...]:
        """One reading a trace, in the order of reading: the latest, whoever wrote it.

        Where two people differ, the one that is written after they have talked counts.
        """
        latest = {reading.trace: reading for reading in self.by_coder.values()}
        return tuple(latest[id_] for id_ in self.order)

    @property
    def failed(self) -> tuple[Reading, ...]:
        """The decided readings of traces that failed."""
        return tuple(reading for reading in self.decided if reading.failed)

    @property
    def slices(self) -> tuple[str, ...]:
        """The slices of all traces, in their order."""
        return tuple(dict.fromkeys(one.slice for one in self.traces.values() if one.slice))

    def within(self, *, slice: str | None = None, system: str | None = None) -> Readings:
        """Return the part that belongs to a slice, a system, or both."""
        kept = {
            id_: trace
            for id_, trace in self.traces.items()
            if slice in (None, trace.slice) and system in (None, trace.system)
        }
        readings = {key: one for key, one in self.by_coder.items() if key[0] in kept}
        order = tuple(id_ for id_ in self.order if id_ in kept)
        return Readings(self.machines, kept, readings, order)

    def states(self) -> tuple[str, ...]:
        """All states: those of the machines in their order, then what else was visited or named."""
        systems = dict.fromkeys(trace.system for trace in self.traces.values())
        found = [
            state
            for name in systems
            if name in self.machines
            for state in self.machines[name].states
        ]
        for trace in self.traces.values():
            found += trace.path
        for reading in self.by_coder.values():
            found += [s for s in (reading.last_success, reading.first_failure) if s]
        return tuple(state for state in dict.fromkeys(found) if state != START)

    def known_states(self, trace: Trace) -> tuple[str, ...]:
        """The states of a trace's system and its own; empty where neither is known."""
        machine = self.machines.get(trace.system)
        return tuple(dict.fromkeys((*(machine.states if machine else ()), *trace.path)))
