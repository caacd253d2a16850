"""PDF: text and ruled tables with their pages; a page that is only a picture goes to OCR."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import DocumentError
from agentops_ref.etl.parse.archive import check_streams
from agentops_ref.etl.parse.bidi import in_order
from agentops_ref.etl.parse.bitmaps import looked_at
from agentops_ref.etl.parse.columns import bands_of, in_columns, order_of, place
from agentops_ref.etl.parse.common import BULLET, NUMBERED, element, join_lines, table_text
from agentops_ref.etl.parse.figure import sight_of
from agentops_ref.etl.parse.page import (
    UNREADABLE,
    Box,
    Line,
    Table,
    Word,
    figures,
    labels_of,
    lines_of,
    tables_of,
    words_of,
)
from agentops_ref.etl.parse.scan import elements_of_scan
from agentops_ref.etl.parse.turned import readable
from agentops_ref.records import Element, ElementKind

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr

RENDER_SCALE = 2.0
"""Pixels per point of a page that goes to OCR: 144 dots per inch."""
MAX_PIXELS = 20_000_000
"""Of a rendered page, some A1; a larger one is rendered coarser, or it would fill the memory."""
MARGIN = 0.085
"""Share of the page's height, above and below, where running headers and footers stand."""
_PAGE_NUMBER = re.compile(
    r"^(page|seite|side|sida)?\s*\d+\s*((of|/|von|av)\s*\d+)?$", re.IGNORECASE
)
_CAPTION = re.compile(r"^(figure|fig\.|table)\s*\d+\b", re.IGNORECASE)
PDFIUM = threading.Lock()
"""PDFium may not be entered by two threads at once."""


def parse_pdf(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """Elements of all pages; running headers and footers are left out."""
    check_streams(name, data)
    sight = sight_of(ocr)
    found: list[Element] = []
    with readable(name, data) as turned:
        pages = []
        for page in turned.document.pages:
            words = words_of(page)
            tables = tables_of(page, words)
            pages.append((page, words, tables))
        sizes = Counter(round(word.size, 1) for _, words, _ in pages for word in words)
        body = sizes.most_common(1)[0][0] if sizes else 0.0
        furniture = _furniture([(page.height, lines_of(words)) for page, words, _ in pages])
        vocabulary = Counter(word.text.lower() for _, words, _ in pages for word in words)
        above: Table | None = None  # at the foot of the page before
        for page, words, tables in pages:
            last, above = above, None
            if is_picture(page, words):
                image, size = render(data, page.page_number)
                found += elements_of_scan(ocr.read(image), page=page.page_number, size=size)
            else:
                made = list(_page(page, words, tables, body, furniture, vocabulary))
                made = list(looked_at(made, page, data, turned, sight))
                tables = sorted(tables, key=lambda table: table.box.top)
                if last and made and made[0].kind == "table" and last.goes_on_in(tables[0]):
                    header = next(item for item in reversed(found) if item.kind == "table")
                    top = header.text.split("\n")[0]
                    made[0] = replace(made[0], text=f"{top}\n{made[0].text}")
                if made and made[-1].kind == "table":
                    above = tables[-1]
                found += made
            page.close()
        found = [replace(item, box=turned.back(item.page, item.box)) for item in found]
    return _joined(found)


def opened(name: str, data: bytes) -> Any:
    """A pdfplumber document; a `DocumentError` if it has a password."""
    import pdfplumber
    from pdfminer.pdfdocument import PDFEncryptionError
    from pdfplumber.utils.exceptions import PdfminerException

    try:
        return pdfplumber.open(io.BytesIO(data))
    except PdfminerException as error:
        if error.args and isinstance(error.args[0], PDFEncryptionError):
            raise DocumentError(f"{name}: encrypted: save it without a password") from error
        raise


def is_picture(page: Any, words: list[Word]) -> bool:
    """Whether the page has next to no text layer, but a picture over half of it.

    Also one whose letters are mostly unreadable: its fonts do not say which they are.
    """
    letters = "".join(word.text for word in words)
    if letters.count(UNREADABLE) > 0.3 * len(letters):
        return True
    if sum(len(word.text) for word in words) >= 40:
        return False
    area = float(page.width * page.height)
    return any(
        (image["x1"] - image["x0"]) * (image["bottom"] - image["top"]) > 0.5 * area
        for image in page.images
    )


def render(data: bytes, number: int) -> tuple[bytes, tuple[int, int]]:
    """The page with that number, from 1, as PNG, and its width and height in pixels."""
    import pypdfium2

    with PDFIUM:
        document = pypdfium2.PdfDocument(data)
        try:
            page = document[number - 1]
            width, height = page.get_size()
            scale = min(RENDER_SCALE, (MAX_PIXELS / (width * height)) ** 0.5)
            image = page.render(scale=scale).to_pil().convert("RGB")
        finally:
            document.close()
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), image.size


def texts_of_pages(data: bytes) -> list[str]:
    """Each page's text layer as PDFium reads it: fast, without structure."""
    import pypdfium2

    with PDFIUM:
        document = pypdfium2.PdfDocument(data)
        try:
            return [page.get_textpage().get_text_bounded() for page in document]
        finally:
            document.close()


def _furniture(pages: list[tuple[float, list[Line]]]) -> set[str]:
    """Texts, digits masked, that stand in the margins of at least half the pages."""
    counts: Counter[str] = Counter()
    for height, lines in pages:
        counts.update({_masked(line) for line in lines if _in_margin(line, height)})
    return {text for text, count in counts.items() if count >= max(2, len(pages) / 2)}


def _masked(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text)


def _in_margin(line: Line | Box, height: float) -> bool:
    return line.bottom < MARGIN * height or line.top > (1 - MARGIN) * height


def _is_furniture(line: Line, height: float, body: float, furniture: set[str]) -> bool:
    """Repeated, a page number, or set smaller than the text (on a page that stands alone)."""
    small = line.size < 0.95 * body and not _CAPTION.match(line.text)  # a figure can end a page
    return _in_margin(line, height) and (
        _masked(line) in furniture or bool(_PAGE_NUMBER.match(line.text)) or small
    )


def _page(
    page: Any,
    words: list[Word],
    tables: list[Table],
    body: float,
    furniture: set[str],
    vocabulary: Counter[str],
) -> Iterator[Element]:
    number, height = page.page_number, float(page.height)
    drawings = [
        box
        for box in figures(page, words, tables)
        if any(map(box.holds, words)) or not _in_margin(box, height)  # no logo of the letterhead
    ]
    boxes = [table.box for table in tables] + drawings
    free = [word for word in words if not any(box.holds(word) for box in boxes)]
    lines = [line for line in lines_of(free) if not _is_furniture(line, height, body, furniture)]
    kept = [word for line in lines for word in line.words]
    bands = bands_of(kept, boxes)
    lines = in_columns(kept, bands)
    # Everything in reading order: paragraphs are cut where a table or figure stands between.
    stops = [(order_of(box, bands), index) for index, box in enumerate(boxes)]
    run: list[Line] = []
    things: list[tuple[tuple[float, int, float], Line | int]] = [
        (order_of(x, bands), x) for x in lines
    ]
    for _, thing in sorted([*things, *stops], key=lambda item: item[0]):
        if isinstance(thing, Line):
            if run and place(thing, bands) != place(run[-1], bands):
                yield from _text(run, body, page, before_table=False)
                run = []
            run.append(thing)
            continue
        yield from _text(run, body, page, before_table=thing < len(tables))
        run = []
        box = boxes[thing].on(page)
        if thing < len(tables):
            rows = [[_cell(cell, vocabulary) for cell in row] for row in tables[thing].rows]
            yield from element("table", table_text(rows), page=number, box=box)
        else:
            yield from element("figure", labels_of(words, boxes[thing]), page=number, box=box)
    yield from _text(run, body, page, before_table=False)


def _cell(text: str | None, vocabulary: Counter[str]) -> str:
    """A cell's lines joined; a word that a narrow column broke is one word again."""
    lines = [" ".join(w for _, w in in_order(line.split())) for line in (text or "").split("\n")]
    joined = lines[0]
    for line in lines[1:]:
        left, right = joined.rsplit(" ", 1)[-1], line.split(" ", 1)[0]
        whole = (left + right).lower()
        broken = (
            left.isalpha()
            and right.isalpha()
            and right.islower()
            and (vocabulary[whole] > 0 or vocabulary[whole + "s"] > 0)
        )
        joined = joined + line if broken else join_lines([joined, line])
    return joined


def _text(lines: list[Line], body: float, page: Any, *, before_table: bool) -> Iterator[Element]:
    """Lines -> titles, captions, list items and paragraphs."""
    if not lines:
        return
    pitches = [
        below.top - above.top
        for above, below in pairwise(lines)
        if abs(below.size - above.size) < 0.3 and below.top - above.top < 2 * body
    ]
    pitch = min(median(pitches), 1.45 * body) if pitches else 1.3 * body
    groups: list[tuple[str, list[Line]]] = []
    for line in lines:
        kind = _kind(line, body)
        if groups:
            before, group = groups[-1]
            last = group[-1]
            close = line.top - last.top < 1.25 * max(pitch, 1.3 * line.size)
            goes_on = kind == before or (before == "list" and kind == "text")
            alike = abs(line.size - last.size) < 0.3
            starts = kind == "list" or bool(_CAPTION.match(line.text))
            indented = before != "list" or line.x0 > group[0].x0 - 1
            if close and goes_on and alike and not starts and indented:
                group.append(line)
                continue
        groups.append((kind, [line]))
    for index, (kind, group) in enumerate(groups):
        text = join_lines([line.text for line in group])
        last_one = index == len(groups) - 1
        names_table = before_table and len(text) < 80 and not text.endswith((".", ":"))
        small = all(line.italic or line.size < 0.95 * body for line in group)
        named: ElementKind = "text"
        if kind == "list":
            named, text = "list", BULLET.sub("", text)
        elif kind == "title":
            named = "title"
        elif _CAPTION.match(text) or (small and len(text) < 120) or (names_table and last_one):
            named = "caption"
        box = Box.around(word for line in group for word in line.words).on(page)
        yield from element(named, text, page=page.page_number, box=box)


def _kind(line: Line, body: float) -> str:
    if BULLET.match(line.text) or (NUMBERED.match(line.text) and not line.bold):
        return "list"
    larger = line.size > 1.08 * body
    if (larger or (line.bold and line.size > 0.95 * body)) and len(line.text) < 120:
        return "title"
    return "text"


def _is_next_column(last: Element, item: Element) -> bool:
    if last.box is None or item.box is None:
        return False
    return item.box[0] >= last.box[2] and item.box[1] < last.box[3]


def _joined(elements: list[Element]) -> list[Element]:
    """A paragraph that a page or column break cut is one again, where it begins."""
    joined: list[Element] = []
    for item in elements:
        at = next((n for n in reversed(range(len(joined))) if joined[n].text), None)
        last = None if at is None else joined[at]
        if (
            at is not None
            and last is not None
            and last.kind == item.kind == "text"
            and (last.page != item.page or _is_next_column(last, item))
            and last.confidence is None
            and not last.text.endswith((".", ":", "!", "?", ";"))
            and item.text[:1].islower()
        ):
            joined[at] = replace(last, text=join_lines([last.text, item.text]))
        else:
            joined.append(item)
    return joined
