"""Where documents come from. Taught in chapter 3.

A source lists what it holds without reading any content; the listing is all that a sync of an
unchanged corpus costs.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, MutableSequence, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from agentops_ref.errors import OperatorError
from agentops_ref.records import Listing, SourceItem


class Source(Protocol):
    """A place that holds documents."""

    @property
    def name(self) -> str: ...

    def list(self) -> Listing:
        """Return everything that the source holds now; never raises for a part of it."""
        ...

    def read(self, document: str) -> bytes:
        """Return a document's bytes; `OSError` when that is not possible."""
        ...


class FolderSource:
    """The files below a folder whose relative paths match ``include`` and not ``exclude``.

    Patterns are those of `pathlib`: ``**`` stands for any number of folders. A document's
    fingerprint is its size, its modification time and its change time. The last one is there
    because an edit can keep the first two: "18 Nm" and "20 Nm" are equally long, and many tools
    set the modification time. A copy moves it too, which costs a read and changes nothing.
    """

    def __init__(
        self,
        root: Path | str,
        include: Sequence[str] = ("**/*",),
        exclude: Sequence[str] = ("**/.*", "**/~$*"),
    ) -> None:
        self.root = Path(root)
        self.include, self.exclude = tuple(include), tuple(exclude)

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
        found = sorted(self._walk("", problems), key=lambda item: item.document)
        return Listing(self.name, tuple(found), not problems, "; ".join(problems))

    def read(self, document: str) -> bytes:
        path = self.root / document
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise PermissionError(f"{document} leads out of {self.root}")
        return path.read_bytes()

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
                document.encode("utf-8")
            except UnicodeEncodeError:
                problems.append(f"file name is not UTF-8: {os.fsencode(document)!r}")
                continue
            try:
                # Folders behind links are not entered (they can form a circle); linked files are
                # read as long as they stay below the root.
                if entry.is_dir(follow_symlinks=False):
                    if not _matches(document, self.exclude):
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
        return _matches(document, self.include) and not _matches(document, self.exclude)

    def _inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.root.resolve())


def fingerprint_of(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def _matches(document: str, patterns: Sequence[str]) -> bool:
    """Match a document against glob patterns;"""
    return any(_regex(pattern).match(document) for pattern in patterns)


@lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    return re.compile(f"{out}\\Z", re.DOTALL)
