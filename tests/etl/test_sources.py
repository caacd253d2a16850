"""Listing a folder: complete or saying why not, nothing from outside."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agentops_ref.errors import DocumentError, OperatorError
from agentops_ref.etl import FolderSource
from tests.etl.fakes import write


def names(source: FolderSource) -> list[str]:
    return [item.document for item in source.list().items]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(
        tmp_path / "docs",
        {
            "b.md": "b",
            "a/z.txt": "zz",
            "a/deep/er/x.pdf": "x",
            ".hidden": "h",
            "a/.git/config": "h",
            "a/~$lock.docx": "l",
        },
    )


def test_a_listing_is_sorted_and_relative(root: Path) -> None:
    listing = FolderSource(root).list()
    assert [i.document for i in listing.items] == ["a/deep/er/x.pdf", "a/z.txt", "b.md"]
    assert (listing.complete, listing.problem, listing.source) == (True, "", str(root))
    assert listing.items[1].size == 2


def test_an_edit_that_keeps_size_and_time_moves_the_fingerprint(root: Path) -> None:
    path = root / "b.md"
    path.write_text("torque 18 Nm")
    os.utime(path, ns=(10**18, 10**18))
    before = FolderSource(root).list()
    assert FolderSource(root).list() == before
    time.sleep(0.02)  # the file system's clock ticks every few milliseconds
    path.write_text("torque 20 Nm")
    os.utime(path, ns=(10**18, 10**18))
    after = FolderSource(root).list()
    assert [a == b for a, b in zip(before.items, after.items, strict=True)] == [True, True, False]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["**/*.txt"], [], ["a/z.txt"]),
        (["*"], ["**/.*"], ["b.md"]),
        (["a/**"], ["**/.*", "**/~$*"], ["a/deep/er/x.pdf", "a/z.txt"]),
        (["**/*"], ["a/deep", "**/.*", "**/~*"], ["a/z.txt", "b.md"]),
        (["**/?.md", "**/*.pdf"], ["b.m"], ["a/deep/er/x.pdf", "b.md"]),
    ],
)
def test_patterns(root: Path, include: list[str], exclude: list[str], expected: list[str]) -> None:
    assert names(FolderSource(root, include, exclude)) == expected


def test_a_missing_root_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"nowhere.*agentops corpus build"):
        FolderSource(tmp_path / "nowhere").list()


def test_links_out_of_the_root_are_not_followed(root: Path, tmp_path: Path) -> None:
    secret = write(tmp_path, {"secret.txt": "s"}) / "secret.txt"
    (root / "out.txt").symlink_to(secret)
    (root / "outside").symlink_to(tmp_path)
    (root / "circle").symlink_to(root)
    (root / "dangling.txt").symlink_to(tmp_path / "nothing")
    (root / "inside.txt").symlink_to(root / "a/z.txt")
    files = ["a/deep/er/x.pdf", "a/z.txt", "b.md", "inside.txt"]
    refused = ["circle", "dangling.txt", "out.txt", "outside"]
    assert names(FolderSource(root)) == sorted(files + refused)
    for name in refused:
        with pytest.raises(DocumentError, match=f"{name}: a link"):
            FolderSource(root).read(name)
    with pytest.raises(PermissionError):
        FolderSource(root).read("../secret.txt")


def test_a_folder_that_cannot_be_listed_makes_the_listing_incomplete(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "deep":
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = FolderSource(root).list()
    assert not listing.complete
    assert listing.problem == "cannot list a/deep: Input/output error"
    assert [i.document for i in listing.items] == ["a/z.txt", "b.md"]


def test_odd_file_names(root: Path) -> None:
    for name in ("it's.txt", "på ß 漢.txt", "new\nline.txt"):
        write(root, {name: "x"})
        assert name in names(FolderSource(root))
        assert FolderSource(root).read(name) == b"x"
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.txt")).write_text("x")
    except OSError:
        return  # this file system takes UTF-8 only
    source = FolderSource(root)
    assert "\\xff.txt" in names(source)
    with pytest.raises(DocumentError, match=r"\\xff\.txt: the file's name is not UTF-8"):
        source.read("\\xff.txt")


def test_an_empty_folder_is_complete(tmp_path: Path) -> None:
    listing = FolderSource(tmp_path).list()
    assert listing.complete
    assert listing.items == ()


def test_a_limit_beyond_memory_costs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("18 Nm")
    assert FolderSource(tmp_path, max_bytes=10**15).read("a.txt") == b"18 Nm"
