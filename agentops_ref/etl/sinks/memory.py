"""A sink in memory: the contract in its plainest form, and the fake that fails on demand."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import numpy as np

from agentops_ref.errors import OperatorError, TransientError
from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.sinks.base import (
    Commit,
    Filters,
    Found,
    IndexVersion,
    Newest,
    Rows,
    Snapshot,
    best,
    busy,
    lengthened,
    normalised,
    searchable,
)
from agentops_ref.etl.sinks.bm25 import Bm25
from agentops_ref.records import Chunk, LedgerEntry

NO_VECTORS = np.zeros((0, 0), np.float32)


class MemorySnapshot:
    """One version; ``documents`` is never changed once it is in here."""

    def __init__(self, version: int, documents: Mapping[str, Rows], digest: str = "") -> None:
        self.version, self.documents, self.digest = version, documents, digest

    def ledger(self) -> dict[str, LedgerEntry]:
        return {name: rows.entry for name, rows in sorted(self.documents.items())}

    def search_vector(
        self, vector: Sequence[float], n: int, filters: Filters | None = None
    ) -> list[Found]:
        allowed = normalised(filters)
        query = np.asarray(vector, np.float32)
        found = []
        for rows in self.documents.values():
            for chunk, row in zip(rows.chunks, rows.vectors, strict=True):
                if _passes(chunk, allowed):
                    length = float(np.linalg.norm(row) * np.linalg.norm(query))
                    found.append(Found(chunk, float(row @ query) / length if length else 0.0))
        return best(found, n)

    def search_text(self, query: str, n: int, filters: Filters | None = None) -> list[Found]:
        allowed = normalised(filters)
        chunks = self._chunks
        scores = self._words.scores(query).items()
        return best([Found(chunks[i], s) for i, s in scores if _passes(chunks[i], allowed)], n)

    def chunks_of(self, document: str) -> list[Chunk]:
        return sorted(
            (chunk for chunk in self._chunks if chunk.document == document),
            key=lambda chunk: (chunk.ordinal, chunk.id),
        )

    def count(self) -> int:
        return len(self._chunks)

    def stored(
        self, documents: Collection[str] | None = None
    ) -> Iterator[tuple[str, Chunk, Vectors]]:
        for name in self.documents if documents is None else self.documents.keys() & documents:
            rows = self.documents[name]
            for chunk, vector in zip(rows.chunks, rows.vectors, strict=True):
                yield name, chunk, vector

    @cached_property
    def _chunks(self) -> list[Chunk]:
        return [chunk for rows in self.documents.values() for chunk in rows.chunks]

    @cached_property
    def _words(self) -> Bm25:
        return Bm25([searchable(chunk) for chunk in self._chunks])


class MemorySink(Newest):
    """Keeps every version; the ``fail_on``-th commit raises and changes nothing (1-based)."""

    def __init__(self, *, fail_on: int | None = None) -> None:
        self.fail_on, self.commits = fail_on, 0
        self._newest = MemorySnapshot(0, {})
        self._versions = {0: self._newest}
        self._history: tuple[IndexVersion, ...] = ()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, wait: float = 0) -> Iterator[None]:
        if not self._lock.acquire(timeout=wait):
            raise busy("a lock in memory")
        try:
            yield
        finally:
            self._lock.release()

    def commit(self, commit: Commit) -> int:
        if not commit:
            return self.version
        self.commits += 1
        if self.commits == self.fail_on:
            raise TransientError(f"commit {self.commits} failed as it was asked to")
        before, gone = self._newest, set(commit.delete)
        documents = {name: rows for name, rows in before.documents.items() if name not in gone}
        for rows in commit.replace:
            documents[rows.entry.document] = rows
        for entry in commit.entries:
            old = documents.get(entry.document, Rows(entry, (), NO_VECTORS))
            documents[entry.document] = replace(old, entry=entry)
        return self._land(before.version + commit.visible, documents, commit.digest, "sync")

    def _land(self, version: int, documents: Mapping[str, Rows], digest: str, note: str) -> int:
        after = MemorySnapshot(version, documents, digest)
        self._versions[after.version] = after
        self._history = lengthened(self._history, version, len(documents), after.count(), note)
        self._newest = after  # one assignment: a reader has the old version or the new one
        return after.version

    def maintain(self) -> None:
        pass

    def snapshot(self) -> Snapshot:
        return self._newest

    def at(self, version: int) -> Snapshot:
        if version not in self._versions:
            raise OperatorError(f"no index version {version}; the newest is {self.version}")
        return self._versions[version]

    def history(self) -> list[IndexVersion]:
        return list(self._history)

    def rollback(self, version: int) -> int:
        if version not in self._versions:
            raise OperatorError(f"no index version {version}; the newest is {self.version}")
        old = self._versions[version].documents
        return self._land(self.version + 1, old, "", f"rollback to {version}")


def _passes(chunk: Chunk, allowed: Mapping[str, Sequence[str]]) -> bool:
    facts = {**chunk.metadata, "document": chunk.document}
    return all(facts.get(column, "") in values for column, values in allowed.items())
