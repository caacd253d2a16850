"""A CSV file as a typed table: the types that all its cells agree on. Taught in chapter 3."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from agentops_ref.errors import DocumentError
from agentops_ref.etl.tabular.incoming import Incoming, checked
from agentops_ref.etl.tabular.kinds import Kind

_PATTERNS: Mapping[Kind, re.Pattern[str]] = {
    # A leading zero is part of a code, not of a number; it would be lost.
    "int": re.compile(r"-?(0|[1-9][0-9]{0,17})"),
    "float": re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?"),
    "bool": re.compile(r"true|false"),
    "date": re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])"),
}


def read_csv(path: Path, *, key: Sequence[str] = (), texts: Sequence[str] = ()) -> Incoming:
    """Read a CSV file with a header row. An empty cell is null.

    Parameters
    ----------
    key
        Columns that name a row; by default the first. Keys are text, as they are written.
    texts
        Columns that stay text, whatever their cells look like.

    Raises
    ------
    DocumentError
        No header, a row with more or fewer cells, an empty or repeated key; names the row.
    """
    import pyarrow as pa

    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            lines = list(csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise DocumentError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if not lines or not any(lines[0]):
        raise DocumentError(f"{path}: empty; expected a header row whose first column is the key")
    header = tuple(name.strip() for name in lines[0])
    if len(set(header)) != len(header) or not all(header):
        raise DocumentError(f"{path}: the header has empty or repeated names: {', '.join(header)}")
    numbered = [(number, cells) for number, cells in enumerate(lines[1:], start=2) if cells]
    for number, cells in numbered:
        if len(cells) != len(header):
            raise DocumentError(
                f"{path}, row {number}: {len(cells)} cells where the header has {len(header)}"
            )
    columns = {
        name: [row[position] or None for _, row in numbered] for position, name in enumerate(header)
    }
    names = tuple(key) or header[:1]
    forms: dict[str, Kind] = {}
    for name, column in columns.items():
        if name in names or name in texts:
            forms[name] = "string"
        elif any(cell is not None for cell in column):
            forms[name] = kind_of(column)
    table = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    return checked(Incoming(str(path), names, table, forms, [n for n, _ in numbered]))


def kind_of(cells: Iterable[str | None]) -> Kind:
    """Return the narrowest type of all cells that are not null; text when there are none."""
    values = {cell for cell in cells if cell is not None}
    for kind, pattern in _PATTERNS.items():
        if values and all(map(pattern.fullmatch, values)) and _readable(values, kind):
            return kind
    return "string"


def _readable(values: Iterable[str], kind: Kind) -> bool:
    if kind != "date":
        return True
    try:
        for value in values:
            date.fromisoformat(value)
    except ValueError:  # the 30th of February
        return False
    return True
