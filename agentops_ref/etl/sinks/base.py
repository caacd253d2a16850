"""What a sink is: the place that holds the chunks, their vectors and the ledger.

Taught in chapter 3. Everything that a sync changes is one `Commit`; a sink lands it whole or not at
all. Readers work on a `Snapshot`, which does not move while they read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from agentops_ref.errors import DeveloperError, OperatorError, TransientError, nearest
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

    replace: Sequence[Rows] = ()
    """May be larger than memory (`etl.spool`): go through it, do not gather it."""
    entries: tuple[LedgerEntry, ...] = ()
    """Documents of which only the ledger changes; their chunks stay."""
    delete: tuple[str, ...] = ()
    """Documents that leave the index, chunks and ledger entry."""
    digest: str = ""
    """Names the listing and the recipes that the index is in step with; "" where it is not."""

    def __bool__(self) -> bool:
        return bool(self.replace or self.entries or self.delete)

    @property
    def visible(self) -> bool:
        """Whether a reader can see a difference; if not, the index keeps its version."""
        return bool(self.replace or self.delete)

    def brought(self) -> tuple[dict[str, int], int | None]:
        """Return the chunks that each replaced document brings, and their vectors' length.

        None for the length when there are no chunks. `DeveloperError` when there are several.
        """
        chunks, widths = {}, set()
        for rows in self.replace:
            chunks[rows.entry.document] = len(rows.chunks)
            if rows.chunks:
                widths.add(int(rows.vectors.shape[1]))
        if len(widths) > 1:
            raise DeveloperError(f"one commit brings vectors of several lengths: {sorted(widths)}")
        return chunks, widths.pop() if widths else None


class IndexVersion(NamedTuple):
    """One line of an index's history."""

    number: int
    made_at: str
    """UTC, ISO 8601 to the second."""
    documents: int
    chunks: int
    note: str
    """What made it: "sync", or "rollback to" a number."""


KEPT_LINES = 200
"""Lines of history that an index keeps; its versions are kept as the store's own rules say."""


def lengthened(
    history: Sequence[IndexVersion], number: int, documents: int, chunks: int, note: str
) -> tuple[IndexVersion, ...]:
    """Return the history, newest first, with a new line or with its newest one brought up to date.

    A commit that no reader can notice keeps the version's number and time.
    """
    if history and history[0].number == number:
        return (history[0]._replace(documents=documents, chunks=chunks), *history[1:])
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return (IndexVersion(number, made_at, documents, chunks, note), *history)[:KEPT_LINES]


class Snapshot(Protocol):
    """One version of an index."""

    @property
    def version(self) -> int:
        """0 for an empty index; grows by one with each commit that a reader can notice."""
        ...

    @property
    def digest(self) -> str:
        """What the last commit said that the index is in step with; "" for nothing."""
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

    def stored(
        self, documents: Collection[str] | None = None
    ) -> Iterator[tuple[str, Chunk, Vectors]]:
        """Yield every chunk that is really there: ledger entry it belongs to, chunk, vector.

        With ``documents``, only the chunks of these ledger entries, without going through all.
        """
        ...


class Sink(Snapshot, Protocol):
    """A store of snapshots; read directly, it answers from its newest one."""

    def hold(self, wait: float = 0) -> AbstractContextManager[None]:
        """Keep other writers out while it is open, in every process.

        `TransientError` when another one holds the index for longer than ``wait`` seconds.
        """
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

    def history(self) -> list[IndexVersion]:
        """Return the versions that were made, newest first; not all of them need still be kept."""
        ...

    def rollback(self, version: int) -> int:
        """Make a new version, in one commit, that is equal to an older one; return its number.

        `OperatorError` if the older one is no longer kept.
        """
        ...


class Newest:
    """Lets a sink be read directly: every question goes to its newest snapshot."""

    def snapshot(self) -> Snapshot:
        raise NotImplementedError

    @property
    def version(self) -> int:
        return self.snapshot().version

    @property
    def digest(self) -> str:
        return self.snapshot().digest

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

    def stored(
        self, documents: Collection[str] | None = None
    ) -> Iterator[tuple[str, Chunk, Vectors]]:
        return self.snapshot().stored(documents)


@contextmanager
def held_file(lock: Path, wait: float) -> Iterator[None]:
    """Hold a lock file; the operating system frees it when the process dies."""
    from filelock import FileLock, Timeout

    guard = FileLock(lock, timeout=wait)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        guard.acquire()
    except Timeout:
        raise busy(str(lock)) from None
    except OSError as error:
        raise OperatorError(
            f"cannot write to the index in {lock.parent}: {error.strerror or error}; mend that, or "
            "choose another place with --sink"
        ) from error
    try:
        yield
    finally:
        guard.release()


def busy(lock: str) -> TransientError:
    """Return the error of a writer that another one keeps out."""
    return TransientError(
        f"another sync of this index is running (it holds {lock}); try again when it is done, or "
        "let this one wait with --wait SECONDS"
    )


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
