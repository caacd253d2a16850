"""A turn whose process kills itself; runs in a child of `test_crash`."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from langchain_core.messages import BaseMessage

from agentops_ref.agents.memory import Threads, open_database
from agentops_ref.agents.memory.conversation import Conversation
from agentops_ref.agents.memory.threads import Durability
from agentops_ref.agents.request import Request
from agentops_ref.records import Answer
from agentops_ref.testing import ScriptedChat
from tests.agents.memory.parts import Echo, standalone, summariser

BUDGET = 120


def script(messages: Sequence[BaseMessage]) -> str:
    text = messages[-1].text
    if text.endswith("Rewritten:"):
        return text.splitlines()[-2].removeprefix("Last question: ")
    return f"a note of {len(text)} characters"


def conversation_of(threads: Threads, agent: Any) -> Conversation:
    model = ScriptedChat(script=script)
    return Conversation(
        agent,
        threads,
        standalone=standalone(model),
        summariser=summariser(model),
        budget=BUDGET,
        count=lambda messages: sum(len(m.text) for m in messages),
    )


class Points:
    """Counts what happens, and ends the process when the chosen one is about to happen."""

    def __init__(self, at: int | None) -> None:
        self.at, self.reached = at, 0

    def __call__(self, *_: Any) -> None:
        self.reached += 1
        if self.reached == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def turn(uri: str, thread: str, durability: Durability, at: int | None, told: Path) -> None:
    """Ask a question; die before the ``at``-th statement, around the agent's call, or after all."""
    database = open_database(uri)
    threads = Threads(database, version="1", durability=durability)
    points = Points(at)

    class Watched(Echo):
        def __call__(self, question: str, *, request: Request | None = None) -> Answer:
            points()
            answer = super().__call__(question, request=request)
            points()
            return answer

    conversation = conversation_of(threads, Watched())
    if uri.startswith("sqlite:"):
        threads.saver.conn.set_trace_callback(points)  # type: ignore[attr-defined]
    else:
        _watch(psycopg.Cursor, "execute", points)
        _watch(psycopg.Cursor, "executemany", points)
    with closing(database):
        conversation("three, of the NL-8?", thread=thread, message="m3")
        points()
    told.write_text(str(points.reached))


def _watch(owner: Any, name: str, points: Points) -> None:
    method = getattr(owner, name)

    def watched(self: Any, *arguments: Any, **more: Any) -> Any:
        points()
        return method(self, *arguments, **more)

    setattr(owner, name, watched)
