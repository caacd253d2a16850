"""How a Delta table is read: its schema in Arrow, and a data set for DuckDB to scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def schema_of(table: Any) -> pa.Schema:
    """Return a Delta table's schema; what marks a key column stands in its metadata."""
    import pyarrow as pa

    return pa.schema(table.schema())


def dataset(table: Any) -> Any:
    """Return a table for DuckDB to scan.

    A merge writes its files' text as string views (deltalake 1.6), and Arrow (25) does not compare
    those, or these files' statistics, with the text that a condition names. Declared as views
    everywhere, DuckDB compares them.
    """
    import pyarrow as pa

    fields = [
        field.with_type(pa.string_view()) if pa.types.is_string(field.type) else field
        for field in schema_of(table)
    ]
    return table.to_pyarrow_dataset(schema=pa.schema(fields))
