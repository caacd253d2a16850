"""A sync that is killed at any boundary leaves the old index or the new one.

The child kills itself with SIGKILL, so no handler, ``finally`` or ``atexit`` of it runs.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.etl import FolderSource, LanceSink, MemorySink, sync
from tests.etl.fakes import AT_ONCE, contents, make_stages, write

OLD = {"a.txt": "alpha\nbeta", "b.txt": "withdrawn 18 Nm", "c.txt": "gamma"}
NEW = {"a.txt": "alpha changed\nbeta\ndelta", "c.txt": "gamma", "d.txt": "new 20 Nm"}
SINK_STEPS = ("before commit", "after commit", "before index", "after index")
STAGE_STEPS = (
    "list started",
    "list done",
    "parse started",
    "parse done",
    "embed started",
    "embed done",
    "write started",
    "write done",
)
TIMEOUT = 60


def killed_sync(root: Path, at: str) -> None:
    """Sync, and die at the named step."""

    def step(name: str) -> None:
        if name == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sync(
        FolderSource(root / "docs"),
        LanceSink(root / "index", observe=step),
        make_stages(root / "cache"),
        AT_ONCE,
        progress=lambda stage, done, total: step(
            f"{stage} {'done' if done == total else 'started'}"
        ),
    )


def syncs_for_ever(root: Path) -> None:
    for n in range(10_000):
        for name in NEW:
            write(root / "docs", {name: f"generation{n} of {name}\n" * 3})
        killed_sync(root, "never")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServerContext]:
    """Children are forked from a process that has the libraries loaded and no state of ours."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.etl.preload"])
    yield context
    # The server would outlive the tests and wait for a parent that is gone.
    from multiprocessing import forkserver

    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def documents(root: Path, files: dict[str, str]) -> None:
    shutil.rmtree(root / "docs", ignore_errors=True)
    write(root / "docs", files)


def fresh(root: Path) -> dict[str, Any]:
    sink = MemorySink()
    sync(FolderSource(root / "docs"), sink, make_stages(), AT_ONCE)
    return contents(sink)


@pytest.mark.parametrize("first", [True, False], ids=["first sync", "later sync"])
@pytest.mark.parametrize("at", [*SINK_STEPS, *STAGE_STEPS])
def test_killed_at_a_boundary(
    server: ForkServerContext, tmp_path: Path, at: str, first: bool
) -> None:
    old: dict[str, Any] = {}
    if not first:
        documents(tmp_path, OLD)
        killed_sync(tmp_path, "never")
        old = fresh(tmp_path)
    documents(tmp_path, NEW)
    new = fresh(tmp_path)

    child = server.Process(target=killed_sync, args=(tmp_path, at))
    child.start()
    child.join(TIMEOUT)
    assert child.exitcode == -signal.SIGKILL, "the step was not reached"

    sink = LanceSink(tmp_path / "index")
    landed = at in ("after commit", "before index", "after index", "write done")
    assert contents(sink) == (new if landed else old)
    if landed:
        assert [f.chunk.document for f in sink.search_text("Nm", 9)] == ["d.txt"]
    version = sink.version
    assert version == (not first) + landed

    report = sync(FolderSource(tmp_path / "docs"), sink, make_stages(tmp_path / "cache"), AT_ONCE)
    assert contents(sink) == new
    assert report.changed == (not landed)
    assert report.index_version == sink.version == version + (not landed)
    assert sink._open().index_stats("search_idx").num_unindexed_rows == 0
    if at in ("embed done", "write started", "before commit"):
        assert report.work["parse"] == report.work["embed"] == 0, "found again in the cache"


def test_killed_at_any_instant(server: ForkServerContext, tmp_path: Path) -> None:
    documents(tmp_path, NEW)
    killed_sync(tmp_path, "never")
    last = 0
    for delay in (0.12, 0.31, 0.2, 0.47, 0.26, 0.38):
        child = server.Process(target=syncs_for_ever, args=(tmp_path,))
        child.start()
        waited = threading.Event()
        waited.wait(delay)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(TIMEOUT)
        sink = LanceSink(tmp_path / "index")
        assert sink.version >= last
        last = sink.version
        ledger = sink.ledger()
        held = Counter(owner for owner, _, _ in sink.stored())
        assert held == {name: entry.chunks for name, entry in ledger.items() if entry.chunks}
        for name, entry in ledger.items():
            found = {chunk.version for chunk in sink.chunks_of(name)}
            assert found == {entry.content_hash[:12]}, "ledger and chunks are of one commit"
    killed_sync(tmp_path, "never")
    assert contents(LanceSink(tmp_path / "index")) == fresh(tmp_path)
