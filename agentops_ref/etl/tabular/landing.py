"""Writing to one Delta table: created, merged, given columns, or written anew; one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.etl.tabular.difference import Difference, filled, quoted
from agentops_ref.etl.tabular.evolve import Shape
from agentops_ref.etl.tabular.kinds import arrow_type
from agentops_ref.etl.tabular.reading import schema_of

if TYPE_CHECKING:
    import pyarrow as pa

FEED = "delta.enableChangeDataFeed"
COUNTS = "agentops.counts"
"""In a commit: the rows that it inserted, updated and deleted, as JSON."""
_KEY = b"agentops.key"


def key_of(schema: pa.Schema) -> tuple[str, ...]:
    """Return a table's key columns: the marked ones, else the first."""
    marked = [
        (field.metadata[_KEY], field.name)
        for field in schema
        if field.metadata and _KEY in field.metadata
    ]
    return tuple(name for _, name in sorted(marked)) or tuple(schema.names[:1])


def marked(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return rows whose schema says which columns are the key, and in which order."""
    import pyarrow as pa

    fields = [
        field.with_metadata({_KEY: b"%d" % key.index(field.name)})
        if field.name in key
        else field.remove_metadata()
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def create(place: Path, rows: pa.Table, key: Sequence[str], *, description: str = "") -> None:
    """Make a table; its description tells whose it is."""
    from deltalake import write_deltalake

    place.mkdir(parents=True, exist_ok=True)
    write_deltalake(
        str(place),
        marked(rows, key),
        description=description or None,
        configuration={FEED: "true"},
        commit_properties=_told({"inserted": rows.num_rows, "updated": 0, "deleted": 0}),
    )


def switch_feed_on(table: Any) -> None:
    """Let a table that was made without a change feed have one from now on."""
    if table.metadata().configuration.get(FEED) != "true":
        table.alter.set_table_properties({FEED: "true"})


def shaped(old: pa.Table, new: pa.Table, key: Sequence[str], shape: Shape) -> pa.Table:
    """Return the new rows in a shape, with what the old ones had in columns that are kept."""
    import pyarrow as pa

    rows = filled(old, new, key, shape.kept) if shape.kept else new
    types = [pa.field(name, arrow_type(kind)) for name, kind in shape.kinds.items()]
    return rows.select(list(shape.kinds)).cast(pa.schema(types))


def rewrite(table: Any, rows: pa.Table, key: Sequence[str], counts: Mapping[str, int]) -> None:
    """Write all rows anew, with the columns that they have."""
    from deltalake import write_deltalake

    write_deltalake(
        table,
        marked(rows, key),
        mode="overwrite",
        schema_mode="overwrite",
        commit_properties=_told(counts),
    )


def add_columns(table: Any, shape: Shape) -> None:
    """Add columns that have no values yet."""
    from deltalake.schema import Field, PrimitiveType

    names = {
        "int": "long",
        "float": "double",
        "bool": "boolean",
        "date": "date",
        "datetime": "timestamp_ntz",
        "instant": "timestamp",
        "string": "string",
    }
    table.alter.add_columns(
        [Field(name, PrimitiveType(names[shape.kinds[name]])) for name in shape.added],
        commit_properties=_told({}),
    )


def merge(table: Any, found: Difference, key: Sequence[str], *, add_columns: bool = False) -> None:
    """Merge inserts, updates and deletes. Columns that the new rows do not have are left alone."""
    import pyarrow as pa

    columns = found.inserted.column_names
    taken = {*columns, *schema_of(table).names}
    mark = "change"
    while mark in taken:
        mark += "_"
    parts = [
        found.inserted.append_column(mark, pa.array(["write"] * found.inserted.num_rows)),
        found.updated.append_column(mark, pa.array(["write"] * found.updated.num_rows)),
        found.deleted.append_column(mark, pa.array(["delete"] * found.deleted.num_rows)),
    ]
    rows = pa.concat_tables(
        [part.cast(_typed(part.schema, mark)) for part in parts], promote_options="default"
    )
    on = " AND ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in key)
    values = {quoted(name): f"s.{quoted(name)}" for name in columns}
    (
        table.merge(
            rows,
            predicate=on,
            source_alias="s",
            target_alias="t",
            merge_schema=add_columns,
            commit_properties=_told(found.counts),
        )
        .when_matched_delete(predicate=f"s.{quoted(mark)} = 'delete'")
        .when_matched_update(updates=values, predicate=f"s.{quoted(mark)} = 'write'")
        .when_not_matched_insert(updates=values, predicate=f"s.{quoted(mark)} = 'write'")
        .execute()
    )


def _typed(schema: pa.Schema, mark: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(f.name, pa.string() if f.name == mark else f.type) for f in schema])


def _told(counts: Mapping[str, int]) -> Any:
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={COUNTS: json.dumps(dict(counts))})
