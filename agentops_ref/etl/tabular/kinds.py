"""The types that a column may have, which type holds two of them, and how cells become one.

| kind | Delta | a source's |
|---|---|---|
| int | long | integers of up to 64 bits, signed |
| float | double | floats; decimals, while a double prints them again as they are |
| bool | boolean | booleans |
| date | date | dates; in a workbook a column of times that are all midnight |
| datetime | timestamp_ntz | times without a zone, to the microsecond |
| instant | timestamp | times with a zone, in UTC, to the microsecond |
| string | string | text; and what no other kind holds without a loss |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args
from uuid import UUID

from agentops_ref.errors import DocumentError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["int", "float", "bool", "date", "datetime", "instant", "string"]
Cell = int | float | bool | date | datetime | str | None
Row = tuple[Cell, ...]

KINDS: tuple[str, ...] = get_args(Kind)
_LARGEST = 2**63


def arrow_type(kind: Kind) -> pa.DataType:
    """Return the Arrow type that a kind is stored as."""
    import pyarrow as pa

    return {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "instant": pa.timestamp("us", tz="UTC"),
        "string": pa.string(),
    }[kind]


def kind_of_type(of: pa.DataType) -> Kind | None:
    """Return the kind of a stored column; None for a column of nulls."""
    import pyarrow as pa

    if pa.types.is_null(of):
        return None
    if pa.types.is_integer(of):
        return "int"
    if pa.types.is_floating(of):
        return "float"
    if pa.types.is_boolean(of):
        return "bool"
    if pa.types.is_date(of):
        return "date"
    if pa.types.is_timestamp(of):
        return "instant" if of.tz else "datetime"
    return "string"


def wider(old: Kind, new: Kind) -> Kind:
    """Return the kind that holds the values of both."""
    if old == new:
        return old
    if {old, new} == {"int", "float"}:
        return "float"
    return "datetime" if {old, new} == {"date", "datetime"} else "string"


def cast(cells: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """Return a column as another, wider kind.

    Raises
    ------
    pyarrow.ArrowInvalid
        A value would not survive it: an integer past 2**53 as a float.
    """
    import pyarrow as pa

    to = arrow_type(kind)
    if cells.type == to:
        return cells
    if kind == "string" and not pa.types.is_null(cells.type):
        return pa.chunked_array([pa.array([text_of(v) for v in cells.to_pylist()], pa.string())])
    return cells.cast(to)


def text_of(value: Any) -> str | None:
    """Return a cell as text: the one that the same cell of a CSV file would have."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return str(value)


def column_of(
    values: Sequence[Any], *, where: str, text: bool = False, numbers: Sequence[int] | None = None
) -> pa.Array:
    """Return Python values as one typed column; null when there are none.

    Parameters
    ----------
    where
        Names the column in errors, e.g. ``parts.xlsx, sheet 'Stock', column 'price'``.
    text
        Take everything as text, which settles a column of mixed types.
    numbers
        Number of each row in its source, for errors; by default 1, 2, ...

    Raises
    ------
    DocumentError
        Values of types that do not go together, or of one that a table does not hold.
    """
    import pyarrow as pa

    if text:
        return pa.array([text_of(value) for value in values], pa.string())
    kinds = _examples(values, where, numbers or range(1, len(values) + 1))
    if not kinds:
        return pa.nulls(len(values))
    if kinds.keys() == {"int", "float"} and all(_exact(v) for v in values):
        kind: Kind = "float"
    elif kinds.keys() == {"date", "datetime"}:
        kind = "datetime"
    elif len(kinds) == 1 and "decimal" not in kinds:
        (kind,) = kinds
    elif kinds.keys() <= {"int", "float", "decimal"}:
        kind = "float" if all(_exact(v) for v in values) else "string"
    else:
        shown = "; ".join(f"row {n}: {v!r} ({kind})" for kind, (n, v) in kinds.items())
        raise DocumentError(
            f"{where}: mixed types: {shown}. Mend the cells, or say `types: {{COLUMN: string}}` "
            "in the table's entry of etl.tables.sources"
        )
    if kind == "string":
        return pa.array([text_of(value) for value in values], pa.string())
    if kind == "float":
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kind == "datetime":
        values = [
            datetime.combine(v, time()) if v is not None and not isinstance(v, datetime) else v
            for v in values
        ]
    if kind == "instant":
        values = [None if v is None else v.astimezone(UTC) for v in values]
    return pa.array(values, arrow_type(kind))


def _examples(
    values: Iterable[Any], where: str, numbers: Iterable[int]
) -> dict[Any, tuple[int, Any]]:
    """Return kind → the first row and value that has it."""
    found: dict[str, tuple[int, Any]] = {}
    for number, value in zip(numbers, values, strict=True):
        if value is None:
            continue
        kind = _kind_of_value(value)
        if not kind:
            raise DocumentError(
                f"{where}, row {number}: a table does not hold values of the type "
                f"{type(value).__name__}; leave the column out by `columns` or a `query`"
            )
        found.setdefault(kind, (number, value))
    return found


def _kind_of_value(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int" if -_LARGEST <= value < _LARGEST else "string"
        case float():
            return "float"
        case Decimal():
            return "decimal"
        case datetime():
            return "instant" if value.tzinfo else "datetime"
        case date():
            return "date"
        case str() | time() | UUID():
            return "string"
        case _:
            return ""


def _exact(value: Any) -> bool:
    """Whether a float prints as this number again."""
    if isinstance(value, Decimal):
        return value.is_finite() and Decimal(repr(float(value))) == value
    return not isinstance(value, int) or abs(value) <= 2**53
