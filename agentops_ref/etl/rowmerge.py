"""Rows of typed columns → a part of a Delta table, in one transaction. Taught in chapter 3.

What `tables` does for whole files, this does for the rows of some documents, in the same way: those
that they had are compared with those that they shall have, and the difference is merged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from agentops_ref.errors import ConfigError, TransientError
from agentops_ref.etl.tabular import landing
from agentops_ref.etl.tabular.difference import difference
from agentops_ref.etl.tabular.kinds import arrow_type
from agentops_ref.etl.tabular.reading import dataset, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

    from agentops_ref.etl.tables import DeltaTables

Kind = Literal["string", "int", "float", "date", "strings", "floats"]
Row = tuple[Any, ...]
MARK = "rows of agentops ingest extract"
"""Description of the tables that this module made, so that it touches no others."""


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
    from deltalake.exceptions import CommitFailedError

    key = (next(iter(kinds)),)
    new = _arrow(kinds, list(rows.values()))
    if name not in tables.names():
        landing.create(tables.uri / name, new, key, description=MARK)
        return Merged(new.num_rows, 0, 0)
    table = ours(tables, name)
    same = {f.name: f.type for f in schema_of(table)} == {f.name: f.type for f in new.schema}
    try:
        if same:
            found = difference(_rows(table, documents).select(new.column_names), new, key)
            if found.counts:
                landing.merge(table, found, key)
            return Merged(**{"inserted": 0, "updated": 0, "deleted": 0} | found.counts)
        # Columns were added, renamed or typed otherwise: all rows are written anew.
        others = _rows(table, documents, others=True).to_pylist()
        kept = [tuple(row.get(column) for column in kinds) for row in others]
        done = Merged(new.num_rows, 0, max(0, table.count() - len(kept)))
        landing.rewrite(table, _arrow(kinds, [*kept, *rows.values()]), key, done._asdict())
        return done
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


def _rows(table: Any, documents: Collection[str], *, others: bool = False) -> pa.Table:
    """Return the rows of these documents, or those of all others."""
    import duckdb
    import pyarrow as pa

    with duckdb.connect(":memory:") as connection:
        connection.register("held", dataset(table))
        connection.register("these", pa.table({"document": pa.array([*documents], pa.string())}))
        join = "ANTI" if others else "SEMI"
        sql = f"SELECT * FROM held {join} JOIN these USING (document)"
        return connection.sql(sql).to_arrow_table()


def _arrow(kinds: Mapping[str, Kind], rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            column: pa.array(
                [list(r[at]) if isinstance(r[at], tuple) else r[at] for r in rows], _type(kind)
            )
            for at, (column, kind) in enumerate(kinds.items())
        }
    )


def _type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    if kind == "strings":
        return pa.list_(pa.field("element", pa.string()))
    if kind == "floats":
        return pa.list_(pa.field("element", pa.float64()))
    return arrow_type(kind)
