"""Lines that an OCR engine found -> titles, "Label: value" lines and paragraphs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from agentops_ref.etl.parse.common import (
    CELL,
    around,
    clean,
    element,
    is_worded,
    join_lines,
    page_box,
)
from agentops_ref.records import Element, ElementKind, PageBox

if TYPE_CHECKING:
    from agentops_ref.etl.parse import OcrLine

MIN_CONFIDENCE = 0.3
"""Specks and stains that were read as letters score below; real text scores above 0.8."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A recognised line after the page's skew was turned back; lengths in pixels."""

    text: str
    confidence: float
    left: float
    right: float
    middle: float
    height: float
    area: PageBox | None
    """Upright around the line as it stands on the page, which may lie askew."""

    @property
    def pitch(self) -> float:
        """Pixels for each character."""
        return (self.right - self.left) / len(self.text)


def elements_of_scan(
    lines: Sequence[OcrLine], *, page: int | None = None, size: tuple[int, int] | None = None
) -> list[Element]:
    """Put recognised lines into reading order and give them structure.

    Cells beside each other become "Label: value"; three or more in several rows a table. A line
    that is markedly taller than the others is a title. Without ``size``, the image's width and
    height in pixels, elements have no box.
    """
    rows = rows_of_scan(lines, size)
    if not rows:
        return []
    cells = [cell for row in rows for cell in row]
    normal = median(cell.height for cell in cells)
    pitch = median(cell.pitch for cell in cells)
    found: list[Element] = []
    block: list[list[Cell]] = []
    previous = ""
    for row in rows:
        shape = _shape(row, normal, pitch)
        gap = row[0].middle - block[-1][0].middle if block else 0.0
        if block and (shape != previous or gap > 3.5 * normal):
            found += _block(previous, block, page)
            block = []
        block.append(row)
        previous = shape
    if block:
        found += _block(previous, block, page)
    return found


def _shape(row: list[Cell], normal: float, pitch: float) -> str:
    """A box's height depends on its letters: a slightly taller line must be wider set as well."""
    tallest = max(row, key=lambda cell: cell.height)
    is_large = len(row) < 3 and tallest.height > 1.25 * normal
    is_wide = len(row) == 1 and len(tallest.text) > 9 and tallest.pitch > 1.15 * pitch
    if is_large or (is_wide and tallest.height > 1.15 * normal):
        return "title"
    return {1: "text", 2: "fields"}.get(len(row), "table")


def _block(shape: str, rows: list[list[Cell]], page: int | None) -> list[Element]:
    cells = [cell for row in rows for cell in row]
    kind: ElementKind = "text"
    match shape:
        case "title":
            kind = "title"
            text = " ".join(cell.text for cell in cells)
        case "fields":
            text = "\n".join(f"{label.text.rstrip(' :')}: {value.text}" for label, value in rows)
        case "table" if len(rows) > 1:
            kind = "table"
            text = "\n".join(CELL.join(cell.text for cell in row) for row in rows)
        case "table":
            text = " ".join(cell.text for cell in cells)
        case _:
            text = "\n".join(_paragraphs([row[0] for row in rows]))
    confidence = round(fmean(cell.confidence for cell in cells), 3)
    box = around(cell.area for cell in cells)
    return list(element(kind, text, page=page, confidence=confidence, box=box))


def _paragraphs(lines: list[Cell]) -> list[str]:
    """Join lines that continue each other: close, aligned, and the first one runs to the edge."""
    edge = max(line.right for line in lines)
    groups: list[list[Cell]] = []
    for line in lines:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and line.middle - last.middle < 2.2 * last.height
            and abs(line.left - last.left) < 2 * last.height
            and last.right > line.left + 0.75 * (edge - line.left)
            and not last.text.endswith((".", ":"))
        ):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [join_lines([line.text for line in group]) for group in groups]


def _upright(lines: Sequence[OcrLine], size: tuple[int, int] | None) -> list[Cell]:
    """Boxes as upright cells: the page's skew, taken from the longer lines, is turned back."""
    usable = [
        line
        for line in lines
        if line.confidence >= MIN_CONFIDENCE and is_worded(line.text) and len(line.box) == 4
    ]
    angles = []
    for line in usable:
        (x0, y0), (x1, y1) = line.box[0], line.box[1]
        if x1 - x0 > 100:
            angles.append(math.atan2(y1 - y0, x1 - x0))
    angle = median(angles) if angles else 0.0
    cosine, sine = math.cos(-angle), math.sin(-angle)
    cells = []
    for line in usable:
        xs = [x * cosine - y * sine for x, y in line.box]
        ys = [x * sine + y * cosine for x, y in line.box]
        cells.append(
            Cell(
                text=clean(line.text),
                confidence=float(line.confidence),
                left=min(xs),
                right=max(xs),
                middle=fmean(ys),
                height=max(1.0, (ys[3] + ys[2] - ys[1] - ys[0]) / 2),
                area=_area(line.box, size),
            )
        )
    return cells


def _area(corners: Sequence[Sequence[float]], size: tuple[int, int] | None) -> PageBox | None:
    if size is None:
        return None
    (width, height), xs, ys = size, [x for x, _ in corners], [y for _, y in corners]
    return page_box(min(xs) / width, min(ys) / height, max(xs) / width, max(ys) / height)


def rows_of_scan(lines: Sequence[OcrLine], size: tuple[int, int] | None) -> list[list[Cell]]:
    """Cells beside each other, left to right, in rows from top to bottom."""
    rows: list[list[Cell]] = []
    for cell in sorted(_upright(lines, size), key=lambda cell: cell.middle):
        if rows:
            row = rows[-1]
            middle = fmean(other.middle for other in row)
            if abs(cell.middle - middle) < 0.5 * min(cell.height, row[0].height):
                row.append(cell)
                continue
        rows.append([cell])
    return [sorted(row, key=lambda cell: cell.left) for row in rows]
