"""Excel workbooks, through openpyxl: unstructured loses which cells belong to one table."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import DocumentError
from agentops_ref.etl.parse.archive import check_archive
from agentops_ref.etl.parse.common import clean, element, table_text
from agentops_ref.records import Element

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr

MAX_CELLS = 2_000_000
"""Of one sheet, empty ones up to the last filled one of a row included."""
_DECIMALS = re.compile(r"\.(0+)")
_UNNAMED = re.compile(r"^(sheet|tabelle|blad|ark)\s*\d*$", re.IGNORECASE)


def parse_xlsx(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """A workbook: each visible sheet is a section, and the sheet's number is the page.

    Formulas give the value that was last computed and saved.
    """
    check_archive(name, data)
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    try:
        title = clean(book.properties.title or "")
        found = list(element("title", title, page=1))
        for number, sheet in enumerate(book.worksheets, 1):
            if sheet.sheet_state != "visible":
                continue
            blocks = list(_blocks(name, sheet))
            if blocks and not _UNNAMED.match(sheet.title):
                found += element("title", sheet.title, page=number)
            for block in blocks:
                found += _element(block, number, title)
    finally:
        book.close()
    return found


def _element(rows: list[list[str]], page: int, title: str) -> Iterator[Element]:
    if len(rows) > 1 and sum(1 for cell in rows[0] if cell) > 1:
        yield from element("table", table_text(rows), page=page)
        return
    for row in rows:
        text = clean(": ".join(cell for cell in row if cell))
        if text != title:
            yield from element("text", text, page=page)


def _blocks(name: str, sheet: Any) -> Iterator[list[list[str]]]:
    """Runs of rows without an empty row between them; a lone first line stands by itself."""
    block: list[list[str]] = []
    # A stray cell in the last corner makes a sheet 17 thousand million cells large, if each row is
    # filled up to the sheet's declared width.
    sheet.reset_dimensions()
    seen = 0
    for row in sheet.iter_rows():
        seen += max(1, len(row))
        if seen > MAX_CELLS:
            raise DocumentError(
                f"{name}: sheet '{sheet.title}' has more than {MAX_CELLS:,} cells: delete the "
                "empty rows and columns that are formatted, or split it"
            )
        cells = [_shown(cell) for cell in row]
        filled = sum(1 for cell in cells if cell)
        single = bool(block) and sum(1 for cell in block[-1] if cell) == 1
        if block and (not filled or (single and filled > 1)):
            yield block
            block = []
        if filled:
            block.append(cells)
    if block:
        yield block


def _shown(cell: Any) -> str:
    """A cell as its number format prints it, as far as decimals, percent and dates go."""
    value = cell.value
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime.datetime():
            return (
                value.date().isoformat()
                if value.time() == datetime.time.min
                else value.isoformat(" ")
            )
        case datetime.date() | datetime.time():
            return value.isoformat()
        case int() | float():
            pattern = str(cell.number_format or "General").split(";")[0]
            decimals = _DECIMALS.search(pattern)
            places = len(decimals.group(1)) if decimals else 0
            if "%" in pattern:
                return f"{value * 100:.{places}f} %"
            if decimals:
                return f"{value:.{places}f}"
            return str(int(value)) if float(value).is_integer() else f"{value:.10g}"
        case _:
            return clean(str(value))
