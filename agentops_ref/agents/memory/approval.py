"""A conversation that waits for a person: LangGraph's interrupt, and what ends it.

Taught in chapter 7. The turn that asked for an action stops at the node `Wait` and is kept as a
checkpoint, for days if need be; a user may go on talking meanwhile. Whoever decides wakes the
thread, in whatever process. What is resumed with says nothing: the node reads the records of the
decisions, so nobody who can resume a thread can decide anything by it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from agentops_ref.agents.memory.threads import Threads

log = logging.getLogger(__name__)

Outcome = Callable[[str], str | None]
"""Approval → what became of the action, in a sentence; None while it waits."""


class Wait:
    """A node of the graph: tells what was decided, or interrupts until something is."""

    def __init__(self, outcome: Outcome | None) -> None:
        self._outcome = outcome

    def node(self, state: Any) -> dict[str, Any]:
        from langchain_core.messages import AIMessage
        from langgraph.types import interrupt

        waiting = list(state.get("waiting", ()))
        if not (told := self._told(waiting)):
            interrupt({"approvals": waiting})
            told = self._told(waiting)
        messages = [AIMessage(text, id=str(uuid.uuid4())) for text in told.values()]
        return {"messages": messages, "waiting": [one for one in waiting if one not in told]}

    def _told(self, waiting: list[str]) -> dict[str, str]:
        assert self._outcome is not None  # or nothing would wait
        found = {one: self._outcome(one) for one in waiting}
        return {one: text for one, text in found.items() if text is not None}


def still_waiting(state: Any) -> bool:
    """Whether the conversation has to be told of an action."""
    return bool(state.get("waiting"))


def wake(threads: Threads, graph: Any, thread: str) -> bool:
    """Resume a thread that waits; False if it does not."""
    from langgraph.types import Command

    owner = threads.owner(thread)
    if not threads.read(thread, owner=owner).waiting:
        return False
    threads.turn(graph, thread, Command(resume="decided"), owner=owner)
    return True
