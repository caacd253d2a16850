"""What chapter 4 lets a reader see: mixtures are counted, and a file that is broken is refused."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from agentops_ref.apps.broken import BROKEN, write_broken
from agentops_ref.apps.loopback import Loopback
from agentops_ref.apps.watched import OneByOne, in_parallel, state_of, watch
from agentops_ref.errors import DocumentError
from agentops_ref.etl import FolderSource, LanceSink, sync
from agentops_ref.etl.parse import parse
from agentops_ref.records import SyncReport
from tests.etl.fakes import AT_ONCE, make_stages, write

OLD = {"a.txt": "alpha one", "b.txt": "beta one", "c.txt": "gamma one", "gone.txt": "gone"}
NEW = {"a.txt": "alpha two", "b.txt": "beta two", "c.txt": "gamma two"}


def test_looks_are_counted_by_the_state_that_they_saw() -> None:
    state = ["old"]
    seen = threading.Semaphore(0)

    def look() -> str:
        seen.release()
        return state[0]

    def change() -> None:
        for now in ("half", "new"):
            state[0] = now
            while seen.acquire(blocking=False):  # looks that began before this
                pass
            for _ in range(2):  # when the second one has begun, the first has seen it
                seen.acquire()

    looked = watch(look, change)
    assert looked.before >= 1
    assert looked.mixture >= 1
    assert looked.after >= 1


def test_what_a_change_raises_comes_out_and_the_reader_ends() -> None:
    def change() -> None:
        raise ValueError("no")

    before = threading.active_count()
    with pytest.raises(ValueError, match="no"):
        watch(lambda: 1, change)
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", [LanceSink, OneByOne])
def test_commits_one_by_one_end_equal_and_show_what_is_between(
    tmp_path: Path, kind: type[LanceSink]
) -> None:
    docs = write(tmp_path / "docs", OLD)
    sync(FolderSource(docs), LanceSink(tmp_path / "index"), make_stages(), AT_ONCE)
    (docs / "gone.txt").unlink()
    write(docs, NEW)
    between: list[int] = []

    def observed(name: str) -> None:
        if name == "after commit":
            between.append(len(state_of(LanceSink(tmp_path / "index"))))

    sink = kind(tmp_path / "index", observe=observed)
    sync(FolderSource(docs), sink, make_stages(), AT_ONCE)
    assert len(between) == (1 if kind is LanceSink else 4)
    assert {name for name, _ in state_of(sink)} == set(NEW)


def test_several_run_at_once_and_each_end_is_kept() -> None:
    together = threading.Barrier(2, timeout=20)

    def fine() -> SyncReport:
        together.wait()
        return SyncReport("s", 1)

    def fails() -> SyncReport:
        together.wait()
        raise ValueError("mine")

    first, second = in_parallel(fine, fails)
    assert first == SyncReport("s", 1)
    assert isinstance(second, ValueError)


def test_every_broken_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    whole = b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 50
    names = write_broken(tmp_path, whole)
    assert set(names) == set(BROKEN)
    for name in names:
        with pytest.raises(DocumentError, match=r"\w"):
            parse(name, (tmp_path / name).read_bytes(), ocr=None)


def test_the_loopback_server_is_unwell_as_often_as_it_is_told() -> None:
    with Loopback({"a.html": b"hello"}, {"a.html": 2}) as web, httpx.Client() as client:
        assert [client.get(f"{web.url}/a.html").status_code for _ in range(3)] == [503, 503, 200]
        assert client.head(f"{web.url}/a.html").headers["etag"]
        assert client.get(f"{web.url}/b.html").status_code == 404
        client.post(web.url, json={"text": "hi"})
        assert web.posted == [{"text": "hi"}]
        assert web.got == {"a.html": 3, "b.html": 1}
