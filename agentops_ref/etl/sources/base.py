"""What a source is, and what several of them need."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from agentops_ref.errors import DocumentError
from agentops_ref.records import Listing

INCLUDE = ("**/*",)
EXCLUDE = ("**/.*", "**/~$*")
MAX_BYTES = 100_000_000
"""Of one document. `etl.source.max_bytes` is what a configured source gets."""


class Source(Protocol):
    """A place that holds documents."""

    @property
    def name(self) -> str:
        """The place, without any password; it stands in reports."""
        ...

    def list(self) -> Listing:
        """Return everything that the source holds now; never raises for a part of it.

        An outage makes the listing incomplete. `OperatorError` and `ConfigError` are for what
        somebody must mend: a root that does not exist, a library that is missing.
        """
        ...

    def read(self, document: str) -> bytes:
        """Return a document's bytes.

        Raises
        ------
        FileNotFoundError
            There is no such document, or it went away after the listing.
        ReadFailed
            It cannot be read just now; see `agentops_ref.etl.retry`.
        OSError
            It cannot be read.
        DocumentError
            It can be read and must not be: too large, or it leads out of the source.
        """
        ...


def listed(source: Source) -> dict[str, Any]:
    """Return what a source keeps of its last listing, for its like in another process.

    A source names these attributes in ``LISTED``; their values must be picklable.
    """
    return {name: getattr(source, name) for name in getattr(source, "LISTED", ())}


class ReadFailed(OSError):
    """A document cannot be read just now, and the same call may succeed in a moment."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds that the server asks to wait; None when it does not say."""


def too_large(document: str, size: int | None, limit: int) -> DocumentError:
    """Return the error of a document past the limit; both in bytes."""
    is_ = f"has {size:,} bytes," if size is not None else "goes on"
    return DocumentError(
        f"{document}: {is_} past the limit of {limit:,} bytes: split it, exclude it, or raise "
        "etl.source.max_bytes"
    )


def changed(document: str) -> ReadFailed:
    """Return the error of a document that was written while it was read."""
    return ReadFailed(f"{document}: changed while it was read; is it still being written?")


def without_password(url: str) -> str:
    """Return a URL as it may stand in a report."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def wanted(document: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a document is included, and neither it nor a folder above it is excluded."""
    if not matches(document, include) or matches(document, exclude):
        return False
    parts = document.split("/")
    return not any(matches("/".join(parts[:n]), exclude) for n in range(1, len(parts)))


def matches(document: str, patterns: Sequence[str]) -> bool:
    """Whether a path matches a glob pattern; ``**`` stands for any number of folders."""
    return _regex(tuple(patterns)).match(document) is not None


@lru_cache(maxsize=256)
def _regex(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for all patterns: a listing asks it twice for each file."""
    return re.compile("|".join(map(_translated, patterns)) or r"(?!)", re.DOTALL)


def _translated(pattern: str) -> str:
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
    return rf"(?:{out})\Z"
