"""What a sync promises: equal to a fresh one, work in proportion to change, deliberate deletes."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentops_ref.errors import OperatorError, TransientError
from agentops_ref.etl import FolderSource, LanceSink, MemorySink, Sink, audit, diff, sync
from agentops_ref.etl.naive import append
from agentops_ref.etl.plan import Plan, with_renames
from agentops_ref.etl.sinks import PostgresSink
from agentops_ref.etl.sinks.base import Snapshot
from agentops_ref.etl.stages import Stages
from agentops_ref.records import LedgerEntry, Listing, SourceItem, SyncReport
from agentops_ref.settings import DeletionConfig
from tests.etl.fakes import AT_ONCE, FakeEmbeddings, contents, make_stages, write

NAMES = ("a.txt", "b.txt", "manuals/c.txt", "manuals/nord's.txt")
TEXTS = ("", "one line", "one line\ntwo E41", "torque 18 Nm\n\nNL-8 charge\nthird", "broken file")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(
        tmp_path / "docs",
        {
            "a.txt": "alpha\nbeta",
            "manuals/b.txt": "E41 low pressure",
            "manuals/nord.txt": "flow sensor",
            "c.txt": "gamma",
        },
    )


def kept(sink: Sink) -> list[tuple[str, str]]:
    return sorted((owner, chunk.id) for owner, chunk, _ in sink.stored())


def run(docs: Path, sink: Sink, stages: Stages | None = None, **more: object) -> SyncReport:
    return sync(FolderSource(docs), sink, stages or make_stages(), AT_ONCE, **more)  # type: ignore[arg-type]


# --- an incremental index equals a fresh one --------------------------------------------------

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("write", "write", "delete", "rename", "touch", "sync", "sync")),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from(TEXTS[:4]),
    ),
    max_size=14,
)
MANY = settings(max_examples=60)


def play(sink: Sink, fresh: Sink, operations: list[tuple[str, str, str, str]], root: Path) -> None:
    """Do the operations, syncing where they say so, and compare with a fresh index."""
    docs = root / "docs"
    docs.mkdir()
    (docs / "manuals").mkdir()
    stages = make_stages(root / "cache")
    clock = 10**18
    for operation, name, other, text in operations:
        path = docs / name
        if operation == "write":
            path.write_text(text, encoding="utf-8")
        elif operation == "delete":
            path.unlink(missing_ok=True)
        elif operation == "rename" and path.exists():
            path.replace(docs / other)
        elif operation == "sync":
            run(docs, sink, stages)
        if operation in ("write", "touch") and path.exists():
            clock += 10**9  # the file system's own clock may stand still between two steps
            os.utime(path, ns=(clock, clock))
    run(docs, sink, stages)
    run(docs, fresh)
    assert contents(sink) == contents(fresh)
    for query in ("one E41 line", "torque NL-8"):
        vector = FakeEmbeddings().embed_query(query)
        assert sink.search_vector(vector, 9) == fresh.search_vector(vector, 9)
        assert sink.search_text(query, 9) == fresh.search_text(query, 9)
    assert kept(sink) == kept(fresh)
    assert audit(FolderSource(docs), sink, stages).findings == ()
    version = sink.version
    again = run(docs, sink, stages)
    assert not again.changed
    assert sink.version == version
    assert not any(again.work.values())


@MANY
@given(OPERATIONS)
def test_any_history_gives_the_index_of_a_fresh_sync(
    operations: list[tuple[str, str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play(MemorySink(), MemorySink(), operations, Path(folder))


@settings(MANY, max_examples=5)
@given(OPERATIONS)
def test_any_history_gives_the_index_of_a_fresh_sync_in_lancedb(
    operations: list[tuple[str, str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        play(LanceSink(root / "index"), LanceSink(root / "fresh"), operations, root)


@settings(MANY, max_examples=5)
@given(OPERATIONS)
def test_any_history_gives_the_index_of_a_fresh_sync_in_postgres(
    postgres: str, operations: list[tuple[str, str, str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        name = f"{postgres}/postgres?schema=history_{uuid.uuid4().hex}"
        play(PostgresSink(name), PostgresSink(f"{name}_fresh"), operations, Path(folder))


def test_lancedb_scores_do_not_depend_on_history(docs: Path, tmp_path: Path) -> None:
    sink, fresh = LanceSink(tmp_path / "one"), LanceSink(tmp_path / "two")
    run(docs, sink)
    (docs / "a.txt").write_text("E41 beta pressure\nanother line about pressure")
    (docs / "c.txt").unlink()
    run(docs, sink)
    (docs / "manuals/b.txt").unlink()
    run(docs, sink)
    run(docs, fresh)
    assert sink.search_text("pressure E41", 9) == fresh.search_text("pressure E41", 9)


# --- work is proportional to change -----------------------------------------------------------


def test_an_unchanged_corpus_costs_a_listing(docs: Path, tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index")
    first = run(docs, sink)
    assert len(first.created) == 4
    assert first.index_version == 1
    assert first.work == {"read": 4, "parse": 4, "chunk": 4, "embed": 5, "write": 9}
    again = run(docs, sink)
    assert again.work == dict.fromkeys(("read", "parse", "chunk", "embed", "write"), 0)
    assert (again.index_version, again.unchanged, again.changed) == (1, 4, False)


def test_one_changed_document_costs_one_document(docs: Path, tmp_path: Path) -> None:
    sink, stages = LanceSink(tmp_path / "index"), make_stages(tmp_path / "cache")
    run(docs, sink, stages)
    (docs / "a.txt").write_text("alpha\nbeta\ndelta")
    report = run(docs, sink, stages)
    assert report.updated == ("a.txt",)
    assert report.work == {"read": 1, "parse": 1, "chunk": 1, "embed": 1, "write": 4}
    assert report.index_version == 2


def test_a_touched_document_is_read_and_nothing_else(docs: Path) -> None:
    sink = MemorySink()
    run(docs, sink)
    os.utime(docs / "a.txt", ns=(1, 1))
    report = run(docs, sink)
    assert report.work == {"read": 1, "parse": 0, "chunk": 0, "embed": 0, "write": 1}
    assert (report.changed, report.index_version, report.unchanged) == (False, 1, 4)
    assert run(docs, sink).work["read"] == 0


def test_a_new_embedding_recipe_embeds_and_does_not_parse(docs: Path, tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index")
    run(docs, sink, make_stages(tmp_path / "cache"))
    report = run(docs, sink, make_stages(tmp_path / "cache", model="m2", dimensions=24))
    assert report.work == {"read": 0, "parse": 0, "chunk": 4, "embed": 5, "write": 9}
    assert len(report.updated) == 4
    assert len(sink.search_vector(FakeEmbeddings(24).embed_query("alpha"), 9)) == 5
    assert sink.at(1).count() == 5, "the version before has other vectors and is still there"
    with pytest.raises(OperatorError, match="16 dimensions"):
        sink.at(1).search_vector(FakeEmbeddings(24).embed_query("alpha"), 9)


def test_a_new_parser_parses_and_embeds_only_what_came_out_different(
    docs: Path, tmp_path: Path
) -> None:
    sink = MemorySink()
    run(docs, sink, make_stages(tmp_path / "cache"))
    report = run(docs, sink, make_stages(tmp_path / "cache", parser="2"))
    assert report.work == {"read": 4, "parse": 4, "chunk": 4, "embed": 0, "write": 9}


def test_a_renamed_document_is_not_parsed_again(docs: Path, tmp_path: Path) -> None:
    sink, stages = MemorySink(), make_stages(tmp_path / "cache")
    run(docs, sink, stages)
    (docs / "a.txt").rename(docs / "z.txt")
    report = run(docs, sink, stages)
    assert (report.created, report.deleted) == (("z.txt",), ("a.txt",))
    assert report.work["parse"] == report.work["embed"] == 0


def test_embeddings_are_made_in_batches_over_all_documents(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", {f"{i:02}.txt": f"line {i}" for i in range(24)})
    stages = make_stages()
    run(docs, MemorySink(), stages)
    assert stages._embeddings.calls == 3  # type: ignore[attr-defined]  # batches of 8


def test_a_damaged_cache_is_made_again(docs: Path, tmp_path: Path) -> None:
    run(docs, MemorySink(), make_stages(tmp_path / "cache"))
    for path in (tmp_path / "cache").rglob("*.*"):
        if path.is_file():
            path.write_bytes(b"damaged" * 500)
    sink = MemorySink()
    report = run(docs, sink, make_stages(tmp_path / "cache"))
    assert report.work["parse"] == 4
    assert sink.count() == 5


def test_the_plan_is_put_in_order_once_and_not_for_each_document(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    ordered = Plan.work.fget  # type: ignore[attr-defined]

    def counted(plan: Plan) -> object:
        nonlocal asked
        asked += 1
        return ordered(plan)

    monkeypatch.setattr(Plan, "work", property(counted))
    assert len(run(docs, MemorySink()).created) == 4
    assert asked == 1


def test_progress_is_told_per_stage(docs: Path) -> None:
    told: list[tuple[str, int, int]] = []
    run(docs, MemorySink(), progress=lambda *step: told.append(step))
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == ["list", "parse", "embed", "write"]
    assert {(stage, done) for stage, done, total in told if done == total} >= {
        ("list", 1),
        ("parse", 4),
        ("embed", 5),
        ("write", 1),
    }


# --- deleting is deliberate -------------------------------------------------------------------


def test_a_missing_document_is_tombstoned_then_removed(docs: Path) -> None:
    sink, patient = MemorySink(), DeletionConfig(listings=3, max_share=0.5)
    source, stages = FolderSource(docs), make_stages()
    sync(source, sink, stages, patient)
    (docs / "c.txt").unlink()
    for times in (1, 2):
        report = sync(source, sink, stages, patient)
        assert report.tombstoned == ("c.txt",)
        assert sink.ledger()["c.txt"].missing == times
        assert sink.chunks_of("c.txt")
        assert report.index_version == 1
    report = sync(source, sink, stages, patient)
    assert report.deleted == ("c.txt",)
    assert not sink.chunks_of("c.txt")
    assert report.index_version == 2


def test_a_document_that_comes_back_loses_its_tombstone(docs: Path) -> None:
    sink, patient = MemorySink(), DeletionConfig(listings=2, max_share=0.5)
    source, stages = FolderSource(docs), make_stages()
    sync(source, sink, stages, patient)
    (docs / "c.txt").rename(docs.parent / "c.txt")
    sync(source, sink, stages, patient)
    (docs.parent / "c.txt").rename(docs / "c.txt")
    report = sync(source, sink, stages, patient)
    assert sink.ledger()["c.txt"].missing == 0
    assert report.work["parse"] == 0


def test_a_listing_that_drops_too_much_changes_nothing(docs: Path) -> None:
    sink, careful = MemorySink(), DeletionConfig(listings=1, max_share=0.3)
    source, stages = FolderSource(docs), make_stages()
    sync(source, sink, stages, careful)
    before = contents(sink)
    (docs / "a.txt").unlink()
    (docs / "c.txt").unlink()
    write(docs, {"new.txt": "new"})
    report = sync(source, sink, stages, careful)
    assert "2 of 4" in report.refused
    assert not report.changed
    assert (contents(sink), sink.commits) == (before, 1)
    report = sync(source, sink, stages, careful, allow_mass_deletion=True)
    assert (report.deleted, report.created, report.refused) == (
        ("a.txt", "c.txt"),
        ("new.txt",),
        "",
    )


def test_an_incomplete_listing_changes_nothing(docs: Path) -> None:
    class Half(FolderSource):
        def list(self) -> Listing:
            whole = super().list()
            return Listing(whole.source, whole.items[:2], complete=False, problem="no permission")

    sink, stages = MemorySink(), make_stages()
    run(docs, sink, stages)
    write(docs, {"a.txt": "changed"})
    report = sync(Half(docs), sink, stages, AT_ONCE, allow_mass_deletion=True)
    assert "no permission" in report.refused
    assert sink.commits == 1
    assert report.work["read"] == 0


def test_diff_is_a_function_of_listing_and_ledger() -> None:
    def item(name: str, fingerprint: str) -> SourceItem:
        return SourceItem(name, fingerprint, 1)

    listing = Listing("s", (item("new", "1"), item("same", "1"), item("moved", "2")))
    ledger = {
        name: LedgerEntry(name, "1", "h", "p.c.e", 1)
        for name in ("same", "moved", "gone", "x", "y", "z")
    }
    plan = diff(listing, ledger, "p.c.e", DeletionConfig(listings=1, max_share=0.7))
    assert [(c.kind, c.document, c.reason) for c in plan.work] == [
        ("update", "moved", "fingerprint moved"),
        ("create", "new", "new"),
    ]
    assert [c.document for c in plan.delete] == ["gone", "x", "y", "z"]
    assert [c.document for c in plan.keep] == ["same"]
    plan = diff(listing, ledger, "p.c.E", DeletionConfig(listings=1, max_share=0.7))
    assert ("same", "recipe changed: embed") in [(c.document, c.reason) for c in plan.update]
    few = Listing("s", listing.items[1:])
    assert diff(few, ledger, "p.c.e", DeletionConfig(listings=1, max_share=0.6)).refused


def test_a_new_document_may_be_a_missing_one_under_another_name() -> None:
    ledger = {name: LedgerEntry(name, "1", f"h{name}", "p.c.e", 1) for name in "abcd"}
    listing = Listing("s", tuple(SourceItem(name, "1", 1) for name in ("a", "x", "y", "z")))
    patient = DeletionConfig(listings=2, max_share=0.3)
    plan = diff(listing, ledger, "p.c.e", patient)
    assert not plan.refused
    assert [c.document for c in plan.tombstone] == ["b", "c", "d"]
    told = with_renames(plan, ledger, {"x": "hb", "y": "hc", "z": "new"}, patient, "s")
    assert told.renamed == (("b", "x"), ("c", "y"))
    assert [(c.document, c.reason) for c in told.delete] == [
        ("b", "renamed to x"),
        ("c", "renamed to y"),
    ]
    assert [c.document for c in told.tombstone] == ["d"]
    assert [(e.document, e.missing) for e in told.entries] == [("d", 1)]
    lost = with_renames(plan, ledger, {"x": "hb", "y": "new", "z": "new"}, patient, "s")
    assert "lacks 2 of 4" in lost.refused
    assert (lost.delete, lost.create) == ((), ())
    assert not with_renames(plan, ledger, {}, patient, "s", allow_mass_deletion=True).refused


def test_one_document_may_always_go_but_not_the_last() -> None:
    careful = DeletionConfig(listings=1, max_share=0.3)
    two = {name: LedgerEntry(name, "1", name, "p.c.e", 1) for name in "ab"}
    listing = Listing("s", (SourceItem("a", "1", 1),))
    assert [c.document for c in diff(listing, two, "p.c.e", careful).delete] == ["b"]
    assert diff(listing, two, "p.c.e", DeletionConfig(listings=1, max_share=0)).refused
    assert diff(Listing("s", ()), {"a": two["a"]}, "p.c.e", careful).refused


def test_a_renamed_folder_is_no_mass_deletion(docs: Path, tmp_path: Path) -> None:
    sink, stages = MemorySink(), make_stages(tmp_path / "cache")
    careful = DeletionConfig(listings=3, max_share=0.3)
    sync(FolderSource(docs), sink, stages, careful)
    (docs / "manuals").rename(docs / "handbooks")
    report = sync(FolderSource(docs), sink, stages, careful)
    assert report.renamed == (
        ("manuals/b.txt", "handbooks/b.txt"),
        ("manuals/nord.txt", "handbooks/nord.txt"),
    )
    assert (report.refused, report.tombstoned) == ("", ())
    assert report.work["parse"] == 0
    assert set(sink.ledger()) == {"a.txt", "c.txt", "handbooks/b.txt", "handbooks/nord.txt"}
    fresh = MemorySink()
    run(docs, fresh)
    assert contents(sink) == contents(fresh)


# --- a document that cannot be used -----------------------------------------------------------


def test_a_broken_document_is_quarantined_and_keeps_its_old_chunks(docs: Path) -> None:
    sink, stages = MemorySink(), make_stages()
    run(docs, sink, stages)
    write(docs, {"a.txt": "broken", "c.txt": "gamma delta", "late.txt": "broken"})
    report = run(docs, sink, stages)
    assert [name for name, _ in report.quarantined] == ["a.txt", "late.txt"]
    assert report.updated == ("c.txt",)
    assert [chunk.text for chunk in sink.chunks_of("a.txt")] == ["alpha", "beta"]
    again = run(docs, sink, stages)
    assert again.work["parse"] == 0, "retried only when content or recipe changes"
    assert [name for name, _ in again.quarantined] == ["a.txt", "late.txt"]
    write(docs, {"a.txt": "mended"})
    report = run(docs, sink, stages)
    assert [name for name, _ in report.quarantined] == ["late.txt"]
    assert [chunk.text for chunk in sink.chunks_of("a.txt")] == ["mended"]
    assert run(docs, sink, make_stages(parser="2")).work["parse"] == 5


def test_a_parsers_bug_is_quarantined_and_retried(docs: Path) -> None:
    sink, stages = MemorySink(), make_stages()
    write(docs, {"a.txt": "bug"})
    report = run(docs, sink, stages)
    assert report.quarantined == (("a.txt", "KeyError: 'bug'"),)
    commits = sink.commits
    assert run(docs, sink, stages).work["parse"] == 1
    assert sink.commits == commits


def test_what_stays_is_embedded_anew_with_a_new_model(docs: Path) -> None:
    """Chunks of a quarantined and of a tombstoned document, else two models' vectors would mix."""
    sink, patient = MemorySink(), DeletionConfig(listings=5, max_share=0.5)
    source = FolderSource(docs)
    sync(source, sink, make_stages(), patient)
    write(docs, {"a.txt": "broken"})
    (docs / "c.txt").unlink()
    sync(source, sink, make_stages(), patient)
    report = sync(source, sink, make_stages(model="m2", dimensions=24), patient)
    assert report.quarantined[0][0] == "a.txt"
    assert report.tombstoned == ("c.txt",)
    assert {rows.vectors.shape[1] for rows in sink.snapshot().documents.values()} == {24}  # type: ignore[attr-defined]
    assert len({entry.recipe.split(".")[2] for entry in sink.ledger().values()}) == 1


def test_a_quarantined_and_missing_document_follows_the_model_there_and_back(docs: Path) -> None:
    """Found by a random history: its ledger entry named the model before the last one."""
    sink, patient = MemorySink(), DeletionConfig(listings=9, max_share=0.5)
    sync(FolderSource(docs), sink, make_stages(model="m1"), patient)
    write(docs, {"a.txt": "broken"})
    sync(FolderSource(docs), sink, make_stages(model="m1"), patient)
    (docs / "a.txt").unlink()
    for model, dimensions in (("m2", 12), ("m1", 16)):
        sync(FolderSource(docs), sink, make_stages(model=model, dimensions=dimensions), patient)
        assert {len(vector) for _, _, vector in sink.stored()} == {dimensions}
    assert len(sink.chunks_of("a.txt")) == 2


def test_a_document_that_goes_away_after_the_listing_is_left_for_the_next_one(docs: Path) -> None:
    class Racing(FolderSource):
        def read(self, document: str) -> bytes:
            (self.root / "c.txt").unlink(missing_ok=True)
            return super().read(document)

    sink = MemorySink()
    report = sync(Racing(docs), sink, make_stages(), AT_ONCE)
    assert "c.txt" not in report.created
    assert set(sink.ledger()) == {"a.txt", "manuals/b.txt", "manuals/nord.txt"}


# --- commits, locks, audits -------------------------------------------------------------------


def test_a_failed_commit_changes_nothing_and_the_next_sync_does_not_work_twice(
    docs: Path, tmp_path: Path
) -> None:
    sink, stages = MemorySink(fail_on=2), make_stages(tmp_path / "cache")
    run(docs, sink, stages)
    before = contents(sink)
    write(docs, {"a.txt": "changed"})
    (docs / "c.txt").unlink()
    with pytest.raises(TransientError):
        run(docs, sink, stages)
    assert contents(sink) == before
    report = run(docs, sink, stages)
    assert (report.updated, report.deleted) == (("a.txt",), ("c.txt",))
    assert report.work["parse"] == report.work["embed"] == 0


def test_a_second_sync_is_told_that_the_first_one_runs(docs: Path, tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index")
    with sink.hold(), pytest.raises(TransientError, match="another sync"):
        sync(FolderSource(docs), LanceSink(tmp_path / "index"), make_stages(), AT_ONCE)
    assert run(docs, sink).created


def test_a_sync_waits_for_another_as_long_as_it_is_told(docs: Path, tmp_path: Path) -> None:
    sink = LanceSink(tmp_path / "index")
    first = threading.Thread(target=lambda: sync(Slow(docs), sink, make_stages(), AT_ONCE))
    first.start()
    assert SLOW.wait(10)
    report = sync(
        FolderSource(docs), LanceSink(tmp_path / "index"), make_stages(), AT_ONCE, wait=10
    )
    first.join()
    assert (report.changed, report.unchanged) == (False, 4)


SLOW = threading.Event()


class Slow(FolderSource):
    def list(self) -> Listing:
        SLOW.set()
        time.sleep(0.5)
        return super().list()


# --- the digest of a settled index ------------------------------------------------------------


def test_a_settled_index_is_not_read_to_find_that_nothing_changed(docs: Path) -> None:
    class Counted(MemorySink):
        reads = 0

        def snapshot(self) -> Snapshot:
            held = super().snapshot()
            inner = held.ledger

            def ledger() -> dict[str, LedgerEntry]:
                Counted.reads += 1
                return inner()

            held.ledger = ledger  # type: ignore[method-assign]
            return held

    sink, stages = Counted(), make_stages()
    run(docs, sink, stages)
    first = Counted.reads
    report = run(docs, sink, stages)
    assert (report.unchanged, report.index_version, Counted.reads) == (4, 1, first)
    write(docs, {"a.txt": "alpha changed"})
    assert run(docs, sink, stages).updated == ("a.txt",)
    assert Counted.reads > first


def test_an_index_with_something_open_is_looked_at_each_time(docs: Path) -> None:
    sink, stages = MemorySink(), make_stages()
    run(docs, sink, stages)
    (docs / "c.txt").unlink()
    patient = DeletionConfig(listings=3, max_share=0.9)
    for left in (1, 1, 0):
        report = sync(FolderSource(docs), sink, stages, patient)
        assert len(report.tombstoned) == left
    assert report.deleted == ("c.txt",)
    assert sink.digest
    write(docs, {"poison.txt": "broken"})
    for _ in range(2):
        assert [d for d, _ in run(docs, sink, stages).quarantined] == ["poison.txt"]
    assert sink.digest == ""


# --- the counter-example ----------------------------------------------------------------------


def test_append_only_ingestion_serves_what_was_changed_and_withdrawn(docs: Path) -> None:
    sink, stages, source = MemorySink(), make_stages(), FolderSource(docs)
    assert append(source, sink, stages).created
    assert not append(source, sink, stages).created
    write(docs, {"a.txt": "alpha changed\nbeta"})
    (docs / "c.txt").unlink()
    assert append(source, sink, stages).created == ("a.txt",)
    texts = [found.chunk.text for found in sink.search_text("alpha gamma", 9)]
    assert sorted(texts) == ["alpha", "alpha changed", "gamma"]
    assert len({chunk.id for chunk in sink.chunks_of("a.txt")}) == 4
