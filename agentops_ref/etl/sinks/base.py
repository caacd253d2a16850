"""What a sink is: the place that holds the chunks, their vectors and the ledger.

Taught in chapter 3. Everything that a sync changes is one `Commit`; a sink lands it whole or not at
all. Readers work on a `Snapshot`, which does not move while they read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from agentops_ref.errors import DeveloperError, nearest
from agentops_ref.etl.cache import Vectors
from agentops_ref.records import Chunk, LedgerEntry

Filters = Mapping[str, str | Sequence[str]]
"""Column → the value it must have, or the values of which it must have one."""
FILTERABLE = ("document", "kind", "tenant", "title")


class Found(NamedTuple):
    """One result of one search, best first."""

    chunk: Chunk
    score: float
    """Cosine similarity (-1..1) or BM25 (0 and more); comparable within one search."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that the index shall hold of one document; replaces what it held."""

    entry: LedgerEntry
    chunks: tuple[Chunk, ...]
    vectors: Vectors
    """Shape ``(len(chunks), dimensions)``."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One atomic change of a sink."""

    replace: tuple[Rows, ...] = ()
    entries: tuple[LedgerEntry, ...] = ()
    """Documents of which only the ledger changes; their chunks stay."""
    delete: tuple[str, ...] = ()
    """Documents that leave the index, chunks and ledger entry."""

    def __bool__(self) -> bool:
        return bool(self.replace or self.entries or self.delete)

    @property
    def visible(self) -> bool:
        """Whether a reader can see a difference; if not, the index keeps its version."""
        return bool(self.replace or self.delete)

    @property
    def rows(self) -> int:
        """Rows that it writes or removes documents of."""
        written = sum(1 + len(rows.chunks) for rows in self.replace)
        return written + len(self.entries) + len(self.delete)


class Snapshot(Protocol):
    """One version of an index."""

    @property
    def version(self) -> int:
        """0 for an empty index; grows by one with each commit that a reader can notice."""
        ...

    def ledger(self) -> dict[str, LedgerEntry]: ...

    def search_vector(
        self, vector: Sequence[float], n: int, filters: Filters | None = None
    ) -> list[Found]: ...

    def search_text(self, query: str, n: int, filters: Filters | None = None) -> list[Found]:
        """Search by BM25. Any string is a valid query; one without words finds nothing."""
        ...

    def chunks_of(self, document: str) -> list[Chunk]:
        """Return the document's chunks in order."""
        ...

    def count(self) -> int:
        """Return the number of chunks."""
        ...

    def chunk_counts(self) -> dict[str, int]:
        """Return the number of chunks that are really there per ledger entry (for audits)."""
        ...


class Sink(Snapshot, Protocol):
    """A store of snapshots; read directly, it answers from its newest one."""

    @property
    def lock(self) -> Path | None:
        """File that a sync locks; None where the store needs none."""
        ...

    def commit(self, commit: Commit) -> int:
        """Land the whole commit or nothing; return the version that readers see from now on."""
        ...

    def maintain(self) -> None:
        """Finish what a commit leaves for later (indexes). Changes no result and no version."""
        ...

    def snapshot(self) -> Snapshot:
        """Return the newest version, held still."""
        ...

    def at(self, version: int) -> Snapshot:
        """Return an older version, held still; `OperatorError` if it is no longer kept."""
        ...


class Newest:
    """Lets a sink be read directly: every question goes to its newest snapshot."""

    def snapshot(self) -> Snapshot:
        raise NotImplementedError

    @property
    def version(self) -> int:
        return self.snapshot().version

    def ledger(self) -> dict[str, LedgerEntry]:
        return self.snapshot().ledger()

    def search_vector(
        self, vector: Sequence[float], n: int, filters: Filters | None = None
    ) -> list[Found]:
        return self.snapshot().search_vector(vector, n, filters)

    def search_text(self, query: str, n: int, filters: Filters | None = None) -> list[Found]:
        return self.snapshot().search_text(query, n, filters)

    def chunks_of(self, document: str) -> list[Chunk]:
        return self.snapshot().chunks_of(document)

    def count(self) -> int:
        return self.snapshot().count()

    def chunk_counts(self) -> dict[str, int]:
        return self.snapshot().chunk_counts()


def searchable(chunk: Chunk) -> str:
    """Return the text that is embedded and indexed for full-text search."""
    return f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text


def normalised(filters: Filters | None) -> dict[str, tuple[str, ...]]:
    """Return filters as column → allowed values; refuse a column that cannot be filtered on."""
    allowed: dict[str, tuple[str, ...]] = {}
    for column, value in (filters or {}).items():
        if column not in FILTERABLE:
            raise DeveloperError(f"cannot filter on '{column}'{nearest(column, FILTERABLE)}")
        allowed[column] = (value,) if isinstance(value, str) else tuple(value)
    return allowed


def best(found: Sequence[Found], n: int) -> list[Found]:
    """Return the ``n`` best in an order that does not depend on the store.

    Scores are compared to six digits: the same index built in another order can differ by the
    last bits, and equal scores would come in the order of rows on disk.
    """
    ordered = sorted(found, key=lambda f: (-round(f.score, 6), f.chunk.id))
    return ordered[: max(n, 0)]
