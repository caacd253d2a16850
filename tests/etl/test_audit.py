"""An audit believes neither fingerprints nor the ledger; what it finds it can mend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentops_ref.errors import OperatorError
from agentops_ref.etl import FolderSource, LanceSink, MemorySink, Sink, audit, sync
from agentops_ref.etl.audit import MEANING, AuditReport
from agentops_ref.etl.sinks import DatabricksSink, PostgresSink
from agentops_ref.etl.sinks.base import Commit, Rows
from agentops_ref.records import Chunk, LedgerEntry, Listing, SourceItem
from tests.etl.fakes import AT_ONCE, contents, make_stages, write

DOCS = {"a.txt": "alpha\nbeta", "b.txt": "E41 low pressure", "c.txt": "gamma\ndelta\nepsilon"}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", DOCS)


@pytest.fixture(params=["memory", "lancedb", "postgres", "databricks"])
def sink(request: pytest.FixtureRequest, tmp_path: Path, docs: Path) -> Sink:
    made: Sink = MemorySink() if request.param == "memory" else LanceSink(tmp_path / "index")
    if request.param == "postgres":
        made = PostgresSink(request.getfixturevalue("index_uri"))
    if request.param == "databricks":
        made = DatabricksSink(request.getfixturevalue("vector_search_uri"))
    sync(FolderSource(docs), made, make_stages(), AT_ONCE)
    return made


def look(docs: Path, sink: Sink, *, repair: bool = False) -> AuditReport:
    return audit(FolderSource(docs), sink, make_stages(), repair=repair)


def rows_of(sink: Sink, document: str) -> Rows:
    """What the sink holds of a document, to plant drift with."""
    mine = sorted(
        ((c, v) for owner, c, v in sink.stored() if owner == document), key=lambda r: r[0].ordinal
    )
    vectors = np.array([v for _, v in mine], np.float32)
    return Rows(sink.ledger()[document], tuple(c for c, _ in mine), vectors)


def found(report: AuditReport) -> list[tuple[str, str]]:
    return [(finding.kind, finding.document) for finding in report.findings]


def mended(docs: Path, sink: Sink) -> bool:
    """Repair, and compare with an index that was built from nothing."""
    before = sink.version
    report = look(docs, sink, repair=True)
    fresh = MemorySink()
    sync(FolderSource(docs), fresh, make_stages(), AT_ONCE)
    once_more = look(docs, sink)
    return (
        bool(report.repaired)
        and report.index_version == sink.version == before + 1
        and once_more.findings == ()
        and contents(sink) == contents(fresh)
    )


def test_an_index_in_step_has_no_findings_and_a_repair_touches_nothing(
    docs: Path, sink: Sink
) -> None:
    report = look(docs, sink, repair=True)
    assert (report.findings, report.checked, report.repaired) == ((), 3, ())
    assert report.index_version == sink.version == 1


def test_an_edit_that_the_fingerprint_missed_is_stale(docs: Path, sink: Sink) -> None:
    class Blind(FolderSource):
        def list(self) -> Listing:
            items = super().list().items
            same = tuple(SourceItem(i.document, "same", 1) for i in items)
            return Listing(self.name, same)

    blind, stages = Blind(docs), make_stages()
    sync(blind, sink, stages, AT_ONCE)
    write(docs, {"b.txt": "E42 high pressure"})
    assert not sync(blind, sink, stages, AT_ONCE).changed
    assert found(audit(blind, sink, stages)) == [("stale", "b.txt")]
    assert mended(docs, sink)


def test_lost_chunks_are_missing(docs: Path, sink: Sink) -> None:
    held = rows_of(sink, "c.txt")
    sink.commit(Commit((replace(held, chunks=held.chunks[:1], vectors=held.vectors[:1]),)))
    report = look(docs, sink)
    assert found(report) == [("missing", "c.txt")]
    assert report.findings[0].detail == "2 of 3 chunks"
    assert mended(docs, sink)


def test_a_document_that_the_index_never_had_is_missing(docs: Path, sink: Sink) -> None:
    write(docs, {"new.txt": "zeta"})
    assert found(look(docs, sink)) == [("missing", "new.txt")]
    assert mended(docs, sink)


def test_chunks_that_nothing_accounts_for_are_orphaned(docs: Path, sink: Sink) -> None:
    held = rows_of(sink, "b.txt")
    extra = Chunk("b.txt#old#7", "b.txt", "old", 7, "withdrawn 18 Nm", "notes", None, {})
    vectors = np.concatenate([held.vectors, held.vectors])
    sink.commit(Commit((replace(held, chunks=(*held.chunks, extra), vectors=vectors),)))
    assert found(look(docs, sink)) == [("orphaned", "b.txt")]
    assert mended(docs, sink)


def test_a_text_or_vector_that_was_changed_in_the_index_is_found(docs: Path, sink: Sink) -> None:
    held = rows_of(sink, "a.txt")
    turned = held.vectors.copy()
    turned[0] = -turned[0]
    other = replace(held.chunks[1], text="beta 85 Nm")
    sink.commit(Commit((replace(held, chunks=(held.chunks[0], other), vectors=turned),)))
    report = look(docs, sink)
    assert found(report) == [("altered", "a.txt")]
    assert report.findings[0].detail == "1 texts and 1 vectors"
    assert mended(docs, sink)


def test_another_recipe_is_found(docs: Path, sink: Sink) -> None:
    old = rows_of(sink, "a.txt")
    sink.commit(Commit((replace(old, entry=replace(old.entry, recipe="x.y.z")),)))
    report = look(docs, sink)
    assert found(report) == [("recipe", "a.txt")]
    assert "parse, chunk, embed" in report.findings[0].detail
    assert mended(docs, sink)


def test_a_document_that_is_gone_is_named_and_left_to_a_sync(docs: Path, sink: Sink) -> None:
    (docs / "b.txt").unlink()
    report = look(docs, sink, repair=True)
    assert found(report) == [("orphaned", "b.txt")]
    assert (report.repaired, sink.version) == ((), 1)
    assert "b.txt" in sink.ledger()


def test_a_broken_document_does_not_stop_an_audit(docs: Path, sink: Sink) -> None:
    write(docs, {"a.txt": "broken"})
    report = look(docs, sink, repair=True)
    assert found(report) == [("unreadable", "a.txt")]
    assert (report.checked, report.repaired) == (2, ())


def test_nothing_is_concluded_from_half_a_listing(docs: Path, sink: Sink) -> None:
    class Half(FolderSource):
        def list(self) -> Listing:
            return replace(super().list(), complete=False, problem="disk away")

    with pytest.raises(OperatorError, match="disk away"):
        audit(Half(docs), sink, make_stages(), repair=True)


def test_rows_behind_the_sinks_back(docs: Path, tmp_path: Path) -> None:
    """What only another program can do to a table: rows twice, rows of nobody."""
    sink = LanceSink(tmp_path / "index")
    sync(FolderSource(docs), sink, make_stages(), AT_ONCE)
    table = sink._open()
    rows = table.search().where("document = 'c.txt'").limit(None).to_arrow()
    table.add(rows.select(table.schema.names))
    names = rows.schema.names
    nobody = rows.select(table.schema.names).slice(0, 1)
    for column, value in (("owner", "ghost.txt"), ("document", "ghost.txt"), ("key", "chunk:g")):
        at = nobody.schema.names.index(column)
        nobody = nobody.set_column(at, nobody.schema.field(at), [[value]])
    table.add(nobody)
    assert "owner" in names
    assert found(look(docs, sink)) == [("duplicated", "c.txt"), ("orphaned", "ghost.txt")]
    assert mended(docs, sink)


def test_every_kind_has_its_meaning() -> None:
    assert {"missing", "stale", "orphaned", "duplicated", "recipe"} <= set(MEANING)


def test_a_quarantined_document_is_missing_until_it_can_be_read(docs: Path, sink: Sink) -> None:
    broken = LedgerEntry("a.txt", "1", "h", make_stages().recipe, 0, error="is broken")
    sink.commit(Commit((Rows(broken, (), np.zeros((0, 0), np.float32)),)))
    report = look(docs, sink)
    assert found(report) == [("missing", "a.txt")]
    assert "is broken" in report.findings[0].detail
    assert mended(docs, sink)
