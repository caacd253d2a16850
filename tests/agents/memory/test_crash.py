"""A turn that is killed anywhere leaves the thread before it or after it, and can be asked again.

The child kills itself with SIGKILL before each statement of its turn, one after the other (with
SQLite that includes BEGIN and COMMIT), and around the agent's call.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from agentops_ref.agents.memory import Database, Threads
from agentops_ref.agents.memory.threads import Durability
from tests.agents.memory import killed
from tests.agents.memory.parts import Echo

TIMEOUT = 60
Said = tuple[tuple[str, ...], str]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServerContext]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.agents.memory.killed"])
    yield context
    # The server would outlive the tests and wait for a parent that is gone.
    from multiprocessing import forkserver

    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def run(
    server: ForkServerContext,
    uri: str,
    thread: str,
    durability: Durability,
    at: int | None,
    told: Path,
) -> int | None:
    child = server.Process(target=killed.turn, args=(uri, thread, durability, at, told))
    child.start()
    child.join(TIMEOUT)
    if child.is_alive():
        child.kill()
        child.join()
        raise AssertionError(f"the turn hangs at point {at}")
    code = child.exitcode
    child.close()
    return code


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["exit", "sync"])
def test_a_killed_turn_is_before_or_after(
    server: ForkServerContext,
    database: Database,
    uri: str,
    durability: Durability,
    tmp_path: Path,
) -> None:
    threads, told = Threads(database, version="1", durability=durability), tmp_path / "points"

    def said(thread: str) -> Said:
        read = threads.read(thread)
        return tuple(message.text for message in read.messages), read.summary

    def two_turns(thread: str) -> None:
        talk = killed.conversation_of(threads, Echo())
        talk("one, of the NL-8?", thread=thread, message="m1")
        talk("two, of the NL-8?", thread=thread, message="m2")

    two_turns("whole")
    before = said("whole")
    assert run(server, uri, "whole", durability, None, told) == 0
    after = said("whole")
    # The turn has summarised as well, or this test would say nothing about that.
    assert after[1]
    assert not before[1]
    assert after[0][-2:] == ("three, of the NL-8?", "answer to three, of the NL-8?")
    untrimmed = (*before[0], *after[0][-2:]), before[1]
    points = int(told.read_text())
    assert points > 8
    seen = set()
    for at in range(1, points + 1):
        thread = f"killed at {at}"
        two_turns(thread)
        assert run(server, uri, thread, durability, at, told) == -signal.SIGKILL
        found = said(thread)
        assert found in {before, after, *({untrimmed} if durability == "sync" else ())}, at
        seen.add(found)
        agent = Echo()
        talk = killed.conversation_of(threads, agent)
        again = talk("three, of the NL-8?", thread=thread, message="m3")
        assert again.text == "answer to three, of the NL-8?"
        assert again.citations[0].quote == "18 Nm"
        assert len(agent.asked) == (1 if found == before else 0)  # not asked twice
        talk("four, of the NL-8?", thread=thread, message="m4")
        texts, _ = said(thread)
        assert texts.count("three, of the NL-8?") <= 1
        assert texts[-1] == "answer to four, of the NL-8?"
    assert {before, after} <= seen
