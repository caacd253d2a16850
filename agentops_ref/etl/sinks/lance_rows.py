"""How the LanceDB sink lays its rows out: chunks, the ledger and the version, in one table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.sinks.base import Commit, IndexVersion, searchable
from agentops_ref.records import Chunk, LedgerEntry

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_COLUMNS = ["id", "document", "version", "ordinal", "page", "text", "context", "payload"]
_TEXTS = ("key", "row_kind", "owner", "id", "document", "version", "kind", "tenant", "title")

_BATCH = 2048
"""Rows that are made at a time."""


def schema(dimensions: int) -> pa.Schema:
    """Return the table's columns. ``owner`` is the ledger entry that a row belongs to."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            *[pa.field(name, pa.string()) for name in _TEXTS[1:]],
            pa.field("ordinal", pa.int64()),
            pa.field("page", pa.int64()),
            pa.field("text", pa.string()),
            pa.field("context", pa.string()),
            pa.field("payload", pa.string()),
            pa.field("search", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )


def reader_of(
    commit: Commit, version: int, history: Sequence[IndexVersion], dimensions: int
) -> pa.RecordBatchReader:
    """Return the rows that a commit writes, as batches that are made when they are asked for."""
    import pyarrow as pa

    return pa.RecordBatchReader.from_batches(
        schema(dimensions), _batches(commit, version, history, dimensions)
    )


def _batches(
    commit: Commit, version: int, history: Sequence[IndexVersion], dimensions: int
) -> Iterator[pa.RecordBatch]:
    # Rows other than chunks have a zero vector and no search text; every search leaves them out.
    rows: list[dict[str, Any]] = [head_row(version, commit.digest, history)]
    rows += [_row("ledger", e.document, payload=_json(asdict(e))) for e in commit.entries]
    blocks: list[Vectors] = [np.zeros((len(rows), dimensions), np.float32)]
    for part in commit.replace:
        name = part.entry.document
        rows.append(_row("ledger", name, payload=_json(asdict(part.entry))))
        rows += [_chunk_row(name, chunk) for chunk in part.chunks]
        blocks.append(np.zeros((1, dimensions), np.float32))
        if part.chunks:
            blocks.append(part.vectors)
        if len(rows) >= _BATCH:
            yield from _arrow(rows, np.concatenate(blocks), dimensions).to_batches()
            rows, blocks = [], []
    if rows:
        yield from _arrow(rows, np.concatenate(blocks), dimensions).to_batches()


def head_row(version: int, digest: str, history: Sequence[IndexVersion]) -> dict[str, Any]:
    """Return the one row that says which version this is, and how it came about."""
    payload = _json({"digest": digest, "history": [list(line) for line in history]})
    return _row("version", "", ordinal=version, payload=payload)


def head_table(row: Mapping[str, Any], dimensions: int) -> pa.Table:
    """Return a head row as a table of its own."""
    return _arrow([row], np.zeros((1, dimensions), np.float32), dimensions)


def _arrow(rows: Sequence[Mapping[str, Any]], vectors: Vectors, dimensions: int) -> pa.Table:
    import pyarrow as pa

    names = schema(dimensions)
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel(), pa.float32())
    columns = [
        pa.FixedSizeListArray.from_arrays(flat, dimensions)
        if field.name == "vector"
        else pa.array([row.get(field.name) for row in rows], field.type)
        for field in names
    ]
    return pa.Table.from_arrays(columns, schema=names)


def _row(row_kind: str, owner: str, **values: Any) -> dict[str, Any]:
    return {"key": f"{row_kind}:{owner}", "row_kind": row_kind, "owner": owner, **values}


def _chunk_row(owner: str, chunk: Chunk) -> dict[str, Any]:
    return {
        "key": f"chunk:{chunk.id}",
        "row_kind": "chunk",
        "owner": owner,
        "id": chunk.id,
        "document": chunk.document,
        "version": chunk.version,
        "ordinal": chunk.ordinal,
        "page": chunk.page,
        "text": chunk.text,
        "context": chunk.context,
        "payload": _json(dict(chunk.metadata)),
        "search": searchable(chunk),
        **{name: chunk.metadata.get(name, "") for name in ("kind", "tenant", "title")},
    }


def chunk_of(row: Mapping[str, Any]) -> Chunk:
    return Chunk(
        id=row["id"],
        document=row["document"],
        version=row["version"],
        ordinal=row["ordinal"],
        text=row["text"],
        context=row["context"],
        page=row["page"],
        metadata=json.loads(row["payload"]),
    )


class Head(NamedTuple):
    """What an index's head row says."""

    version: int
    digest: str
    history: tuple[IndexVersion, ...]


def head_of(row: Mapping[str, Any]) -> Head:
    payload = json.loads(row["payload"] or "{}")
    lines = tuple(IndexVersion(*line) for line in payload.get("history", ()))
    return Head(int(row["ordinal"]), payload.get("digest", ""), lines)


def entries_of(payloads: Iterable[str]) -> list[LedgerEntry]:
    # Parsed as one text: a call for each of many thousands takes three times as long.
    return [LedgerEntry(**entry) for entry in json.loads(f"[{','.join(payloads)}]")]


def one_of(column: str, values: Iterable[str]) -> str:
    """Return an SQL condition; a quote within a value is doubled, as SQL wants it."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})" if quoted else "false"


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
