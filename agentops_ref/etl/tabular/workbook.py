"""A sheet of an Excel workbook as a typed table. The header's row is told, not guessed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import DocumentError, nearest
from agentops_ref.etl.parse.archive import check_archive
from agentops_ref.etl.tabular.incoming import Incoming, checked
from agentops_ref.etl.tabular.kinds import column_of

if TYPE_CHECKING:
    from agentops_ref.etl.tabular.sources import TableSource

MAX_CELLS = 20_000_000
"""Of one sheet, empty ones included."""


def sheets(path: Path) -> tuple[str, ...]:
    """Return the names of a workbook's visible sheets."""
    with _opened(path) as book:
        return tuple(s.title for s in book.worksheets if s.sheet_state == "visible")


def read_sheet(path: Path, source: TableSource) -> Incoming:
    """Read one sheet. Cells have the types that Excel gave them; empty rows are left out.

    A formula gives the value that was last computed and saved. A column of dates without a time of
    day is of dates.

    Raises
    ------
    DocumentError
        Not a workbook, no such sheet, no header in its row, a cell beside the header, a formula
        without a saved value, an error such as #DIV/0!, mixed types in a column, a wrong key.
    """
    with _opened(path) as book:
        sheet = _sheet(path, book, source.sheet)
        where = f"{path}, sheet '{sheet.title}'"
        rows = list(_rows(where, sheet, source.header))
    if _has_formulas(path):
        with _opened(path, values=False) as book:
            written = _rows(where, _sheet(path, book, source.sheet), source.header)
            _check_formulas(where, rows, written)
    if not rows or not any(cell.value is not None for cell in rows[0][1]):
        raise DocumentError(
            f"{where}: no names of columns in row {source.header}; set `header` in the table's "
            "entry of etl.tables.sources to the row that has them"
        )
    names = _names(where, source.header, rows[0][1])
    columns: list[list[Any]] = [[] for _ in names]
    numbers: list[int] = []
    for number, cells in rows[1:]:
        values = [_value(where, cell) for cell in cells]
        if all(value is None for value in values):
            continue
        for position, value in enumerate(values[len(names) :], len(names)):
            if value is not None:
                raise DocumentError(
                    f"{where}, row {number}: {value!r} in column {position + 1}, which has no name "
                    f"in the header (row {source.header})"
                )
        numbers.append(number)
        for position, column in enumerate(columns):
            column.append(values[position] if position < len(values) else None)
    import pyarrow as pa

    wanted = set(source.columns) and {*source.columns, *(source.key or names[:1])}
    table = pa.table(
        {
            name: column_of(
                _dates(column),
                where=f"{where}, column '{name}'",
                text=name in source.texts,
                numbers=numbers,
            )
            for name, column in zip(names, columns, strict=True)
            if not wanted or name in wanted
        }
    )
    return checked(Incoming(where, source.key or names[:1], table, numbers=numbers))


@contextmanager
def _opened(path: Path, *, values: bool = True) -> Iterator[Any]:
    import io

    import openpyxl

    data = path.read_bytes()
    try:
        check_archive(str(path), data)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=values)
    except DocumentError:
        raise
    except Exception as error:  # openpyxl raises what its parts raise
        raise DocumentError(f"{path}: not a workbook that can be read ({error})") from error
    try:
        yield book
    finally:
        book.close()


def _sheet(path: Path, book: Any, name: str | None) -> Any:
    visible = [s for s in book.worksheets if s.sheet_state == "visible"]
    if name is not None:
        for sheet in book.worksheets:
            if sheet.title == name:
                return sheet
        known = [s.title for s in book.worksheets]
        raise DocumentError(f"{path}: no sheet '{name}'{nearest(name, known)}")
    if len(visible) != 1:
        raise DocumentError(
            f"{path}: {len(visible)} visible sheets ({', '.join(s.title for s in visible)}); name "
            "the `sheet` in the table's entry of etl.tables.sources"
        )
    return visible[0]


def _rows(where: str, sheet: Any, header: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    # Otherwise each row is filled up to the width that the sheet declares, whatever that is.
    sheet.reset_dimensions()
    seen = 0
    try:
        for number, cells in enumerate(sheet.iter_rows(min_row=header), header):
            seen += max(1, len(cells))
            if seen > MAX_CELLS:
                raise DocumentError(f"{where}: more than {MAX_CELLS:,} cells; split it")
            yield number, cells
    except (ValueError, KeyError, SyntaxError, zipfile.BadZipFile, EOFError) as error:
        raise DocumentError(f"{where}: cannot be read ({error})") from error


def _names(where: str, header: int, cells: tuple[Any, ...]) -> tuple[str, ...]:
    given = ["" if c.value is None else str(c.value).strip() for c in cells]
    while given and not given[-1]:
        given.pop()
    if not all(given) or len(set(given)) != len(given):
        raise DocumentError(
            f"{where}: the header (row {header}) has empty or repeated names: "
            f"{', '.join(given)[:200]}"
        )
    return tuple(given)


def _value(where: str, cell: Any) -> Any:
    value = cell.value
    if getattr(cell, "data_type", "") == "e":
        raise DocumentError(f"{where}, cell {cell.coordinate}: {value}; mend the formula")
    if isinstance(value, str):
        return value or None
    return value


def _dates(column: list[Any]) -> list[Any]:
    """Excel knows times only; when none of them has a time of day they are dates."""
    times = [v for v in column if isinstance(v, datetime)]
    if times and all(v.time() == time() for v in times):
        return [v.date() if isinstance(v, datetime) else v for v in column]
    return column


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.startswith("xl/worksheets/")]
        return any(b"<f" in archive.read(name) for name in names)


def _check_formulas(where: str, rows: list[Any], written: Iterator[Any]) -> None:
    for (_, cells), (_, formulas) in zip(rows, written, strict=False):
        for cell, formula in zip(cells, formulas, strict=False):
            if getattr(formula, "data_type", "") == "f" and cell.value is None:
                raise DocumentError(
                    f"{where}, cell {formula.coordinate}: a formula without a saved value; open "
                    "the file in a spreadsheet program, let it compute, and save"
                )
