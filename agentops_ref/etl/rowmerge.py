"""Rows of typed columns → a Delta table, by key, in one transaction. Taught in chapter 4.

What `tables` does for whole files, this does for a part of a table: the rows that some documents
had are compared with those that they shall have, and only the difference is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from agentops_ref.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from agentops_ref.etl.tables import DeltaTables

Kind = Literal["string", "int", "float", "date", "strings", "floats"]
Row = tuple[Any, ...]
MARK = "rows of agentops ingest extract"
"""Description of the tables that this module made, so that it touches no others."""
_LITERALS = 500
"""Keys per predicate: a longer one would be a statement of megabytes."""


class Merged(NamedTuple):
    """What one merge wrote."""

    inserted: int
    updated: int
    deleted: int


def merge_rows(
    tables: DeltaTables,
    name: str,
    kinds: Mapping[str, Kind],
    rows: Mapping[str, Row],
    *,
    documents: Collection[str],
) -> Merged:
    """Make a table hold these rows of these documents; write nothing where it does already.

    Parameters
    ----------
    kinds
        Column → type. The first column is the key; one is called ``document``.
    rows
        Key → cells in the order of ``kinds``, the key included.
    documents
        Whose rows are replaced. Every row is of one of them.

    Returns
    -------
    Merged
        Rows inserted, updated and deleted, all of them in one transaction.

    Raises
    ------
    ConfigError
        There is a table of that name which holds something else.
    TransientError
        Another process changed the table at the same time.
    """
    from deltalake import write_deltalake
    from deltalake.exceptions import CommitFailedError

    place = tables.uri / name
    if name not in tables.names():
        place.mkdir(parents=True, exist_ok=True)
        write_deltalake(str(place), _arrow(kinds, list(rows.values())), description=MARK)
        return Merged(len(rows), 0, 0)
    table = ours(tables, name)
    before = {field.name: field.type for field in table.to_pyarrow_dataset().schema}
    wanted = {column: _type(kind) for column, kind in kinds.items()}
    try:
        if before != wanted:  # columns were added, renamed or typed otherwise
            held = table.to_pyarrow_dataset().count_rows()
            keep = _kept(table, kinds, documents)
            made = _arrow(kinds, [*keep, *rows.values()])
            write_deltalake(
                str(place), made, mode="overwrite", schema_mode="overwrite", description=MARK
            )
            return Merged(len(rows), 0, max(0, held - len(keep)))
        old = _rows(table, kinds, documents)
        return _write(table, kinds, old, rows)
    except CommitFailedError as error:
        raise TransientError(f"table {name} was changed by another process: {error}") from error


def ours(tables: DeltaTables, name: str) -> Any:
    """Return a table that this module made.

    Raises
    ------
    ConfigError
        It is somebody else's.
    """
    from deltalake import DeltaTable

    table = DeltaTable(str(tables.uri / name))
    if table.metadata().description != MARK:
        raise ConfigError(
            f"etl.extract.schema: there is a table '{name}' already, with other contents; give the "
            "record type another name"
        )
    return table


def made_here(tables: DeltaTables) -> list[str]:
    """Name the tables that this module made."""
    from deltalake import DeltaTable

    places = {name: str(tables.uri / name) for name in tables.names()}
    return [n for n, at in places.items() if DeltaTable(at).metadata().description == MARK]


def _write(
    table: Any, kinds: Mapping[str, Kind], old: Mapping[str, Row], rows: Mapping[str, Row]
) -> Merged:
    inserted = [key for key in rows if key not in old]
    updated = [key for key, row in rows.items() if key in old and old[key] != row]
    deleted = [key for key in old if key not in rows]
    done = Merged(len(inserted), len(updated), len(deleted))
    if not any(done):
        return done
    key = _name(next(iter(kinds)))
    gone = _one_of(f"t.{key}", deleted)
    if not inserted and not updated:
        table.delete(_one_of(key, deleted))
        return done
    merge = (
        table.merge(
            _arrow(kinds, [rows[one] for one in (*inserted, *updated)]),
            predicate=f"t.{key} = s.{key}",
            source_alias="s",
            target_alias="t",
        )
        .when_matched_update_all()
        .when_not_matched_insert_all()
    )
    if deleted:
        merge = merge.when_not_matched_by_source_delete(gone)
    merge.execute()
    return done


def _rows(table: Any, kinds: Mapping[str, Kind], documents: Collection[str]) -> dict[str, Row]:
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = pc.field("document").isin(pa.array(sorted(documents), pa.string()))
    held = _filterable(table).to_table(columns=list(kinds), filter=chosen)
    return {
        row[0]: tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row)
        for row in zip(*(held[column].to_pylist() for column in kinds), strict=True)
    }


def _filterable(table: Any) -> Any:
    """Return a Delta table's newest version as a dataset that takes conditions on any column.

    A merge writes its files' strings as views (deltalake 1.6), and pyarrow (25) cannot compare
    these files' statistics with a string: every condition on such a column fails. Such a table is
    read whole, and the condition looks at what was read.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    dataset = table.to_pyarrow_dataset()
    for fragment in dataset.get_fragments():
        if any(pa.types.is_string_view(column) for column in fragment.physical_schema.types):
            return ds.dataset(dataset.to_table())
    return dataset


def _kept(table: Any, kinds: Mapping[str, Kind], documents: Collection[str]) -> list[Row]:
    """Return the rows of all other documents, with None in columns that they lack."""
    held = table.to_pyarrow_dataset().to_table().to_pylist()
    return [
        tuple(row.get(column) for column in kinds)
        for row in held
        if row["document"] not in documents
    ]


def _arrow(kinds: Mapping[str, Kind], rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            column: pa.array(
                [list(r[at]) if isinstance(r[at], tuple) else r[at] for r in rows], _type(kind)
            )
            for at, (column, kind) in enumerate(kinds.items())
        }
    )


def _type(kind: Kind) -> Any:
    import pyarrow as pa

    return {
        "string": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "date": pa.date32(),
        "strings": pa.list_(pa.field("element", pa.string())),
        "floats": pa.list_(pa.field("element", pa.float64())),
    }[kind]


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _one_of(column: str, values: Sequence[str]) -> str:
    quoted = ["'" + value.replace("'", "''") + "'" for value in values]
    parts = [quoted[at : at + _LITERALS] for at in range(0, len(quoted), _LITERALS)]
    return " OR ".join(f"{column} IN ({', '.join(part)})" for part in parts)
