"""A sink in memory: the contract in its plainest form, and the fake that fails on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from agentops_ref.errors import OperatorError, TransientError
from agentops_ref.etl.sinks.base import (
    Commit,
    Filters,
    Found,
    Newest,
    Rows,
    Snapshot,
    best,
    normalised,
    searchable,
)
from agentops_ref.etl.sinks.bm25 import Bm25
from agentops_ref.records import Chunk, LedgerEntry

NO_VECTORS = np.zeros((0, 0), np.float32)


class MemorySnapshot:
    """One version; ``documents`` is never changed once it is in here."""

    def __init__(self, version: int, documents: Mapping[str, Rows]) -> None:
        self.version, self.documents = version, documents

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

    def chunk_counts(self) -> dict[str, int]:
        return {name: len(rows.chunks) for name, rows in self.documents.items()}

    @cached_property
    def _chunks(self) -> list[Chunk]:
        return [chunk for rows in self.documents.values() for chunk in rows.chunks]

    @cached_property
    def _words(self) -> Bm25:
        return Bm25([searchable(chunk) for chunk in self._chunks])


class MemorySink(Newest):
    """Keeps every version; the ``fail_on``-th commit raises and changes nothing (1-based)."""

    lock: Path | None = None

    def __init__(self, *, fail_on: int | None = None) -> None:
        self.fail_on, self.commits = fail_on, 0
        self._newest = MemorySnapshot(0, {})
        self._versions = {0: self._newest}

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
        after = MemorySnapshot(before.version + commit.visible, documents)
        self._versions[after.version] = after
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


def _passes(chunk: Chunk, allowed: Mapping[str, Sequence[str]]) -> bool:
    facts = {**chunk.metadata, "document": chunk.document}
    return all(facts.get(column, "") in values for column, values in allowed.items())
