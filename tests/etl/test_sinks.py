"""The contract of a sink, run over each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agentops_ref.errors import DeveloperError, OperatorError, TransientError
from agentops_ref.etl import Commit, LanceSink, MemorySink, Sink
from agentops_ref.etl.sinks import DatabricksSink, PostgresSink, Rows, searchable
from agentops_ref.records import Chunk, LedgerEntry
from tests.etl.fakes import FakeEmbeddings, contents

MODEL = FakeEmbeddings()
ODD_NAMES = (
    'manuals/it\'s "quoted".txt',
    "a;b' OR '1'='1.txt",
    "på/smørring_ß-漢.txt",
    "100%_x.txt",
)


def rows(document: str, *texts: str, tenant: str = "", version: str = "v1") -> Rows:
    kind = document.partition("/")[0]
    facts = {"kind": kind, "tenant": tenant, "title": f"Title of {document}", "more": "kept"}
    chunks = tuple(
        Chunk(f"{document}#{version}#{i}", document, version, i, text, "context", i + 1, facts)
        for i, text in enumerate(texts)
    )
    entry = LedgerEntry(document, "1-1", f"hash of {texts}", "p.c.e", len(chunks))
    vectors = np.array(MODEL.embed_documents([searchable(c) for c in chunks]), np.float32)
    return Rows(entry, chunks, vectors.reshape(len(chunks), MODEL.dimensions))


@pytest.fixture(params=["memory", "lancedb", "postgres", "databricks"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    if request.param == "postgres":
        return PostgresSink(request.getfixturevalue("index_uri"))
    if request.param == "databricks":
        return DatabricksSink(request.getfixturevalue("vector_search_uri"))
    return MemorySink() if request.param == "memory" else LanceSink(tmp_path / "index")


@pytest.fixture
def filled(sink: Sink) -> Sink:
    sink.commit(
        Commit(
            (
                rows("manuals/nl8.txt", "fault E41 low pressure", "flare nut torque 18 Nm"),
                rows("bulletins/b1.txt", "NL-8 torque changed to 20 Nm", tenant="nord"),
                rows("notes/n.txt", "smørring av lager, Größe 5", tenant="sud"),
            )
        )
    )
    return sink


def ids(found: list) -> list[str]:  # type: ignore[type-arg]
    return [f.chunk.document for f in found]


def test_an_empty_sink_answers(sink: Sink) -> None:
    assert (sink.version, sink.count(), sink.ledger(), list(sink.stored())) == (0, 0, {}, [])
    assert (sink.history(), sink.digest) == ([], "")
    assert sink.search_text("anything", 3) == []
    assert sink.search_vector([0.1] * 16, 3) == []
    assert sink.chunks_of("x") == []
    sink.maintain()
    assert sink.at(0).count() == 0
    assert sink.commit(Commit()) == 0


def test_what_was_committed_is_read_back(filled: Sink) -> None:
    expected = rows("manuals/nl8.txt", "fault E41 low pressure", "flare nut torque 18 Nm")
    assert filled.chunks_of("manuals/nl8.txt") == list(expected.chunks)
    assert filled.ledger()["manuals/nl8.txt"] == expected.entry
    assert list(filled.ledger()) == ["bulletins/b1.txt", "manuals/nl8.txt", "notes/n.txt"]
    assert (filled.version, filled.count()) == (1, 4)


def test_new_rows_are_found_at_once_by_both_searches(filled: Sink) -> None:
    version = filled.commit(Commit((rows("manuals/new.txt", "zebra pump bearing"),)))
    assert version == 2
    assert ids(filled.search_text("zebra", 3)) == ["manuals/new.txt"]
    found = filled.search_vector(MODEL.embed_query("context zebra pump bearing"), 1)
    assert ids(found) == ["manuals/new.txt"]
    assert found[0].score == pytest.approx(1.0, abs=1e-5)


def test_replacing_and_deleting_leave_nothing_behind(filled: Sink) -> None:
    filled.commit(
        Commit(
            (rows("manuals/nl8.txt", "only one chunk now", version="v2"),),
            delete=("notes/n.txt",),
        )
    )
    assert [c.text for c in filled.chunks_of("manuals/nl8.txt")] == ["only one chunk now"]
    assert filled.search_text("E41 smørring", 5) == []
    assert "notes/n.txt" not in filled.ledger()
    assert sorted(owner for owner, _, _ in filled.stored()) == [
        "bulletins/b1.txt",
        "manuals/nl8.txt",
    ]
    assert filled.commit(Commit(delete=("bulletins/b1.txt",))) == 3
    assert filled.count() == 1


def test_the_stored_chunks_of_some_documents(filled: Sink) -> None:
    some = ["manuals/nl8.txt", "no'such.txt"]
    found = sorted((owner, chunk.ordinal) for owner, chunk, _ in filled.stored(some))
    assert found == [("manuals/nl8.txt", 0), ("manuals/nl8.txt", 1)]
    assert list(filled.stored([])) == []


def test_bookkeeping_does_not_move_the_version(filled: Sink) -> None:
    entry = LedgerEntry("manuals/nl8.txt", "2-2", "h", "p.c.e", 2)
    late = LedgerEntry("late.txt", "1-1", "h", "p.c.e", 0, error="broken")
    assert filled.commit(Commit(entries=(entry, late))) == 1
    assert filled.ledger()["manuals/nl8.txt"] == entry
    assert filled.ledger()["late.txt"] == late
    assert len(filled.chunks_of("manuals/nl8.txt")) == 2
    assert filled.count() == 4


def test_a_document_without_chunks_and_a_first_commit_without_any(sink: Sink) -> None:
    assert sink.commit(Commit((rows("empty.txt"),))) == 1
    assert (sink.count(), list(sink.ledger())) == (0, ["empty.txt"])
    assert sink.search_vector([0.1] * 16, 3) == []
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    assert ids(sink.search_vector(MODEL.embed_query("alpha"), 3)) == ["a.txt"]
    assert list(sink.ledger()) == ["a.txt", "empty.txt"]


def test_history_tells_what_each_version_was(filled: Sink) -> None:
    filled.commit(Commit(delete=("manuals/nl8.txt",), digest="abc"))
    late = LedgerEntry("late.txt", "1-1", "h", "p.c.e", 0, error="broken")
    filled.commit(Commit(entries=(late,), digest="def"))
    lines = [(v.number, v.documents, v.chunks, v.note) for v in filled.history()]
    assert lines == [(2, 3, 2, "sync"), (1, 3, 4, "sync")]
    assert filled.digest == filled.snapshot().digest == "def"
    made = [datetime.fromisoformat(v.made_at) for v in filled.history()]
    assert made == sorted(made, reverse=True)
    assert all(time.tzinfo == UTC for time in made)


def test_a_rollback_is_a_new_version_that_equals_an_old_one(filled: Sink) -> None:
    before = contents(filled)
    filled.commit(
        Commit((rows("manuals/nl8.txt", "second"),), delete=("notes/n.txt",), digest="abc")
    )
    after = contents(filled)
    held = filled.snapshot()
    assert filled.rollback(1) == 3
    assert (filled.version, filled.digest) == (3, "")
    assert contents(filled) == before
    assert ids(filled.search_text("smørring", 3)) == ["notes/n.txt"]
    assert contents(held) == contents(filled.at(2)) == after
    assert filled.history()[0][2:] == (3, 4, "rollback to 1")
    assert filled.rollback(2) == 4
    assert contents(filled) == after
    with pytest.raises(OperatorError, match="version 9"):
        filled.rollback(9)


def test_a_rollback_to_nothing_and_to_other_vectors(filled: Sink) -> None:
    before = contents(filled)
    assert filled.rollback(0) == 2
    assert (filled.count(), filled.ledger()) == (0, {})
    assert filled.rollback(1) == 3
    assert contents(filled) == before


def test_one_writer_at_a_time(sink: Sink) -> None:
    with sink.hold(), pytest.raises(TransientError, match="another sync"), sink.hold():
        pass
    with sink.hold(wait=1):
        pass


def test_everything_that_is_stored_comes_with_its_vector(filled: Sink) -> None:
    expected = rows("manuals/nl8.txt", "fault E41 low pressure", "flare nut torque 18 Nm")
    mine = [(c, v) for owner, c, v in filled.stored() if owner == "manuals/nl8.txt"]
    assert sorted(c.id for c, _ in mine) == [c.id for c in expected.chunks]
    for chunk, vector in mine:
        np.testing.assert_allclose(vector, expected.vectors[chunk.ordinal], atol=1e-6)


def test_a_snapshot_does_not_move_and_old_versions_can_be_read(filled: Sink) -> None:
    held = filled.snapshot()
    filled.commit(Commit((rows("manuals/nl8.txt", "second"),)))
    filled.commit(Commit(delete=("manuals/nl8.txt", "notes/n.txt")))
    assert (held.version, held.count(), len(held.search_text("torque", 9))) == (1, 4, 2)
    assert [filled.at(v).count() for v in (0, 1, 2, 3)] == [0, 4, 3, 1]
    assert filled.at(2).chunks_of("manuals/nl8.txt")[0].text == "second"
    assert ids(filled.at(1).search_text("E41", 9)) == ["manuals/nl8.txt"]
    for version in (4, -1):
        with pytest.raises(OperatorError, match=f"version {version}"):
            filled.at(version)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"kind": "manuals"}, {"manuals/nl8.txt"}),
        ({"tenant": ["", "nord"]}, {"manuals/nl8.txt", "bulletins/b1.txt"}),
        ({"tenant": "nord", "kind": ["manuals", "bulletins"]}, {"bulletins/b1.txt"}),
        ({"document": "notes/n.txt"}, {"notes/n.txt"}),
        ({"title": "it's nobody's"}, set()),
        ({"kind": []}, set()),
        ({}, {"manuals/nl8.txt", "bulletins/b1.txt", "notes/n.txt"}),
    ],
)
def test_filters(filled: Sink, filters: dict, expected: set[str]) -> None:  # type: ignore[type-arg]
    assert set(ids(filled.search_text("torque lager", 9, filters))) == expected
    assert set(ids(filled.search_vector(MODEL.embed_query("x"), 9, filters))) == expected


def test_an_unknown_filter_is_refused(filled: Sink) -> None:
    with pytest.raises(DeveloperError, match="tenant"):
        filled.search_text("x", 3, {"tennant": "nord"})


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        '"',
        "it's",
        "AND OR NOT (",
        "title:x",
        "a~2 b^3",
        "*",
        "\x00",
        "\ud800",
        "🔥",
        "'; DROP TABLE chunks; --",
        "x" * 5000,
        "word " * 2000,
        "%_",
        "{}[]<>|&!@#$",
    ],
)
def test_no_query_raises(filled: Sink, query: str) -> None:
    assert isinstance(filled.search_text(query, 3), list)


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("E41", "manuals/nl8.txt"),
        ("what does e41 mean?", "manuals/nl8.txt"),
        ('"NL-8"', "bulletins/b1.txt"),
        ("smørring", "notes/n.txt"),
        ("Größe", "notes/n.txt"),
    ],
)
def test_codes_and_non_ascii_are_found(filled: Sink, query: str, document: str) -> None:
    assert ids(filled.search_text(query, 1)) == [document]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(filled: Sink, name: str) -> None:
    filled.commit(Commit((rows(name, "oddity one", "oddity two"),)))
    assert len(filled.chunks_of(name)) == 2
    assert set(ids(filled.search_text("oddity", 9, {"document": name}))) == {name}
    filled.commit(Commit((rows(name, "oddity three", version="v2"),)))
    assert [c.text for c in filled.chunks_of(name)] == ["oddity three"]
    filled.commit(Commit(delete=(name,)))
    assert name not in filled.ledger()
    assert filled.count() == 4


def test_n_limits_and_orders(filled: Sink) -> None:
    found = filled.search_text("torque", 1)
    assert len(found) == 1
    assert filled.search_text("torque", 0) == []
    assert filled.search_vector(MODEL.embed_query("torque"), 0) == []
    scores = [f.score for f in filled.search_vector(MODEL.embed_query("torque"), 9)]
    assert scores == sorted(scores, reverse=True)


def test_equal_scores_come_in_the_order_of_ids(sink: Sink) -> None:
    same = [rows(f"{i:03}.txt", "the very same text") for i in range(60)]
    sink.commit(Commit(tuple(reversed(same[:30]))))
    sink.commit(Commit(tuple(same[30:])))
    expected = [f"{i:03}.txt" for i in range(60)]
    assert ids(sink.search_text("same text", 60)) == expected
    assert ids(sink.search_vector(MODEL.embed_query("same"), 60)) == expected


def test_vectors_of_another_length_need_every_document(filled: Sink) -> None:
    if isinstance(filled, MemorySink):
        filled.commit(Commit((rows("x.txt", "x"),)))  # keeps what it is given
        return
    wide = FakeEmbeddings(8)
    old = rows("manuals/nl8.txt", "one")
    new = Rows(old.entry, old.chunks, np.array(wide.embed_documents(["one"]), np.float32))
    with pytest.raises(DeveloperError, match="2 documents behind"):
        filled.commit(Commit((new,)))
    assert filled.version == 1


# --- what only one of them has ----------------------------------------------------------------


def test_the_fake_fails_on_demand() -> None:
    sink = MemorySink(fail_on=2)
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    with pytest.raises(TransientError):
        sink.commit(Commit(delete=("a.txt",)))
    assert sink.count() == 1
    assert sink.commit(Commit(delete=("a.txt",))) == 2


def test_a_commit_is_one_version_of_the_table(tmp_path: Path) -> None:
    """The claim on which invariant 1 rests, checked against the library itself."""
    seen: list[int] = []
    versions: Callable[[str], None] = lambda name: seen.append(  # noqa: E731
        0 if (table := sink._open()) is None else table.version
    )
    sink = LanceSink(tmp_path / "index", observe=lambda name: versions(name))
    for commit in (
        Commit((rows("a.txt", "alpha", "beta"), rows("b.txt", "gamma"))),
        Commit((rows("a.txt", "delta", version="v2"), rows("c.txt", "new")), delete=("b.txt",)),
        Commit(delete=("c.txt",)),
        Commit(entries=(LedgerEntry("a.txt", "9-9", "h", "p.c.e", 1),)),
    ):
        seen.clear()
        sink.commit(commit)
        before, after = seen[:2]
        assert after == before + 1
    state = sink._open().version
    sink.maintain()
    sink.commit(Commit())
    assert sink._open().version == state


def test_several_thousand_documents_in_one_commit(tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index")
    many = tuple(rows(f"folder's/{i:05}.txt", f"text {i}") for i in range(4000))
    sink.commit(Commit(many))
    sink.commit(Commit(many[:2000], delete=tuple(r.entry.document for r in many[2000:3500])))
    assert sink.count() == 2500


def test_many_commits_are_merged_into_few_files(tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index")
    for i in range(30):
        sink.commit(Commit((rows("a.txt", f"text {i}"), rows(f"{i}.txt", "x"))))
    assert sink._open().stats()["fragment_stats"]["num_fragments"] <= 22
    assert sink.version == 30
    assert sink.at(3).chunks_of("a.txt")[0].text == "text 2"
    assert ids(sink.search_text("29", 3)) == ["a.txt"]


def test_above_the_limit_the_index_is_extended(tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index", rebuild_rows=2)
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    sink.commit(Commit((rows("b.txt", "beta"),)))
    assert sink._open().index_stats("search_idx").num_unindexed_rows == 0
    assert ids(sink.search_text("beta alpha", 3)) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("kind", ["lancedb", "postgres"])
def test_a_reader_during_commits_sees_whole_versions_only(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    where = request.getfixturevalue("index_uri") if kind == "postgres" else tmp_path / "index"

    def connected() -> Sink:
        return PostgresSink(where) if kind == "postgres" else LanceSink(where)

    writer = connected()
    names = [f"{i}.txt" for i in range(6)]

    def generation(n: int) -> Commit:
        return Commit(tuple(rows(name, f"generation{n} one", "two") for name in names))

    writer.commit(generation(0))
    problems: list[str] = []
    seen: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        reader = connected()
        while not stop.is_set():
            try:
                held = reader.snapshot()
                n = held.version - 1
                seen.add(n)
                texts = {chunk.text for name in names for chunk in held.chunks_of(name)}
                found = held.search_text(f"generation{n}", 50)
                if texts != {f"generation{n} one", "two"} or len(found) != 6:
                    problems.append(f"version {held.version}: {texts}, {len(found)} found")
                if len(held.search_vector(MODEL.embed_query("two"), 50)) != 12:
                    problems.append(f"version {held.version}: vectors")
            except Exception as error:
                problems.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(1, 26):
        writer.commit(generation(n))
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(seen) > 3
