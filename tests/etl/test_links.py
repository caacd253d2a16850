"""Links, folders that may not be looked into, and other things that are no document."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import DocumentError, OperatorError
from agentops_ref.etl import FolderSource, LanceSink, MemorySink, Sink, audit, sync
from agentops_ref.etl.plan import diff
from agentops_ref.etl.sources import FilesSource
from agentops_ref.etl.sources.links import may_hold
from agentops_ref.records import LedgerEntry, Listing, SourceItem, SyncReport
from agentops_ref.settings import DeletionConfig
from tests.etl.fakes import AT_ONCE, contents, make_stages, write

SECRET = "the password of the machine"
CAREFUL = DeletionConfig(listings=1, max_share=0.3)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.txt").write_text(SECRET)
    return write(tmp_path / "docs", {"a.txt": "alpha", "sub/b.txt": "beta", "sub/c.txt": "gamma"})


def run(docs: Path, sink: Sink, **options: Any) -> SyncReport:
    return sync(FolderSource(docs), sink, make_stages(), options.pop("deletion", AT_ONCE))


def reasons(report: SyncReport) -> dict[str, str]:
    return {name: why.removeprefix(f"{name}: ") for name, why in report.quarantined}


def test_each_link_that_is_not_followed_says_what_it_is(docs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    for name, to in {
        "gone.txt": "nothing.txt",
        "self": "self",
        "out.txt": outside / "secret.txt",
        "outside": outside,
        "sub/above": "..",
        "a_copy.txt": "a.txt",
        "sub_again": "sub",
    }.items():
        (docs / name).symlink_to(to)
    sink = MemorySink()
    report = run(docs, sink)
    assert report.created == ("a.txt", "a_copy.txt", "sub/b.txt", "sub/c.txt")
    why = reasons(report)
    assert why.pop("gone.txt") == "a link to nothing.txt, which does not exist: mend or remove it"
    assert why.pop("self").startswith("a link that leads back to itself")
    assert why.pop("out.txt").startswith(f"a link to {outside}/secret.txt, out of the source: copy")
    assert why.pop("outside").startswith(f"a link to {outside}, out of the source: copy the folder")
    assert why.pop("sub/above").startswith("a link to a folder above it")
    assert not why
    assert not any(SECRET in chunk.text for _, chunk, _ in sink.stored())
    assert run(docs, sink).work["read"] == 0, "a link that stays wrong is not looked at again"


def test_a_link_is_looked_at_again_when_what_is_wrong_with_it_changes(docs: Path) -> None:
    (docs / "late.txt").symlink_to("sub/late.txt")
    sink = MemorySink()
    assert "does not exist" in reasons(run(docs, sink))["late.txt"]
    write(docs, {"sub/late.txt": "delta"})
    report = run(docs, sink)
    assert (report.quarantined, report.created) == ((), ("sub/late.txt",))
    assert report.updated == ("late.txt",)


def test_a_document_that_becomes_a_link_out_is_served_until_somebody_decides(
    docs: Path, tmp_path: Path
) -> None:
    sink = MemorySink()
    run(docs, sink)
    (docs / "a.txt").unlink()
    (docs / "a.txt").symlink_to(tmp_path / "elsewhere" / "secret.txt")
    report = run(docs, sink)
    assert (report.deleted, list(reasons(report))) == ((), ["a.txt"])
    assert [chunk.text for chunk in sink.chunks_of("a.txt")] == ["alpha"]


def test_links_that_the_patterns_leave_out_are_not_named(docs: Path, tmp_path: Path) -> None:
    (docs / "gone.tmp").symlink_to("nothing")
    (docs / ".hidden").symlink_to(tmp_path)
    (docs / "outside").symlink_to(tmp_path)
    names = [i.document for i in FolderSource(docs, ["sub/*.txt"]).list().items]
    assert names == ["sub/b.txt", "sub/c.txt"]
    names = [i.document for i in FolderSource(docs, ["**/*.txt"]).list().items]
    assert names == ["a.txt", "outside", "sub/b.txt", "sub/c.txt"], "texts may be behind it"


@pytest.mark.parametrize(
    ("folder", "patterns", "expected"),
    [
        ("a", ("**/*",), True),
        ("a", ("*",), False),
        ("a", ("a/*.md",), True),
        ("a/b", ("a/*.md",), False),
        ("a/b", ("a/?/*.md", "x"), True),
        ("b", ("a/**",), False),
        ("a/b/c", ("a/**/x.md",), True),
    ],
)
def test_what_a_folder_may_hold(folder: str, patterns: tuple[str, ...], expected: bool) -> None:
    assert may_hold(folder, patterns) is expected


def test_a_pipe_that_takes_a_files_place_makes_nobody_wait(docs: Path) -> None:
    source = FolderSource(docs)
    source.list()
    (docs / "a.txt").unlink()
    os.mkfifo(docs / "a.txt")
    with pytest.raises(DocumentError, match=r"a\.txt: no file any more"):
        source.read("a.txt")
    assert "a.txt" not in [i.document for i in source.list().items]


# --- folders that may not be looked into ------------------------------------------------------


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of folders that may not be listed; permissions do not stop root, who runs CI."""
    names: set[str] = set()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if isinstance(path, str | Path) and Path(path).name in names:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return names


def sinks(tmp_path: Path) -> list[Sink]:
    return [MemorySink(), LanceSink(tmp_path / "index")]


def test_a_closed_folder_is_named_and_the_others_are_indexed(docs: Path, closed: set[str]) -> None:
    closed.add("sub")
    sink = MemorySink()
    report = run(docs, sink)
    assert (report.created, report.refused) == (("a.txt",), "")
    assert reasons(report)["sub"].startswith("a folder that this user may not look into")
    assert run(docs, sink).created == ()
    closed.clear()
    report = run(docs, sink, deletion=CAREFUL)
    assert (report.created, report.quarantined) == (("sub/b.txt", "sub/c.txt"), ())
    assert audit(FolderSource(docs), sink, make_stages()).findings == ()


def test_what_the_index_holds_of_a_closed_folder_stays(
    docs: Path, closed: set[str], tmp_path: Path
) -> None:
    for sink in sinks(tmp_path):
        run(docs, sink)
        before = contents(sink)
        closed.add("sub")
        (docs / "a.txt").write_text("alpha, changed")
        for _ in range(3):
            report = run(docs, sink)
            assert (report.deleted, report.tombstoned, list(reasons(report))) == ((), (), ["sub"])
        for name in ("sub/b.txt", "sub/c.txt"):
            assert contents(sink)[name] == before[name]
        found = audit(FolderSource(docs), sink, make_stages()).findings
        assert [(f.kind, f.document) for f in found] == [("unreadable", "sub")]
        # All vectors are of one model all the same.
        other = make_stages(model="m2", dimensions=24)
        sync(FolderSource(docs), sink, other, AT_ONCE)
        assert {v.shape for _, _, v in sink.stored()} == {(24,)}
        assert [c.text for c in sink.chunks_of("sub/b.txt")] == ["beta"]
        closed.clear()
        assert run(docs, sink).quarantined == ()
        assert contents(sink).keys() == {"a.txt", "sub/b.txt", "sub/c.txt"}
        (docs / "a.txt").write_text("alpha")


def test_a_plan_keeps_what_is_hidden(docs: Path) -> None:
    held = {n: LedgerEntry(n, "1", "c", "p.c.e", 1) for n in ("a", "in/b", "in/c", "inn/d")}
    listing = Listing("s", (SourceItem("a", "1", 1), SourceItem("in", "x", 0)), closed=("in",))
    made = diff(listing, held, "p.c.e", DeletionConfig(listings=1, max_share=0.5))
    assert [change.document for change in made.hidden] == ["in/b", "in/c"]
    assert [change.document for change in made.delete] == ["inn/d"]
    assert [change.document for change in made.create] == ["in"]


def test_a_closed_root_is_an_outage(docs: Path, closed: set[str]) -> None:
    sink = MemorySink()
    run(docs, sink)
    closed.add("docs")
    report = run(docs, sink)
    assert "cannot list" in report.refused
    assert len(sink.ledger()) == 3


# --- the guard --------------------------------------------------------------------------------


def test_mending_what_was_quarantined_is_no_mass_deletion(docs: Path) -> None:
    """The report says "delete each one"; whoever does must not run into the guard."""
    write(docs, {f"bad{n}.txt": "broken" for n in range(9)})
    sink = MemorySink()
    assert len(run(docs, sink, deletion=CAREFUL).quarantined) == 9
    for n in range(9):
        (docs / f"bad{n}.txt").unlink()
    report = run(docs, sink, deletion=CAREFUL)
    assert (report.refused, len(report.deleted)) == ("", 9)


def test_broken_documents_do_not_raise_what_may_go(docs: Path) -> None:
    write(docs, {f"bad{n}.txt": "broken" for n in range(9)})
    sink = MemorySink()
    run(docs, sink, deletion=CAREFUL)
    for name in ("sub/b.txt", "sub/c.txt"):
        (docs / name).unlink()
    assert "lacks 2 of 3 indexed" in run(docs, sink, deletion=CAREFUL).refused


def test_a_broken_new_version_still_counts(docs: Path) -> None:
    sink = MemorySink()
    run(docs, sink)
    write(docs, {"sub/b.txt": "broken", "sub/c.txt": "broken"})
    run(docs, sink)
    for name in ("sub/b.txt", "sub/c.txt"):
        (docs / name).unlink()
    assert "lacks 2 of 3 indexed" in run(docs, sink, deletion=CAREFUL).refused


# --- file systems behind a URL ----------------------------------------------------------------


def test_links_behind_a_url_are_named(docs: Path, tmp_path: Path) -> None:
    for name, to in {
        "gone.txt": "no",
        "self": "self",
        "out.txt": "../elsewhere/secret.txt",
    }.items():
        (docs / name).symlink_to(to)
    sink = MemorySink()
    source = FilesSource(docs.as_uri())
    report = sync(source, sink, make_stages(), AT_ONCE)
    assert report.created == ("a.txt", "sub/b.txt", "sub/c.txt")
    assert list(reasons(report)) == ["gone.txt", "out.txt", "self"]
    assert all("a link, which is not followed" in why for why in reasons(report).values())
    assert not any(SECRET in chunk.text for _, chunk, _ in sink.stored())
    assert sync(source, sink, make_stages(), AT_ONCE).work["read"] == 0


def test_a_key_that_seems_to_lead_out_of_its_bucket_is_named() -> None:
    import fsspec

    files = fsspec.filesystem("memory")
    files.pipe("/links/docs/a.txt", b"alpha")
    files.store["/links/docs/../evil.txt"] = files.store["/links/docs/a.txt"]
    try:
        sink = MemorySink()
        report = sync(FilesSource("memory://links/docs"), sink, make_stages(), AT_ONCE)
        assert report.created == ("a.txt",)
        assert reasons(report) == {
            "../evil.txt": "its name leads out of memory://links/docs: rename it"
        }
    finally:
        files.store.clear()


# --- roots ------------------------------------------------------------------------------------


def test_a_file_as_root_says_what_to_name(docs: Path) -> None:
    with pytest.raises(OperatorError, match=r"a\.txt is a file, not a folder"):
        FolderSource(docs / "a.txt").list()


def test_a_root_behind_a_link_is_a_folder_like_any_other(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(docs)
    report = run(tmp_path / "way", MemorySink())
    assert report.created == ("a.txt", "sub/b.txt", "sub/c.txt")


def test_a_listing_says_that_it_is_whole_whatever_is_closed(docs: Path, closed: set[str]) -> None:
    closed.add("sub")
    listing = FolderSource(docs).list()
    assert replace(listing, items=()) == Listing(str(docs), (), closed=("sub",))
