"""Rows on their way into a commit: in memory while they are few, else in a temporary file.

One atomic commit has to know everything before it begins, and a first sync of fifty thousand
documents brings more than should be held in memory. Taught in chapter 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from tempfile import TemporaryFile
from typing import Any, overload

import numpy as np

from agentops_ref.etl.sinks.base import Rows
from agentops_ref.records import Chunk, LedgerEntry

IN_MEMORY = 4096
"""Chunks that are held before they are written out; some ten megabytes."""


class Spool(Sequence[Rows]):
    """A sequence of rows that can only grow, and be read again and again."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self.entries: list[LedgerEntry] = []
        """Of all rows, in order."""
        self._limit, self._held = in_memory, 0
        self._recent: list[Rows] = []
        self._places: list[tuple[int, int, int]] = []
        """Where each row that was written out begins, its bytes of text, its dimensions."""
        self._file: Any = None

    def append(self, rows: Rows) -> None:
        self.entries.append(rows.entry)
        self._recent.append(rows)
        self._held += len(rows.chunks)
        if self._held > self._limit:
            self._write_out()

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Rows]:
        for number in range(len(self._places)):
            yield self._read(number)
        yield from self._recent

    @overload
    def __getitem__(self, index: int) -> Rows: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Rows]: ...
    def __getitem__(self, index: int | slice) -> Rows | Sequence[Rows]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        written = len(self._places)
        return self._read(number) if number < written else self._recent[number - written]

    def close(self) -> None:
        """Forget everything; the file goes with the process at the latest."""
        self.entries, self._recent, self._places, self._held = [], [], [], 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write_out(self) -> None:
        if self._file is None:
            self._file = TemporaryFile(prefix="agentops-spool-")  # noqa: SIM115
        self._file.seek(0, 2)
        for rows in self._recent:
            text = json.dumps([asdict(chunk) for chunk in rows.chunks]).encode()
            vectors = np.ascontiguousarray(rows.vectors, np.float32)
            width = vectors.shape[1] if rows.chunks else 0
            self._places.append((self._file.tell(), len(text), width))
            self._file.write(text)
            self._file.write(vectors.tobytes())
        self._recent, self._held = [], 0

    def _read(self, number: int) -> Rows:
        start, length, width = self._places[number]
        self._file.seek(start)
        chunks = tuple(Chunk(**chunk) for chunk in json.loads(self._file.read(length)))
        data = self._file.read(4 * len(chunks) * width)
        vectors = np.frombuffer(data, np.float32).reshape(len(chunks), width)
        return Rows(self.entries[number], chunks, vectors)
