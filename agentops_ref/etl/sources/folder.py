"""The files below a folder of this machine."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, MutableSequence, Sequence
from pathlib import Path

from agentops_ref.errors import DocumentError, OperatorError
from agentops_ref.etl.sources.base import (
    EXCLUDE,
    INCLUDE,
    MAX_BYTES,
    changed,
    matches,
    too_large,
)
from agentops_ref.etl.sources.links import Refused, may_hold, refused
from agentops_ref.records import Listing, SourceItem

TICK_NS = 20_000_000
"""Nanoseconds between two values of a file system's clock, at most (10 ms at 100 Hz, and spare)."""


class FolderSource:
    """The files below a folder whose relative paths match ``include`` and not ``exclude``.

    Patterns are those of `pathlib`: ``**`` stands for any number of folders. A document's
    fingerprint is its size, its modification time and its change time. The last one is there
    because an edit can keep the first two: "18 Nm" and "20 Nm" are equally long, and many tools
    set the modification time. A copy moves it too, which costs a read and changes nothing.

    What cannot be read is listed all the same, so that the report names it while everything else
    goes on: a file whose name is not UTF-8 (under an escaped name); a link that leads out of the
    root, to nothing or round in a circle; a folder that this user may not look into. Documents
    below such a folder are not missing (`Listing.closed`). A link to another folder below the root
    is left out: that folder is listed where it stands.
    """

    LISTED = ("_misnamed",)

    def __init__(
        self,
        root: Path | str,
        include: Sequence[str] = INCLUDE,
        exclude: Sequence[str] = EXCLUDE,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.root = Path(root)
        self.include, self.exclude = tuple(include), tuple(exclude)
        self.max_bytes = max_bytes
        self._misnamed: frozenset[str] = frozenset()
        self._closed: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return str(self.root)

    def list(self) -> Listing:
        if not self.root.is_dir():
            raise no_folder(self.root)
        problems: MutableSequence[str] = []
        closed: MutableSequence[str] = []
        found, misnamed = [], set()
        for item in self._walk("", problems, closed):
            readable = utf8(item.document)
            if readable != item.document:
                misnamed.add(readable)
                item = SourceItem(readable, item.fingerprint, item.size)
            found.append(item)
        self._misnamed = frozenset(misnamed)
        self._closed = frozenset(map(utf8, closed))
        found.sort(key=lambda item: item.document)
        return Listing(
            self.name, tuple(found), not problems, "; ".join(problems), tuple(sorted(self._closed))
        )

    def read(self, document: str) -> bytes:
        if document in self._misnamed:
            raise misnamed(document)
        path = self.root / document
        if document in self._closed:
            raise DocumentError(
                f"{document}: a folder that this user may not look into: grant that or exclude it; "
                "what the index holds of it stays until then"
            )
        if path.is_symlink() and (link := refused(path, self.root)):
            raise DocumentError(f"{document}: {link.reason}")
        if not self._inside(path):
            raise PermissionError(f"{document} leads out of {self.root}")
        # Resolved, not to follow a link that takes the file's place now; opening a pipe would wait.
        with open(path.resolve(), "rb", opener=_open) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise DocumentError(f"{document}: no file any more: remove or exclude it")
            if before.st_size > self.max_bytes:
                raise too_large(document, before.st_size, self.max_bytes)
            _await_tick(before)
            # One byte more, to see that it grew. Not the limit: Python reserves what is asked for.
            data = file.read(before.st_size + 1)
            if fingerprint_of(os.fstat(file.fileno())) != fingerprint_of(before):
                raise changed(document)
        return data

    def _walk(
        self, folder: str, problems: MutableSequence[str], closed: MutableSequence[str]
    ) -> Iterator[SourceItem]:
        try:
            with os.scandir(self.root / folder) as entries:
                children = list(entries)
        except OSError as error:
            if folder and isinstance(error, PermissionError):
                closed.append(folder)  # for somebody to mend, unlike an outage: it may last
                yield SourceItem(folder, "closed", 0)
                return
            problems.append(f"cannot list {folder or self.root}: {error.strerror or error}")
            return
        for entry in children:
            document = f"{folder}/{entry.name}" if folder else entry.name
            try:
                # Folders behind links are not entered (they can form a circle); linked files are
                # read as long as they stay below the root.
                if entry.is_dir(follow_symlinks=False):
                    if not matches(document, self.exclude) and may_hold(document, self.include):
                        yield from self._walk(document, problems, closed)
                    continue
                if entry.is_symlink() and (link := self._refused(entry, document)):
                    yield SourceItem(document, link.mark, 0)
                    continue
                if not self._wanted(document):
                    continue
                status = entry.stat()
            except FileNotFoundError:
                continue  # it went away while the folder was listed
            except PermissionError:
                yield SourceItem(document, "closed", 0)  # reading it will say so
                continue
            except OSError as error:
                problems.append(f"cannot examine {document}: {error.strerror or error}")
                continue
            if stat.S_ISREG(status.st_mode):
                yield SourceItem(document, fingerprint_of(status), status.st_size)

    def _refused(self, entry: os.DirEntry[str], document: str) -> Refused | None:
        """Return why a link is not followed, if anything wanted could be behind it."""
        if matches(document, self.exclude):
            return None
        if not self._wanted(document) and not (may_hold(document, self.include) and entry.is_dir()):
            return None
        return refused(Path(entry.path), self.root)

    def _wanted(self, document: str) -> bool:
        return matches(document, self.include) and not matches(document, self.exclude)

    def _inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # a link that leads to itself
            return False


def fingerprint_of(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def utf8(name: str) -> str:
    """Return a file's name as text; bytes that are not UTF-8 become ``\\xff``."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def misnamed(document: str) -> DocumentError:
    return DocumentError(f"{document}: the file's name is not UTF-8: rename it")


def no_folder(root: Path) -> OperatorError:
    """Return the error of a root that is no folder."""
    if root.exists():
        return OperatorError(f"{root} is a file, not a folder: name the folder that holds it")
    return OperatorError(
        f"no folder {root} to read documents from: check the path or create it; for the sample "
        "corpus run `agentops corpus build`"
    )


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def _await_tick(status: os.stat_result) -> None:
    """Wait until another edit of the file must move its times.

    Two edits within one tick of the file system's clock leave equal times, so that the second one
    would go unseen for ever. Only a file that was written just now makes anybody wait.
    """
    age = time.time_ns() - status.st_ctime_ns
    if 0 <= age < TICK_NS:
        time.sleep((TICK_NS - age) / 1e9)
