"""What readers see of an index while a writer changes it, for chapter 4.

A reader asks again and again what the index holds, as many times as it can. Every answer that is
neither the state before nor the state after is a mixture: some documents are new and others old.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, NamedTuple

from agentops_ref.etl.sinks import Commit, LanceSink
from agentops_ref.records import SyncReport

State = Hashable


class Watched(NamedTuple):
    """What a reader saw, in numbers of looks."""

    before: int
    """Looks at the state before the change."""
    mixture: int
    """Looks at anything between."""
    after: int
    """Looks at the state after it."""


def state_of(sink: LanceSink) -> frozenset[tuple[str, str]]:
    """Return what one snapshot serves: (document, content hash) of every document with chunks."""
    entries = sink.snapshot().ledger().values()
    return frozenset((entry.document, entry.content_hash) for entry in entries if entry.chunks)


def watch(look: Callable[[], State], change: Callable[[], Any]) -> Watched:
    """Run ``change`` while a second thread looks; count its looks by what they saw.

    Parameters
    ----------
    look
        Returns what a reader sees; called at least once before and once after the change.
    change
        Brings the index from one state to another.

    Raises
    ------
    Exception
        Whatever ``change`` or ``look`` raised.
    """
    seen: list[State] = [look()]
    failed: list[BaseException] = []
    done = threading.Event()

    def reader() -> None:
        try:
            while not done.is_set():
                seen.append(look())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        change()
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]
    seen.append(look())
    first, last = seen[0], seen[-1]
    return Watched(
        seen.count(first) if first != last else len(seen),
        sum(1 for state in seen if state not in (first, last)),
        seen.count(last) if first != last else 0,
    )


class OneByOne(LanceSink):
    """The same sink, except that it commits each document by itself, as an upsert loop does.

    Each of these commits is atomic. What no reader is spared are the states between them.
    """

    def commit(self, commit: Commit) -> int:
        version = 0
        for rows in commit.replace:
            version = super().commit(Commit((rows,)))
        for document in commit.delete:
            version = super().commit(Commit(delete=(document,)))
        return super().commit(replace(commit, replace=(), delete=())) or version


def in_parallel(*syncs: Callable[[], SyncReport]) -> list[SyncReport | Exception]:
    """Start several syncs at the same moment, a thread each; return what each one ended with."""
    ended: list[SyncReport | Exception] = [RuntimeError("not run")] * len(syncs)
    start = threading.Barrier(len(syncs))

    def run(place: int, sync: Callable[[], SyncReport]) -> None:
        start.wait()
        try:
            ended[place] = sync()
        except Exception as error:  # the caller looks at it
            ended[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(syncs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended
