"""Checks of chapter 5's second page: the bound of a graph, and a metric for an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import NamedTuple

from langchain_core.messages import AIMessage, BaseMessage
from langgraph.errors import GraphRecursionError

from agentops_ref.agents.request import Request
from agentops_ref.agents.run import Run
from agentops_ref.apps.checks import Checked
from agentops_ref.apps.oneagent.langgraph_agent import Context, GraphAgent
from agentops_ref.apps.oneagent.overhead import alone
from agentops_ref.records import Answer, Case, Step
from agentops_ref.wiring import App

# --- exercise 1: the bound --------------------------------------------------------------------

MOST = 5
"""Model calls up to which a bound is tried."""


def bound(limit: Callable[[int], int], app: App) -> Checked:
    """Try ``limit(calls)``: the lowest ``recursion_limit`` that admits so many model calls."""
    for calls in range(1, MOST + 1):
        try:
            given = int(limit(calls))
        except Exception as error:
            return Checked(False, f"limit({calls}) failed ({type(error).__name__}: {error}).")
        lowest = next(most for most in count(1) if _answers(app, calls, most))
        plural = "call" if calls == 1 else "calls"
        if given < lowest:
            why = f"with {given} the graph raises before the answer of {calls} model {plural}"
            return Checked(False, f"{why}; every round trip through the tools counts as well.")
        if given > lowest:
            why = f"{given} is more than {calls} model {plural} need"
            return Checked(False, f"{why}: the same graph answers with {lowest}.")
    return Checked(
        True,
        f"The graph was run for 1 to {MOST} calls, and raises with one less each time. The bound "
        "counts steps of the graph and not calls of a model, so it changes when somebody adds a "
        "node; a test that runs the agent into its limit notices.",
    )


def _answers(app: App, calls: int, most: int) -> bool:
    """Whether the graph answers at this model call before its recursion limit ends it."""
    asked = count(1)

    def script(messages: Sequence[BaseMessage]) -> AIMessage | str:
        if (at := next(asked)) == calls:
            return "an answer"
        call = {"name": "search_documents", "args": {"query": str(at)}, "id": str(at)}
        return AIMessage("", tool_calls=[call])

    agent = alone(app, GraphAgent, script)
    assert isinstance(agent, GraphAgent)
    messages = {"messages": agent.prompt.messages(question="?")}
    try:
        agent.graph.invoke(
            messages, {"recursion_limit": most}, context=Context(Run(agent, Request()))
        )
    except GraphRecursionError:
        return False
    return True


# --- exercise 2: the metric -------------------------------------------------------------------


class Tried(NamedTuple):
    """A run on a training question, and whether a prompt should show it as an example."""

    name: str
    case: Case
    answer: Answer
    keep: bool
    why: str


_TORQUE = Case("torque", "How tight is it?", facts=("18 Nm",), sources=("manual",))
_SONG = Case("song", "Which song does it play?", abstain=True)
_LOOKED = Step("one_agent", "search_documents", '{"query": "torque"}')
_AGAIN = Step("one_agent", "search_documents", '{"query": "torque"}', status="repeated")
_FAILED = Step("one_agent", "find_installation", '{"serial": "?"}', status="failed")
SILENT = "I could not find this."

TRIED = (
    Tried(
        "the right value after a search",
        _TORQUE,
        Answer("It is 18 Nm.", abstained=False, steps=(_LOOKED,)),
        True,
        "it did what the agent shall do, and is right",
    ),
    Tried(
        "a wrong value after a search",
        _TORQUE,
        Answer("It is 42 Nm.", abstained=False, steps=(_LOOKED,)),
        False,
        "the answer is wrong",
    ),
    Tried(
        "the right value without a search",
        _TORQUE,
        Answer("It is 18 Nm.", abstained=False),
        False,
        "it is right by luck, and as an example it teaches to answer from nothing",
    ),
    Tried(
        "silence after a search where there is no answer",
        _SONG,
        Answer(SILENT, abstained=True, steps=(_LOOKED,)),
        True,
        "it looked, found nothing and said so",
    ),
    Tried(
        "silence without a search where there is no answer",
        _SONG,
        Answer(SILENT, abstained=True),
        False,
        "silence is right here, but as an example it teaches to be silent without looking",
    ),
    Tried(
        "silence where there is an answer",
        _TORQUE,
        Answer(SILENT, abstained=True, steps=(_LOOKED,)),
        False,
        "the answer was to be had",
    ),
    Tried(
        "the right value after the same search twice",
        _TORQUE,
        Answer("It is 18 Nm.", abstained=False, steps=(_LOOKED, _AGAIN)),
        False,
        "the repeated call would be shown as the way to work",
    ),
    Tried(
        "the right value after a call that failed",
        _TORQUE,
        Answer("It is 18 Nm.", abstained=False, steps=(_FAILED, _LOOKED)),
        False,
        "the failed call would be shown as the way to work",
    ),
)


def metric(keep: Callable[[Case, Answer], bool]) -> Checked:
    """Try a metric on runs that look alike: is this one to be shown as an example?"""
    for one in TRIED:
        try:
            found = bool(keep(one.case, one.answer))
        except Exception as error:
            return Checked(False, f"It failed on {one.name} ({type(error).__name__}: {error}).")
        if found != one.keep:
            verb = "should be kept" if one.keep else "should not be kept"
            return Checked(False, f"{one.name.capitalize()} {verb}: {one.why}.")
    return Checked(
        True,
        f"It tells {len(TRIED)} runs apart. An optimiser collects whatever its metric lets pass, "
        "so the metric, and not the optimiser, says what the prompt will teach.",
    )
