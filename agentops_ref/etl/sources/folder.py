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
from agentops_ref.records import Listing, SourceItem

TICK_NS = 20_000_000
"""Nanoseconds between two values of a file system's clock, at most (10 ms at 100 Hz, and spare)."""


class FolderSource:
    """The files below a folder whose relative paths match ``include`` and not ``exclude``.

    Patterns are those of `pathlib`: ``**`` stands for any number of folders. A document's
    fingerprint is its size, its modification time and its change time. The last one is there
    because an edit can keep the first two: "18 Nm" and "20 Nm" are equally long, and many tools
    set the modification time. A copy moves it too, which costs a read and changes nothing.

    A file whose name is not UTF-8 is listed under an escaped name and cannot be read: the report
    names it, and everything else goes on.
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

    @property
    def name(self) -> str:
        return str(self.root)

    def list(self) -> Listing:
        if not self.root.is_dir():
            raise OperatorError(
                f"no folder {self.root} to read documents from: create it, or run "
                "`agentops corpus build` for the sample corpus"
            )
        problems: MutableSequence[str] = []
        found, misnamed = [], set()
        for item in self._walk("", problems):
            readable = utf8(item.document)
            if readable != item.document:
                misnamed.add(readable)
                item = SourceItem(readable, item.fingerprint, item.size)
            found.append(item)
        self._misnamed = frozenset(misnamed)
        found.sort(key=lambda item: item.document)
        return Listing(self.name, tuple(found), not problems, "; ".join(problems))

    def read(self, document: str) -> bytes:
        if document in self._misnamed:
            raise misnamed(document)
        path = self.root / document
        if not self._inside(path):
            raise PermissionError(f"{document} leads out of {self.root}")
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > self.max_bytes:
                raise too_large(document, before.st_size, self.max_bytes)
            _await_tick(before)
            # One byte more, to see that it grew. Not the limit: Python reserves what is asked for.
            data = file.read(before.st_size + 1)
            if fingerprint_of(os.fstat(file.fileno())) != fingerprint_of(before):
                raise changed(document)
        return data

    def _walk(self, folder: str, problems: MutableSequence[str]) -> Iterator[SourceItem]:
        try:
            with os.scandir(self.root / folder) as entries:
                children = list(entries)
        except OSError as error:
            problems.append(f"cannot list {folder or self.root}: {error.strerror or error}")
            return
        for entry in children:
            document = f"{folder}/{entry.name}" if folder else entry.name
            try:
                # Folders behind links are not entered (they can form a circle); linked files are
                # read as long as they stay below the root.
                if entry.is_dir(follow_symlinks=False):
                    if not matches(document, self.exclude):
                        yield from self._walk(document, problems)
                    continue
                if not self._wanted(document):
                    continue
                if entry.is_symlink() and not self._inside(Path(entry.path)):
                    continue
                status = entry.stat()
            except FileNotFoundError:
                continue  # it went away while the folder was listed, or a link leads nowhere
            except OSError as error:
                problems.append(f"cannot examine {document}: {error.strerror or error}")
                continue
            if stat.S_ISREG(status.st_mode):
                yield SourceItem(document, fingerprint_of(status), status.st_size)

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


def _await_tick(status: os.stat_result) -> None:
    """Wait until another edit of the file must move its times.

    Two edits within one tick of the file system's clock leave equal times, so that the second one
    would go unseen for ever. Only a file that was written just now makes anybody wait.
    """
    age = time.time_ns() - status.st_ctime_ns
    if 0 <= age < TICK_NS:
        time.sleep((TICK_NS - age) / 1e9)
