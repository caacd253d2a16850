"""A CSV file as a typed table: the types that all its cells agree on. Taught in chapter 4."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from agentops_ref.errors import DocumentError

Kind = Literal["int", "float", "bool", "date", "string"]
Cell = int | float | bool | date | str | None
Row = tuple[Cell, ...]

_PATTERNS: Mapping[Kind, re.Pattern[str]] = {
    # A leading zero is part of a code, not of a number; it would be lost.
    "int": re.compile(r"-?(0|[1-9][0-9]{0,17})"),
    "float": re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?"),
    "bool": re.compile(r"true|false"),
    "date": re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])"),
}


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Cells as text; the first column is the key, an empty cell is null (None)."""

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str | None, ...]]
    """Key → all cells, the key included."""

    def kinds(self) -> dict[str, Kind]:
        """Return column → the narrowest type of all its cells; the key is always text."""
        found: dict[str, Kind] = {self.columns[0]: "string"}
        for position, name in enumerate(self.columns[1:], start=1):
            found[name] = kind_of(row[position] for row in self.rows.values())
        return found

    def typed(self, kinds: Mapping[str, Kind]) -> dict[str, Row]:
        """Return key → cells of the given types."""
        order = [kinds[name] for name in self.columns]
        return {
            key: tuple(_cell(cell, kind) for cell, kind in zip(row, order, strict=True))
            for key, row in self.rows.items()
        }


def read_csv(path: Path) -> CsvTable:
    """Read a CSV file with a header row.

    Raises
    ------
    DocumentError
        No header, a row with more or fewer cells, an empty or repeated key; names the line.
    """
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
    rows: dict[str, tuple[str | None, ...]] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise DocumentError(
                f"{path}, row {number}: {len(cells)} cells where the header has {len(header)}"
            )
        key = cells[0]
        if not key or key in rows:
            what = f"the key '{key}' is repeated" if key else "the key is empty"
            raise DocumentError(f"{path}, row {number}: {what}")
        rows[key] = tuple(cell or None for cell in cells)
    return CsvTable(header, rows)


def kind_of(cells: Iterable[str | None]) -> Kind:
    """Return the narrowest type of all cells that are not null; text when there are none."""
    values = {cell for cell in cells if cell is not None}
    for kind, pattern in _PATTERNS.items():
        if values and all(pattern.fullmatch(v) for v in values) and _readable(values, kind):
            return kind
    return "string"


def wider(old: Kind, new: Kind) -> Kind:
    """Return the type that holds the values of both."""
    if old == new:
        return old
    return "float" if {old, new} == {"int", "float"} else "string"


def _readable(values: Iterable[str], kind: Kind) -> bool:
    try:
        for value in values:
            _cell(value, kind)
    except ValueError:  # the 30th of February
        return False
    return True


def _cell(cell: str | None, kind: Kind) -> Cell:
    if cell is None or kind == "string":
        return cell
    if kind == "bool":
        return cell == "true"
    if kind == "date":
        return date.fromisoformat(cell)
    return int(cell) if kind == "int" else float(cell)
