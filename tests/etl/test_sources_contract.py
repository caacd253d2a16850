"""What every source promises, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentops_ref.errors import DocumentError
from agentops_ref.etl import MemorySink, sync
from agentops_ref.etl.sources import FilesSource, FolderSource
from tests.etl.fakes import AT_ONCE, contents, make_stages
from tests.etl.places import BucketPlace, FolderPlace, MemoryPlace, Place, SitePlace, TablePlace

KINDS = (
    "folder",
    "file",
    "memory",
    "s3",
    "http",
    "http modified",
    "http bare",
    "http no HEAD",
    "http sitemap",
    "sql version",
    "sql",
)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    kind, _, how = request.param.partition(" ")
    if kind == "http":
        site = SitePlace(how)
        yield site
        site.site.close()
    elif kind == "sql":
        yield TablePlace(tmp_path, version=bool(how))
    elif kind == "memory":
        yield MemoryPlace()
    elif kind == "s3":
        yield BucketPlace(request.getfixturevalue("s3_server"))
    else:
        yield FolderPlace(tmp_path / "docs", url=kind == "file")


@pytest.fixture(autouse=True)
def _counted_reads(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Count what the file sources open."""
    place = request.getfixturevalue("place")

    def count(owner: object, name: str) -> None:
        inner = getattr(owner, name)

        def counted(*args: object, **more: object) -> object:
            place.content_reads += 1
            return inner(*args, **more)

        monkeypatch.setattr(owner, name, counted)

    if isinstance(place.source, FolderSource):
        count(Path, "open")
    elif isinstance(place.source, FilesSource):
        count(place.source._files, "open")
        count(place.source._files, "cat_file")


def names(place: Place) -> list[str]:
    listing = place.source.list()
    assert listing.complete, listing.problem
    return [item.document for item in listing.items]


def prints(place: Place) -> dict[str, str]:
    return {item.document: item.fingerprint for item in place.source.list().items}


def test_a_listing_is_sorted_and_reads_nothing(place: Place) -> None:
    for name in ("z.txt", "a.txt", "m.md", "B.txt"):
        place.put(name, f"text of {name}")
    before = place.content_reads
    listing = place.source.list()
    assert listing.complete
    assert listing.source == place.source.name
    found = [item.document for item in listing.items]
    assert found == [place.prefix + name for name in ("B.txt", "a.txt", "m.md", "z.txt")]
    assert (place.content_reads == before) == place.cheap
    assert place.source.read(place.prefix + "a.txt") == b"text of a.txt"


def test_a_listing_of_the_same_is_the_same(place: Place) -> None:
    place.put("a.txt", "alpha")
    place.put("b.txt", "beta")
    assert place.source.list() == place.source.list()


def test_a_change_of_the_same_length_moves_the_fingerprint_and_no_other(place: Place) -> None:
    place.put("a.txt", "torque 18 Nm")
    place.put("b.txt", "beta")
    before = prints(place)
    place.put("a.txt", "torque 20 Nm")
    after = prints(place)
    assert after.keys() == before.keys()
    moved = [name for name in after if after[name] != before[name]]
    assert moved == [place.prefix + "a.txt"]
    assert place.source.read(place.prefix + "a.txt") == b"torque 20 Nm"


def test_a_document_that_vanished_is_not_listed_and_not_found(place: Place) -> None:
    place.put("a.txt", "alpha")
    place.put("b.txt", "beta")
    assert names(place) == [place.prefix + "a.txt", place.prefix + "b.txt"]
    place.remove("a.txt")
    # It may vanish after the listing as well.
    with pytest.raises(FileNotFoundError):
        place.source.read(place.prefix + "a.txt")
    assert names(place) == [place.prefix + "b.txt"]
    with pytest.raises(FileNotFoundError):
        place.source.read(place.prefix + "a.txt")


def test_what_was_never_there_is_not_found(place: Place) -> None:
    place.put("a.txt", "alpha")
    with pytest.raises(FileNotFoundError):
        place.source.read("nothing.txt")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "a/../../secret.txt"])
def test_nothing_outside_is_read(place: Place, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    place.put("a/a.txt", "alpha")
    with pytest.raises((PermissionError, FileNotFoundError, DocumentError)):
        place.source.read(name)


def test_an_outage_is_an_incomplete_listing_and_a_sync_changes_nothing(place: Place) -> None:
    place.put("a.txt", "alpha")
    place.put("b.txt", "beta")
    sink, stages = MemorySink(), make_stages()
    assert len(sync(place.source, sink, stages, AT_ONCE).created) == 2
    before = contents(sink)
    with place.outage():
        listing = place.source.list()
        assert not listing.complete
        assert listing.problem
        report = sync(place.source, sink, stages, AT_ONCE, allow_mass_deletion=True)
    assert "incomplete" in report.refused
    assert contents(sink) == before
    assert sync(place.source, sink, stages, AT_ONCE).unchanged == 2


def test_create_update_and_delete_reach_the_index(place: Place) -> None:
    place.put("a.txt", "alpha")
    place.put("b.txt", "beta")
    sink, stages = MemorySink(), make_stages()
    sync(place.source, sink, stages, AT_ONCE)
    place.put("a.txt", "alpha two")
    place.put("c.txt", "gamma")
    place.remove("b.txt")
    report = sync(place.source, sink, stages, AT_ONCE)
    found = [place.prefix + name for name in ("a.txt", "b.txt", "c.txt")]
    assert (report.updated, report.deleted, report.created) == (
        (found[0],),
        (found[1],),
        (found[2],),
    )
    assert report.work["read"] == 2
    again = sync(place.source, sink, stages, AT_ONCE)
    assert (again.unchanged, again.work["read"]) == (2, 0)


def test_a_document_past_the_limit_is_quarantined_and_the_others_go_on(place: Place) -> None:
    place.put("a.txt", "alpha")
    place.put("large.txt", "x" * 5000)
    place.source.max_bytes = 1000  # type: ignore[attr-defined]
    sink, stages = MemorySink(), make_stages()
    report = sync(place.source, sink, stages, AT_ONCE)
    assert report.created == (place.prefix + "a.txt",)
    ((document, reason),) = report.quarantined
    assert document == place.prefix + "large.txt"
    assert "past the limit of 1,000 bytes" in reason
    assert "max_bytes" in reason


def test_a_name_with_odd_characters_can_be_read(place: Place) -> None:
    for name in ("it's 50 %.txt", "på ß 漢.txt", "q?x=1&y.txt", "%2e%2e.txt"):
        if "?" in name and place.prefix == "" and hasattr(place, "site"):
            continue  # a query is part of an address; see test_sources_http
        place.put(name, name)
    for document in names(place):
        text = place.source.read(document).decode()
        assert text.endswith(".txt")
    assert len({place.source.read(document) for document in names(place)}) == len(names(place))
