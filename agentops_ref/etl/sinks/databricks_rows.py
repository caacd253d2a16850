"""How the Databricks sink lays out its rows, and what its head row says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.sinks.base import Commit, IndexVersion, searchable
from agentops_ref.etl.sinks.databricks_api import Row
from agentops_ref.records import Chunk, LedgerEntry

ALIVE = 2**53 - 1
"""``died`` of a row that no commit has ended: the largest integer that JSON carries safely."""

LEDGER = {"key": "string", "document": "string", "payload": "string", "born": "long",
          "died": "long", "norm": "double"}  # fmt: skip
CHUNKS = {"key": "string", "owner": "string", "document": "string", "kind": "string",
          "tenant": "string", "title": "string", "search": "string", "payload": "string",
          "norm": "double", "born": "long", "died": "long"}  # fmt: skip


class Kept(NamedTuple):
    """A version that can be read."""

    version: int
    number: int
    """Its last commit."""
    width: int
    """Length of its vectors; 0 when there are none."""
    chunks: int


@dataclass(frozen=True)
class State:
    """What the head row says."""

    number: int = 0
    """The commit that readers look at."""
    version: int = 0
    digest: str = ""
    width: int = 0
    """Length of the vectors; 0 before there is one. Each length has an index of its own."""
    chunks: int = 0
    history: tuple[IndexVersion, ...] = ()
    kept: tuple[Kept, ...] = ()
    """Newest first."""
    ended: int = 0
    """Rows that ended since the last clean-up."""
    writing: Mapping[str, Any] = field(default_factory=dict)
    """Who writes the next commit: ``who``, ``host``, ``since``, ``width``; {} for nobody."""

    @property
    def newest(self) -> Kept:
        return Kept(self.version, self.number, self.width, self.chunks)

    def at(self, version: int) -> Kept | None:
        """Return a version; None if it is not kept."""
        lines = (self.newest, *self.kept, Kept(0, 0, 0, 0))
        return next((line for line in lines if line.version == version), None)

    def widths(self) -> set[int]:
        """Return the lengths of vectors of which there may be rows."""
        marked = {int(self.writing.get("width", 0))}
        return ({line.width for line in self.kept} | {self.width} | marked) - {0}


def owned_by(owner: str) -> str:
    """Return what the keys of a document's rows begin with, of one length for all names."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:32] + "|"


def born_at(key: str, number: int) -> str:
    """Return the key of the same row, born in another commit."""
    start, _, end = key.rsplit("|", 2)
    return f"{start}|{number:016d}|{end}"


def ledger_row(entry: LedgerEntry, number: int) -> Row:
    return {
        "key": f"ledger|{owned_by(entry.document)}{number:016d}|",
        "document": text_of(entry.document),
        "payload": json.dumps(asdict(entry)),
        "born": number,
        "died": ALIVE,
        "norm": 0.0,
        "vector": [1.0],
    }


def chunk_rows(commit: Commit, number: int) -> Iterator[Row]:
    for part in commit.replace:
        for chunk, vector in zip(part.chunks, part.vectors, strict=True):
            yield _chunk_row(part.entry.document, chunk, vector, number)


def _chunk_row(owner: str, chunk: Chunk, vector: Vectors, number: int) -> Row:
    wide = np.asarray(vector, np.float64)
    end = hashlib.sha256(chunk.id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    filters = {name: text_of(chunk.metadata.get(name, "")) for name in ("kind", "tenant", "title")}
    return {
        "key": f"{owned_by(owner)}{number:016d}|{end}",
        "owner": text_of(owner),
        "document": text_of(chunk.document),
        **filters,
        "search": text_of(searchable(chunk)),
        "payload": json.dumps(asdict(chunk)),
        "norm": float(np.linalg.norm(wide)),
        "vector": unit(wide).tolist(),
        "born": number,
        "died": ALIVE,
    }


def unit(vector: Any) -> Any:
    """Return a vector of length 1, or of length 0 if it has none."""
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def chunk_of(payload: str) -> Chunk:
    return Chunk(**json.loads(payload))


def text_of(text: str) -> str:
    """Return a text as JSON and the service can carry it."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
