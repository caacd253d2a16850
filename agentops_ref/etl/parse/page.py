"""What stands where on a PDF page: words, lines, ruled tables and drawings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentops_ref.etl.parse.bidi import in_order
from agentops_ref.etl.parse.common import SOFT_HYPHEN, clean, page_box
from agentops_ref.records import PageBox


@dataclass(frozen=True, slots=True)
class Word:
    """A word; coordinates in points from the page's top left corner."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    """Font size in points."""
    font: str


@dataclass(frozen=True, slots=True)
class Box:
    """An area of the page, in points."""

    x0: float
    top: float
    x1: float
    bottom: float

    def holds(self, word: Word) -> bool:
        x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2
        return self.x0 - 2 <= x <= self.x1 + 2 and self.top - 2 <= y <= self.bottom + 2

    @classmethod
    def around(cls, things: Iterable[Word | Box]) -> Box:
        """The smallest area that holds all of at least one thing."""
        x0, top, x1, bottom = zip(*((t.x0, t.top, t.x1, t.bottom) for t in things), strict=True)
        return cls(min(x0), min(top), max(x1), max(bottom))

    def near(self, other: Box, distance: float) -> bool:
        return (
            self.x0 - distance <= other.x1
            and other.x0 - distance <= self.x1
            and self.top - distance <= other.bottom
            and other.top - distance <= self.bottom
        )

    def on(self, page: Any) -> PageBox | None:
        """As shares of a pdfplumber page as it is shown: turned, and cut to its crop box."""
        x0, y0, x1, y1 = page.page_obj.mediabox
        a0, b0, a1, b1 = page.page_obj.cropbox
        cut = [max(0.0, n) for n in (a0 - x0, y1 - b1, x1 - a1, b0 - y0)]  # left, top, right, ...
        turns = page.rotation // 90
        cut = cut[-turns:] + cut[:-turns]
        left, top, right, bottom = page.bbox
        left, top, right, bottom = left + cut[0], top + cut[1], right - cut[2], bottom - cut[3]
        width, height = right - left, bottom - top
        if width <= 0 or height <= 0:  # a crop box without area: nothing is shown
            return None
        return page_box(
            (self.x0 - left) / width,
            (self.top - top) / height,
            (self.x1 - left) / width,
            (self.bottom - top) / height,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """Words on one baseline, left to right."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """As it is read; a soft hyphen at its end is kept for `join_lines`."""
        read = " ".join(text for _, text in in_order([word.text for word in self.words]))
        return clean(read) + (SOFT_HYPHEN if read.endswith(SOFT_HYPHEN) else "")

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def x1(self) -> float:
        return self.words[-1].x1

    @property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)

    @property
    def size(self) -> float:
        return max(word.size for word in self.words)

    @property
    def bold(self) -> bool:
        return all(
            any(mark in word.font for mark in ("Bold", "Black", "Heavy", "Semibold"))
            for word in self.words
        )

    @property
    def italic(self) -> bool:
        return all("Italic" in word.font or "Oblique" in word.font for word in self.words)

    @property
    def phrases(self) -> list[str]:
        """The line cut where a wide gap separates two labels."""
        parts = [[self.words[0]]]
        for word in self.words[1:]:
            if word.x0 - parts[-1][-1].x1 > 0.8 * word.size:
                parts.append([])
            parts[-1].append(word)
        return [Line(tuple(part)).text.rstrip(SOFT_HYPHEN) for part in parts]


@dataclass(frozen=True, slots=True)
class Table:
    """A ruled table: where it stands and its cells, the header row first."""

    box: Box
    rows: Sequence[Sequence[str | None]]
    """A merged cell is repeated in each row and column that it spans."""
    columns: tuple[float, ...] = ()
    """Left edges of the columns."""
    is_headed: bool = False
    """Whether the first row is set bold."""

    def goes_on_in(self, other: Table) -> bool:
        """Whether ``other``, the first thing overleaf, has this one's columns and no header."""
        alike = len(self.columns) == len(other.columns) and all(
            abs(a - b) < 2 for a, b in zip(self.columns, other.columns, strict=True)
        )
        return alike and self.is_headed and not other.is_headed


UNREADABLE = "\ufffd"
"""Stands for a letter of a font that does not say which one it is."""
_CODE = re.compile(r"\(cid:(\d+)\)")
_BULLETS = {127, 129, 141, 143, 144, 157}
"""Codes that are undefined in WinAnsiEncoding and, by the PDF standard, drawn as bullets."""
STROKES = 3
"""A drawing has at least so many; fewer are rules and frames."""


def words_of(page: Any) -> list[Word]:
    """The words of a page, each of one font and size."""
    return [
        Word(
            text=_drawn(word["text"]),
            x0=word["x0"],
            x1=word["x1"],
            top=word["top"],
            bottom=word["bottom"],
            size=word["size"],
            font=word["fontname"],
        )
        for word in page.extract_words(
            x_tolerance_ratio=0.15, keep_blank_chars=False, extra_attrs=["fontname", "size"]
        )
    ]


def _drawn(text: str) -> str:
    """Codes without a letter as what they stand for; a hyphen that is seen is no soft one."""
    if "(cid:" in text:
        text = _CODE.sub(lambda found: "•" if int(found[1]) in _BULLETS else UNREADABLE, text)
    return re.sub(f"{SOFT_HYPHEN}(?=.)", "-", text)


def lines_of(words: list[Word]) -> list[Line]:
    """Words -> lines, top to bottom; words belong together when their heights overlap by half."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda word: (word.top, word.x0)):
        middle = (word.top + word.bottom) / 2
        for row in rows[-3:]:
            if row[0].top < middle < row[0].bottom:
                row.append(word)
                break
        else:
            rows.append([word])
    return [Line(tuple(sorted(row, key=lambda word: word.x0))) for row in rows]


def grid_of(table: Any) -> list[list[Box | None]]:
    """The cells of a pdfplumber table in rows and columns, a merged one in each that it spans."""
    lefts = sorted({cell[0] for cell in table.cells})
    grid: list[list[Box | None]] = []
    for row in table.rows:
        own = [cell for cell in row.cells if cell]
        y = min((cell[1] for cell in own), default=row.bbox[1]) + 1
        covering = [cell for cell in table.cells if cell[1] <= y <= cell[3]]
        grid.append([])
        for x, cell in zip(lefts, row.cells, strict=False):
            found = cell or next((c for c in covering if c[0] <= x + 1 <= c[2]), None)
            grid[-1].append(Box(*map(float, found)) if found else None)
    return grid


def tables_of(page: Any, words: list[Word]) -> list[Table]:
    """Ruled tables with at least two rows and two columns."""
    found = []
    for table in page.find_tables():
        rows = table.extract(x_tolerance_ratio=0.15)
        if len(rows) < 2 or max(map(len, rows)) < 2:
            continue
        cells = [cell for row in rows for cell in row]
        if sum(1 for cell in cells if cell and cell.strip()) < 0.4 * len(cells):
            continue
        grid = grid_of(table)
        texts: dict[Box | None, str | None] = {}
        for boxes, row in zip(grid, rows, strict=True):
            for box, text in zip(boxes, row, strict=False):
                texts.setdefault(box, text)
        top = [w for box in grid[0] if box for w in words if box.holds(w)]
        found.append(
            Table(
                box=Box(*map(float, table.bbox)),
                rows=[[texts[box] if box else None for box in boxes] for boxes in grid],
                columns=tuple(sorted({float(cell[0]) for cell in table.cells})),
                is_headed=bool(top) and Line(tuple(top)).bold,
            )
        )
    return found


def figures(page: Any, words: list[Word], tables: list[Table]) -> list[Box]:
    """Pictures, and areas where at least three strokes stand close together, outside the tables."""
    groups: list[tuple[Box, int]] = []
    strokes_and_pictures = [
        *((_box(item), 1) for item in (*page.rects, *page.curves, *page.lines)),
        *((box, STROKES) for box in map(_box, page.images) if not _is_backdrop(box, page, words)),
    ]
    for box, count in strokes_and_pictures:
        is_rule = box.x1 - box.x0 > 0.6 * float(page.width) and box.bottom - box.top < 3
        if is_rule or any(table.box.near(box, 2) for table in tables):
            continue
        apart = []
        for other, strokes in groups:
            if other.near(box, 12):
                box, count = Box.around((box, other)), count + strokes
            else:
                apart.append((other, strokes))
        groups = [*apart, (box, count)]
    return [
        box
        for box, count in groups
        if count >= STROKES and box.x1 - box.x0 > 40 and box.bottom - box.top > 25
    ]


def labels_of(words: list[Word], figure: Box) -> str:
    """What is printed in a figure, each label once, separated by "; "."""
    lines = lines_of([word for word in words if figure.holds(word)])
    return "; ".join(dict.fromkeys(label for line in lines for label in line.phrases))


def _box(item: Any) -> Box:
    return Box(item["x0"], item["top"], item["x1"], item["bottom"])


def _is_backdrop(box: Box, page: Any, words: list[Word]) -> bool:
    """Whether a picture lies behind the text, which then is no label of it."""
    area = (box.x1 - box.x0) * (box.bottom - box.top)
    return area > 0.5 * float(page.width * page.height) or sum(map(box.holds, words)) > 30
