"""A Parquet file, or any Arrow table, as rows of the kinds that tables hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import DocumentError
from agentops_ref.etl.tabular.incoming import Incoming, checked
from agentops_ref.etl.tabular.kinds import arrow_type, column_of

if TYPE_CHECKING:
    import pyarrow as pa

    from agentops_ref.etl.tabular.sources import TableSource


def read_parquet(path: Path, source: TableSource) -> Incoming:
    """Read a Parquet file.

    Raises
    ------
    DocumentError
        Not a Parquet file, a column of a type that a table does not hold, a wrong key.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Read as it lies there: no memory map, so that a writer may replace the file meanwhile.
        table = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DocumentError(f"{path}: not a Parquet file that can be read ({error})") from error
    if not table.num_columns:
        raise DocumentError(f"{path}: a Parquet file without columns; expected the key at least")
    if len(set(table.column_names)) != table.num_columns:
        raise DocumentError(f"{path}: the columns have repeated names")
    names = table.column_names
    key = source.key or tuple(names[:1])
    wanted = set(source.columns) and {*source.columns, *key}
    cells = pa.table(
        {
            name: plain(
                table.column(name), where=f"{path}, column '{name}'", text=name in source.texts
            )
            for name in names
            if not wanted or name in wanted
        }
    )
    return checked(Incoming(str(path), key, cells))


def plain(column: pa.ChunkedArray, *, where: str, text: bool = False) -> Any:
    """Return a column as one of the types of `kinds.arrow_type`, or of nulls; nothing is lost."""
    import pyarrow as pa
    import pyarrow.types as of

    if of.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    to = None
    if of.is_null(column.type):
        return column
    if of.is_integer(column.type):
        to = arrow_type("int")
    elif of.is_floating(column.type):
        to = arrow_type("float")
    elif of.is_date(column.type):
        to = arrow_type("date")
    elif of.is_timestamp(column.type):
        to = arrow_type("instant" if column.type.tz else "datetime")
    elif of.is_boolean(column.type):
        to = arrow_type("bool")
    elif (
        of.is_string(column.type)
        or of.is_large_string(column.type)
        or of.is_string_view(column.type)
    ):
        to = arrow_type("string")
    elif not (of.is_decimal(column.type) or of.is_time(column.type)):
        raise DocumentError(
            f"{where}: a table does not hold values of the type {column.type}; leave it out by "
            "`columns` in the table's entry of etl.tables.sources"
        )
    if to is not None:
        try:
            made = column.cast(to)
        except pa.ArrowInvalid:  # an unsigned integer past 63 bits, a time with nanoseconds
            made = column.cast(pa.string())
        if not text:
            return made
    return column_of(column.to_pylist(), where=where, text=text)
