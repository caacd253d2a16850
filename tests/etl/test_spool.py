"""Rows come back from a spool as they went in, from memory and from its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.etl import FolderSource, LanceSink, MemorySink, sync
from agentops_ref.etl.sinks.base import Commit, Rows
from agentops_ref.etl.spool import Spool
from agentops_ref.records import Chunk, LedgerEntry
from tests.etl.fakes import AT_ONCE, contents, make_stages, write


def rows(name: str, texts: list[str]) -> Rows:
    chunks = tuple(
        Chunk(f"{name}#{n}", name, "v", n, text, "c", n or None, {"kind": "x"})
        for n, text in enumerate(texts)
    )
    vectors = np.random.default_rng(len(texts)).random((len(texts), 3)).astype(np.float32)
    return Rows(LedgerEntry(name, "f", "h", "p.c.e", len(texts)), chunks, vectors)


def same(one: Rows, other: Rows) -> bool:
    return (one.entry, one.chunks) == (other.entry, other.chunks) and (
        not one.chunks or np.array_equal(one.vectors, other.vectors)
    )


@given(st.lists(st.lists(st.text(), max_size=4), max_size=12), st.integers(0, 9))
def test_what_went_in_comes_out_as_often_as_it_is_asked_for(
    documents: list[list[str]], in_memory: int
) -> None:
    spool = Spool(in_memory)
    put = [rows(f"{n}.txt", texts) for n, texts in enumerate(documents)]
    for one in put:
        spool.append(one)
    for _ in range(2):
        assert len(list(spool)) == len(spool) == len(put)
        assert all(same(one, other) for one, other in zip(spool, put, strict=True))
    assert all(same(spool[n], put[n]) for n in range(len(put)))
    assert bool(Commit(spool)) == bool(put)
    spool.close()
    assert list(spool) == []


def test_past_its_limit_a_spool_holds_no_chunks_in_memory() -> None:
    spool = Spool(10)
    for n in range(100):
        spool.append(rows(f"{n}.txt", ["a", "b", "c"]))
        assert sum(len(one.chunks) for one in spool._recent) <= 10
    spool.close()


@pytest.mark.parametrize("kind", ["memory", "lancedb", "postgres"])
def test_a_sync_in_many_windows_gives_the_same_index(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentops_ref.etl.sinks import PostgresSink

    docs = write(tmp_path / "docs", {f"{n:02d}.txt": f"one {n}\ntwo {n}\nthree" for n in range(40)})
    whole = MemorySink()
    sync(FolderSource(docs), whole, make_stages(), AT_ONCE)
    import sys

    module = sys.modules["agentops_ref.etl.sync"]
    monkeypatch.setattr(module, "WINDOW", 7)
    monkeypatch.setattr(Spool.__init__, "__defaults__", (11,))
    sink = {
        "memory": MemorySink,
        "lancedb": lambda: LanceSink(tmp_path / "index"),
        "postgres": lambda: PostgresSink(request.getfixturevalue("index_uri")),
    }[kind]()
    sync(FolderSource(docs), sink, make_stages(), AT_ONCE)
    assert contents(sink) == contents(whole)
    write(docs, {f"{n:02d}.txt": f"other {n}\nfour" for n in range(0, 40, 2)})
    (docs / "01.txt").unlink()
    sync(FolderSource(docs), sink, make_stages(), AT_ONCE)
    sync(FolderSource(docs), whole, make_stages(), AT_ONCE)
    assert contents(sink) == contents(whole)
    assert sink.count() == 20 * 2 + 19 * 3
    assert sorted(f.chunk.document for f in sink.search_text("four", 99)) == [
        f"{n:02d}.txt" for n in range(0, 40, 2)
    ]
