"""A disk that says no: a cache costs time only, an index says what is wrong with it."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import OperatorError
from agentops_ref.etl import FolderSource, LanceSink, MemorySink, sync
from agentops_ref.etl import cache as caching
from tests.etl.fakes import AT_ONCE, contents, make_stages, write


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", {"a.txt": "alpha", "b.txt": "beta\n\ngamma"})


def full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def busy(*_: Any, **__: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize(
    ("name", "raises"), [("NamedTemporaryFile", full), ("_open", busy), ("_open", full)]
)
def test_a_cache_that_cannot_be_used_costs_no_document(
    docs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    raises: Any,
) -> None:
    plain, sink = MemorySink(), MemorySink()
    sync(FolderSource(docs), plain, make_stages(), AT_ONCE)
    monkeypatch.setattr(caching, name, raises)
    with caplog.at_level(logging.WARNING):
        report = sync(FolderSource(docs), sink, make_stages(tmp_path / "cache"), AT_ONCE)
    assert (report.created, report.quarantined) == (("a.txt", "b.txt"), ())
    assert contents(sink) == contents(plain)
    assert caplog.text.count("cannot be used") == 1
    assert "set paths.cache" in caplog.text.replace("\n", " ")


def test_a_cache_below_a_file_costs_no_document(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    stages = make_stages(tmp_path / "file" / "cache")
    assert sync(FolderSource(docs), MemorySink(), stages, AT_ONCE).quarantined == ()


def test_an_entry_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = caching.StageCache(tmp_path)

    def fails(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.json, "dump", fails)
    cache.put_elements("r", "c", ())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_index_that_cannot_be_written_says_so(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OperatorError, match=r"cannot write to the index in .*--sink"):
            sync(FolderSource(docs), LanceSink(place), make_stages(), AT_ONCE)


def test_a_full_disk_at_the_commit_is_an_error_and_no_bug(docs: Path, tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index")
    sync(FolderSource(docs), sink, make_stages(), AT_ONCE)
    before = contents(sink)
    write(docs, {"a.txt": "alpha, changed"})

    class Full(LanceSink):
        def _land(self, *_: Any) -> None:
            raise RuntimeError("lance error: No space left on device (os error 28), writer.rs:191")

    with pytest.raises(OperatorError, match=r"cannot write the index in .*No space left"):
        sync(FolderSource(docs), Full(tmp_path / "index"), make_stages(), AT_ONCE)
    assert contents(sink) == before
    assert sync(FolderSource(docs), sink, make_stages(), AT_ONCE).updated == ("a.txt",)
