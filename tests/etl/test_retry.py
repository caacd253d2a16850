"""Which failures are tried again, how often, and what a sync then says."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import DocumentError, OperatorError, TransientError
from agentops_ref.etl import FolderSource, MemorySink, sync
from agentops_ref.etl.retry import DOWN, Retry, can_pass
from agentops_ref.etl.sources import ReadFailed
from agentops_ref.etl.sources.folder import TICK_NS
from agentops_ref.etl.stages import Stages
from agentops_ref.settings import RetryConfig
from tests.etl.fakes import AT_ONCE, make_stages, write

AT_ONCE_AGAIN = RetryConfig(attempts=3, first_seconds=0, max_seconds=0)


class Flaky(FolderSource):
    """Fails as often as it is told to; ``reads`` are the documents in the order of reading."""

    def __init__(self, root: Path, failures: dict[str, list[Exception]]) -> None:
        super().__init__(root)
        self.failures = failures
        self.reads: list[str] = []

    def read(self, document: str) -> bytes:
        self.reads.append(document)
        if waiting := self.failures.get(document):
            raise waiting.pop(0)
        return super().read(document)


def stages(retry: RetryConfig = AT_ONCE_AGAIN) -> Stages:
    made = make_stages()
    made._retry = Retry(retry)
    return made


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", {"a.txt": "alpha", "b.txt": "beta", "c.txt": "gamma"})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ReadFailed("HTTP 503"), True),
        (TimeoutError("timed out"), True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), True),
        (OSError(errno.EBUSY, "busy"), True),
        (OSError(errno.ESTALE, "stale handle"), True),
        (TransientError("locked"), True),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (PermissionError(errno.EACCES, "denied"), False),
        (OSError(errno.ENAMETOOLONG, "name"), False),
        (DocumentError("encrypted"), False),
        (OperatorError("no weights"), False),
        (ValueError("bug"), False),
    ],
)
def test_what_can_pass(error: Exception, expected: bool) -> None:
    assert can_pass(error) == expected


def test_a_failure_that_passes_leaves_no_trace_but_the_count(docs: Path) -> None:
    source = Flaky(docs, {"b.txt": [ReadFailed("HTTP 503"), TimeoutError("timed out")]})
    report = sync(source, MemorySink(), stages(), AT_ONCE)
    assert report.created == ("a.txt", "b.txt", "c.txt")
    assert report.quarantined == ()
    assert source.reads == ["a.txt", "b.txt", "b.txt", "b.txt", "c.txt"]
    assert (report.work["read"], report.work["retry"]) == (3, 2)


def test_a_failure_that_stays_is_quarantined_after_the_attempts_and_retried_next_time(
    docs: Path,
) -> None:
    source = Flaky(docs, {"b.txt": [ReadFailed(f"HTTP 503, try {n}") for n in range(5)]})
    sink = MemorySink()
    report = sync(source, sink, stages(), AT_ONCE)
    assert report.created == ("a.txt", "c.txt")
    assert report.quarantined == (("b.txt", "ReadFailed: HTTP 503, try 2"),)
    assert source.reads.count("b.txt") == 3
    report = sync(source, sink, stages(), AT_ONCE)
    assert (report.updated, report.quarantined) == (("b.txt",), ())


@pytest.mark.parametrize("error", [DocumentError("it is encrypted"), PermissionError("denied")])
def test_what_cannot_pass_is_tried_once(docs: Path, error: Exception) -> None:
    source = Flaky(docs, {"b.txt": [error]})
    report = sync(source, MemorySink(), stages(), AT_ONCE)
    assert source.reads == ["a.txt", "b.txt", "c.txt"]
    assert str(error) in report.quarantined[0][1]
    assert "retry" not in report.work


def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    return waits


def test_waits_grow_with_jitter_and_stay_below_the_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = slept(monkeypatch)

    def fail() -> None:
        raise ReadFailed("down")

    for _ in range(60):
        retry = Retry(RetryConfig(attempts=6, first_seconds=1, max_seconds=5))
        with pytest.raises(ReadFailed):
            retry(fail, again=lambda: None)
    by_turn = [waits[turn::5] for turn in range(5)]
    assert [max(turn) <= limit for turn, limit in zip(by_turn, (1, 2, 4, 5, 5), strict=True)] == [
        True
    ] * 5
    assert max(by_turn[2]) > 2, "it grows"
    assert len(set(by_turn[0])) > 50, "it differs, so that clients do not come back together"


def test_a_server_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = slept(monkeypatch)
    answers: list[Any] = [ReadFailed("HTTP 429", retry_after=4.0), "text"]

    def read() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    retry = Retry(RetryConfig(attempts=3, first_seconds=0.1, max_seconds=5))
    assert retry(read, again=lambda: None) == "text"
    assert waits == [4.0]
    answers += [ReadFailed("HTTP 429", retry_after=6.0), "text"]
    with pytest.raises(ReadFailed):
        retry(read, again=lambda: None)
    assert waits == [4.0], "longer than the configuration allows: the next sync asks"


def test_when_the_whole_source_is_down_nobody_waits_for_each_document(tmp_path: Path) -> None:
    names = [f"{n:02}.txt" for n in range(10)]
    docs = write(tmp_path / "docs", {name: f"text {name}" for name in names})
    down: list[Exception] = [ReadFailed("down")] * 99
    source = Flaky(docs, {name: list(down) for name in names[:7]} | {names[8]: down[:1]})
    report = sync(source, MemorySink(), stages(), AT_ONCE)
    tries = [source.reads.count(name) for name in names]
    assert DOWN == 3
    assert tries == [3, 3, 3, 1, 1, 1, 1, 1, 2, 1], "and it is tried again once one was read"
    assert report.created == tuple(names[7:])


# --- a file that is written while it is read --------------------------------------------------


class Written(FolderSource):
    """Appends to a file between the opening and the end of reading it, ``times`` times."""

    times = 1

    def read(self, document: str) -> bytes:
        import agentops_ref.etl.sources.folder as folder

        inner = folder._await_tick

        def append(status: Any) -> None:
            inner(status)
            if document == "b.txt" and self.times:
                self.times -= 1
                with (self.root / document).open("a") as file:
                    file.write(" and more")

        folder._await_tick = append
        try:
            return super().read(document)
        finally:
            folder._await_tick = inner


def test_a_file_that_changes_while_it_is_read_is_read_again(docs: Path) -> None:
    sink, source = MemorySink(), Written(docs)
    report = sync(source, sink, stages(), AT_ONCE)
    assert [chunk.text for chunk in sink.chunks_of("b.txt")] == ["beta and more"]
    assert report.work["retry"] == 1


def test_a_file_that_never_stands_still_is_quarantined_alone(docs: Path) -> None:
    sink, source = MemorySink(), Written(docs)
    source.times = 99
    report = sync(source, sink, stages(), AT_ONCE)
    assert report.created == ("a.txt", "c.txt")
    assert "b.txt: changed while it was read" in report.quarantined[0][1]
    source.times = 0
    assert sync(source, sink, stages(), AT_ONCE).updated == ("b.txt",)


def test_a_file_that_was_written_just_now_is_read_when_the_clock_has_moved_on(
    tmp_path: Path,
) -> None:
    """Else an edit within the same tick would keep the times, and go unseen for ever."""
    docs = write(tmp_path / "docs", {"a.txt": "torque 18 Nm"})
    source = FolderSource(docs)
    for _ in range(5):
        (docs / "a.txt").write_text("torque 18 Nm")
        (before,) = source.list().items
        assert source.read("a.txt") == b"torque 18 Nm"
        assert time.time_ns() >= (docs / "a.txt").stat().st_ctime_ns + TICK_NS
        (docs / "a.txt").write_text("torque 20 Nm")
        (after,) = source.list().items
        assert after.fingerprint != before.fingerprint


def test_old_files_make_nobody_wait(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", {f"{n}.txt": "x" for n in range(50)})
    time.sleep(0.05)
    source = FolderSource(docs)
    started = time.perf_counter()
    for item in source.list().items:
        source.read(item.document)
    assert time.perf_counter() - started < 50 * 0.02, "50 ticks would be a second"
