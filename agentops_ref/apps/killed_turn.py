"""Turns of a conversation whose processes are killed at chosen points, for chapter 6.

``SIGKILL`` cannot be caught: no handler, no ``finally`` and no ``atexit`` of the process runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from agentops_ref.agents.memory.threads import Durability
from agentops_ref.agents.request import Request
from agentops_ref.errors import DeveloperError
from agentops_ref.records import Answer

POINTS = ("before the agent", "after the agent", "while learning", "before the reply")
"""Where a turn can be killed, in the order of its work."""
DURABILITIES: tuple[Durability, ...] = ("exit", "sync")
QUESTION = "And the second one?"


class Turn(NamedTuple):
    """What became of one turn."""

    durability: str
    killed: str
    """The point."""
    found: int
    """Messages that the next reader finds; there were two before the turn, and it brings two."""
    asked_again: int
    """Calls of the agent when the same message is sent again."""
    at_last: int
    """Messages after that."""


def killed_turns(uri: str) -> list[Turn]:
    """Kill a second turn at each point, for each durability; then read, and ask it again.

    Every kill ends a process of its own; all is done by one child, which imports once.
    """
    command = [sys.executable, "-m", __name__, uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeveloperError(f"the child was to tell what it saw: {done.stderr[-500:]}")
    return [Turn(*row) for row in json.loads(done.stdout)]


class _Agent:
    """Counts its calls, and lets something happen around them."""

    def __init__(self, happens: Callable[[str], None]) -> None:
        self.calls, self._happens = 0, happens

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        self._happens("before the agent")
        self.calls += 1
        self._happens("after the agent")
        return Answer(f"answer to: {question}", False)


def _conversation(database: Any, durability: Durability, happens: Callable[[str], None]) -> Any:
    """Return a conversation whose model repeats the question, and its agent."""
    from agentops_ref.agents.memory import Ask, Learned, Standalone, Summariser, Threads
    from agentops_ref.agents.memory.conversation import Conversation
    from agentops_ref.agents.prompts import load_prompt
    from agentops_ref.config import shipped_config_dir
    from agentops_ref.records import Usage
    from agentops_ref.testing import ScriptedChat

    def repeats(messages: Sequence[Any]) -> str:
        return str(messages[-1].text.splitlines()[-2].removeprefix("Last question: "))

    def learn(message: str, **_: Any) -> Learned:
        happens("while learning")
        return Learned((), (), Usage())

    def ask(prompt: str) -> Ask:
        loaded = load_prompt(shipped_config_dir() / "prompts", prompt)
        return Ask(ScriptedChat(script=repeats), loaded, lambda message: Usage(calls=1))

    agent = _Agent(happens)
    made = Conversation(
        agent,
        Threads(database, version="1", durability=durability),
        standalone=Standalone(ask("standalone.md")),
        summariser=Summariser(ask("thread_summary.md"), most=400),
        budget=400,
        learn=learn,
    )
    return made, agent


def _turns(uri: str) -> list[Turn]:
    from contextlib import closing

    from agentops_ref.agents.memory import open_database

    request = Request(subjects=("customer",))

    def turn(durability: Durability, thread: str, *asked: str, at: str = "") -> tuple[int, int]:
        """Ask; return calls of the agent and messages of the thread. Dies at a point."""

        def happens(point: str) -> None:
            if point == at:
                os.kill(os.getpid(), signal.SIGKILL)

        with closing(open_database(uri)) as database:
            talk, agent = _conversation(database, durability, happens)
            for number, question in enumerate(asked):
                talk(question, thread=thread, message=f"{number} {question}", request=request)
            happens("before the reply")
            return agent.calls, len(talk.threads.read(thread).messages)

    found = []
    for durability in DURABILITIES:
        for point in POINTS:
            thread = f"{durability}, killed {point}"
            turn(durability, thread, "Which fuse does the first one need?")
            child = os.fork()
            if not child:
                turn(durability, thread, QUESTION, at=point)
                os._exit(0)
            _, ended = os.waitpid(child, 0)
            if not os.WIFSIGNALED(ended):
                raise DeveloperError(f"no turn was killed {point}")
            _, messages = turn(durability, thread)
            calls, at_last = turn(durability, thread, QUESTION)
            found.append(Turn(durability, point, messages, calls, at_last))
    return found


if __name__ == "__main__":
    print(json.dumps(_turns(sys.argv[1])))
