"""Checks of chapter 1: who can reach an answer, and what makes a trace that of an agent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from agentops_ref.apps.checks import Checked
from agentops_ref.records import Case
from agentops_ref.tracing import SpanLine

SYSTEMS = ("llm", "prompt", "chain", "tools")
MODEL = "model"
"""How `steps` calls a model call."""

Steps = tuple[str, ...]


# --- exercise 1: reach ------------------------------------------------------------------------

PLACES: dict[str, tuple[frozenset[str], str]] = {
    "weights": (
        frozenset(SYSTEMS),
        "it is general knowledge, so the model may hold it in its weights, and every system has "
        "the model",
    ),
    "documents": (
        frozenset({"chain", "tools"}),
        "it stands in a document, and only the chain and the agent search documents",
    ),
    "tables": (
        frozenset({"tools"}),
        "it stands in a table, and only the agent has a tool that reads the tables",
    ),
    "nowhere": (
        frozenset({"prompt", "chain", "tools"}),
        "it stands nowhere, so the right answer is to abstain, and only the bare model was never "
        "told how",
    ),
}
"""Where an answer stands → the systems that can reach it, and why."""


def place_of(case: Case) -> str:
    """Return where a case's answer stands: a key of `PLACES`."""
    if case.abstain:
        return "nowhere"
    if case.slice == "general":
        return "weights"
    tables = case.sources and all(source.startswith("tables/") for source in case.sources)
    return "tables" if tables else "documents"


def reach(answer: Mapping[str, Collection[str]], cases: Sequence[Case]) -> Checked:
    """Compare a prediction, case id → systems that could be right, with the parts they have."""
    known = {case.id for case in cases}
    for case_id in answer:
        if case_id not in known:
            return Checked(False, f"There is no case '{case_id}'.")
        strange = sorted(set(answer[case_id]) - set(SYSTEMS))
        if strange:
            return Checked(False, f"There is no system '{strange[0]}': {', '.join(SYSTEMS)}.")
    for case in cases:
        wanted, why = PLACES[place_of(case)]
        given = set(answer.get(case.id, ()))
        if given != wanted:
            lacking = [name for name in SYSTEMS if name in wanted - given]
            extra = [name for name in SYSTEMS if name in given - wanted]
            what = (
                f"{' and '.join(extra)} cannot be relied on here"
                if extra
                else f"{' and '.join(lacking)} can be right as well"
            )
            return Checked(False, f"{case.id}: {what}: {why}.")
    return Checked(
        True,
        "Reach is necessary and not sufficient: compare your table with the measured one, and "
        "each cell that is in reach and not right is work for the rest of this book.",
    )


# --- exercise 2: the predicate ----------------------------------------------------------------


def steps(lines: Sequence[SpanLine]) -> Steps:
    """Return what a system did, in order: ``model`` for a model call, else the span's name.

    The spans that wrap the whole request are left out.
    """
    inner = [line for line in lines if line.kind not in ("AGENT", "CHAIN")]
    return tuple(MODEL if line.kind == "CHAT_MODEL" else line.name for line in inner)


class Program(NamedTuple):
    """A program with the traces of a few requests, to try a predicate on."""

    name: str
    traces: tuple[Steps, ...]
    agent: bool
    why: str


PROGRAMS = (
    Program(
        "a chain",
        (("retrieve", MODEL, "cite"), ("retrieve", MODEL, "cite")),
        False,
        "after each model call the same step follows, whatever the model said",
    ),
    Program(
        "a chain that stops when nothing is found",
        (("retrieve", MODEL, "cite"), ("retrieve",)),
        False,
        "its traces differ, but they part after the search: an if statement decided, no model",
    ),
    Program(
        "a workflow with a tool",
        ((MODEL, "find_installation", MODEL), (MODEL, "find_installation", MODEL)),
        False,
        "a tool is called after a model call, but it is called every time: the program decided",
    ),
    Program(
        "a router",
        ((MODEL, "search_bulletins", MODEL), (MODEL, "search_prices", MODEL)),
        True,
        "the traces agree up to a model call and part after it: what the model said decided. It "
        "is the smallest agent there is",
    ),
    Program(
        "a loop over one tool",
        ((MODEL, "search", MODEL), (MODEL, "search", MODEL, "search", MODEL)),
        True,
        "only one tool, but after the second model call one request ends and the other goes on",
    ),
    Program(
        "a loop that sometimes answers at once",
        ((MODEL, "search", MODEL), (MODEL,)),
        True,
        "ending is a step too: after the first model call one request ends, the other searches",
    ),
    Program(
        "two model calls in a row",
        ((MODEL, MODEL), (MODEL, MODEL)),
        False,
        "more than one model call makes no agent; the order is always the same",
    ),
)


def predicate(
    is_agent: Callable[[Sequence[Steps]], bool],
    measured: Mapping[str, Sequence[Steps]] | None = None,
) -> Checked:
    """Try a predicate on made programs, and on the chapter's systems: name → their traces."""
    programs = list(PROGRAMS)
    for name, traces in (measured or {}).items():
        programs.append(
            Program(
                f"the system '{name}' of this chapter",
                tuple(traces),
                name == "tools",
                "its model chooses among tools and decides when to stop"
                if name == "tools"
                else "its program fixes the order of the steps",
            )
        )
    for program in programs:
        try:
            said = is_agent(program.traces)
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
            return Checked(False, f"The predicate failed on {program.name} ({failed}).")
        if bool(said) != program.agent:
            kind = "an agent" if program.agent else "no agent"
            return Checked(False, f"{program.name} is {kind}: {program.why}.")
    return Checked(
        True,
        f"It tells {len(programs)} programs apart. It can still miss an agent that happened to do "
        "the same on every request: traces prove that a model chose, never that none can.",
    )
