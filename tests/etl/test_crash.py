"""A sync that is killed at any boundary leaves the old index or the new one.

The child kills itself with SIGKILL, so no handler, ``finally`` or ``atexit`` of it runs.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import OperatorError
from agentops_ref.etl import FolderSource, LanceSink, MemorySink, sync
from agentops_ref.etl.sinks import DatabricksSink, PostgresSink
from tests.etl.databricks import TOKEN, VectorSearchServer
from tests.etl.fakes import AT_ONCE, contents, make_stages, write

OLD = {"a.txt": "alpha\nbeta", "b.txt": "withdrawn 18 Nm", "c.txt": "gamma"}
NEW = {"a.txt": "alpha changed\nbeta\ndelta", "c.txt": "gamma", "d.txt": "new 20 Nm"}
LANCE_STEPS = ("before commit", "after commit", "before index", "after index")
POSTGRES_STEPS = (
    "before commit",
    "old rows ended",
    "chunks written",
    "ledger written",
    "head written",
    "after commit",
)
DATABRICKS_STEPS = (
    "before commit",
    "mark written",
    "chunks written",
    "ledger written",
    "old rows ended",
    "before head",
    "after commit",
)
PRUNE_STEPS = ("before prune", "after prune")
LANDED = {"after commit", "before index", "after index", "write done", *PRUNE_STEPS}
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
WRITE_POINTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "lancedb": (LANCE_STEPS, (), ()),
    "postgres": (POSTGRES_STEPS, ("tables made", "before index", "after index"), PRUNE_STEPS),
    "databricks": (DATABRICKS_STEPS, ("index made",), PRUNE_STEPS),
}
"""Sink → its write points in any sync, in a first one only, in a later one only."""
TIMEOUT = 60


def points(kind: str) -> list[tuple[str, bool]]:
    """Return every point at which a sink of a kind is killed, and whether in a first sync."""
    always, first, later = WRITE_POINTS[kind]
    return [
        *[(at, True) for at in (*STAGE_STEPS, *always, *first)],
        *[(at, False) for at in (*STAGE_STEPS, *always, *later)],
    ]


Killed = LanceSink | PostgresSink | DatabricksSink


def sink_of(place: str, observe: Callable[[str], None] | None = None) -> Killed:
    """Return the index at a folder or at an address; one that does all that it can do."""
    if place.startswith("databricks:"):
        os.environ["DATABRICKS_TOKEN"] = TOKEN
        return DatabricksSink(place, keep_versions=1, clean_rows=1, observe=observe)
    if place.startswith("postgresql:"):
        return PostgresSink(place, keep_versions=1, exact_rows=1, observe=observe)
    return LanceSink(place, observe=observe)


def killed_sync(root: Path, place: str, at: str) -> None:
    """Sync, and die at the named step."""

    def step(name: str) -> None:
        if name == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sync(
        FolderSource(root / "docs"),
        sink_of(place, step),
        make_stages(root / "cache"),
        AT_ONCE,
        progress=lambda stage, done, total: step(
            f"{stage} {'done' if done == total else 'started'}"
        ),
    )


def syncs_for_ever(root: Path, place: str) -> None:
    for n in range(10_000):
        for name in NEW:
            write(root / "docs", {name: f"generation{n} of {name}\n" * 3})
        killed_sync(root, place, "never")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServerContext]:
    with fork_server() as context:
        yield context


@contextmanager
def fork_server() -> Iterator[ForkServerContext]:
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


def killed_at(server: ForkServerContext, root: Path, place: str, at: str, first: bool) -> Killed:
    """Kill a sync at a step; hold the index to one of its two states, then to the new one."""
    old: dict[str, Any] = {}
    if not first:
        documents(root, OLD)
        killed_sync(root, place, "never")
        old = fresh(root)
    documents(root, NEW)
    new = fresh(root)

    child = server.Process(target=killed_sync, args=(root, place, at))
    child.start()
    child.join(TIMEOUT)
    assert child.exitcode == -signal.SIGKILL, "the step was not reached"

    sink = sink_of(place)
    landed = at in LANDED
    assert contents(sink) == (new if landed else old)
    if landed:
        assert [f.chunk.document for f in sink.search_text("Nm", 9)] == ["d.txt"]
    version = sink.version
    assert version == (not first) + landed

    # A server frees a dead session's locks when it has noticed.
    report = sync(FolderSource(root / "docs"), sink, make_stages(root / "cache"), AT_ONCE, wait=10)
    assert contents(sink) == new
    assert report.changed == (not landed)
    assert report.index_version == sink.version == version + (not landed)
    if at in ("embed done", "write started", "before commit"):
        assert report.work["parse"] == report.work["embed"] == 0, "found again in the cache"
    return sink


def killed_at_instants(
    server: ForkServerContext, root: Path, place: str, shares: Iterable[float]
) -> int:
    """Kill one sync after another at work; hold each to one state.

    ``shares`` say when, in units of the time that a process takes here to start and to sync once:
    instants in seconds would all fall before the commit on a busy machine.

    Returns the index version that was reached.
    """
    for files in (OLD, NEW):  # the first child waits for the server that forks to be there
        documents(root, files)
        started = time.perf_counter()
        whole = server.Process(target=killed_sync, args=(root, place, "never"))
        whole.start()
        whole.join(TIMEOUT)
        once = time.perf_counter() - started
    last = 0
    for share in shares:
        child = server.Process(target=syncs_for_ever, args=(root, place))
        child.start()
        waited = threading.Event()
        waited.wait(share * once)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(TIMEOUT)
        sink = sink_of(place)
        assert sink.version >= last
        last = sink.version
        ledger = sink.ledger()
        held = Counter(owner for owner, _, _ in sink.stored())
        assert held == {name: entry.chunks for name, entry in ledger.items() if entry.chunks}
        for name, entry in ledger.items():
            found = {chunk.version for chunk in sink.chunks_of(name)}
            assert found == {entry.content_hash[:12]}, "ledger and chunks are of one commit"
        with sink.hold(wait=10):
            pass
    killed_sync(root, place, "never")
    assert contents(sink_of(place)) == fresh(root)
    return last


@pytest.mark.parametrize(("at", "first"), points("lancedb"))
def test_killed_at_a_boundary(
    server: ForkServerContext, tmp_path: Path, at: str, first: bool
) -> None:
    sink = killed_at(server, tmp_path, str(tmp_path / "index"), at, first)
    assert isinstance(sink, LanceSink)
    assert sink._open().index_stats("search_idx").num_unindexed_rows == 0


@pytest.mark.parametrize(("at", "first"), points("postgres"))
def test_killed_at_a_boundary_in_postgres(
    server: ForkServerContext, tmp_path: Path, index_uri: str, at: str, first: bool
) -> None:
    sink = killed_at(server, tmp_path, index_uri, at, first)
    assert isinstance(sink, PostgresSink)
    assert sink.snapshot()._head.indexed  # type: ignore[attr-defined]
    if not first:
        with pytest.raises(OperatorError, match="no index version 1 is kept"):
            sink.at(1)


@pytest.mark.parametrize(("at", "first"), points("databricks"))
def test_killed_at_a_boundary_in_databricks(
    server: ForkServerContext,
    tmp_path: Path,
    vector_search: VectorSearchServer,
    vector_search_uri: str,
    at: str,
    first: bool,
) -> None:
    sink = killed_at(server, tmp_path, vector_search_uri, at, first)
    held = vector_search.indexes[f"{sink.name}_16"].rows  # type: ignore[union-attr]
    assert len(held) == sink.count(), "nothing that was ended or half written is left behind"


@pytest.mark.parametrize("kind", list(WRITE_POINTS))
def test_killed_at_any_instant(
    request: pytest.FixtureRequest, server: ForkServerContext, tmp_path: Path, kind: str
) -> None:
    fixture = {"postgres": "index_uri", "databricks": "vector_search_uri"}.get(kind)
    place = request.getfixturevalue(fixture) if fixture else str(tmp_path / "index")
    shares = (0.5, 2.6, 1.1, 4.0, 1.7, 3.3)
    assert killed_at_instants(server, tmp_path, place, shares) > 2, "it was killed at work"
