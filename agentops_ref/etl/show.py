"""A cited page as a picture, with the quoted passage marked on it. Taught in chapter 3.

What is marked is what the parser read: the words of a PDF's text layer, or the lines that OCR found
on a scanned page or photo.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.errors import DocumentError
from agentops_ref.etl.parse.common import around
from agentops_ref.etl.parse.turned import turned_back
from agentops_ref.records import PageBox

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr

MARKER = (255, 222, 89)
"""Red, green and blue, multiplied with the page, so that what is printed stays legible."""
EDGE = (214, 93, 14)
IMAGES = (".png", ".jpg", ".jpeg")


MARGIN = 0.1
"""Share of a page's height in which the footer stands, below the last line of the text."""


class Shown(NamedTuple):
    """A page with its marks."""

    png: bytes
    boxes: tuple[PageBox, ...]
    """One for each printed line of the passage."""


class _Place(NamedTuple):
    """A word, a figure with its labels, or a line of a scan; its text is folded."""

    text: str
    box: PageBox


def show(name: str, data: bytes, *, page: int, quote: str, ocr: Ocr) -> Shown:
    """Draw the 1-based ``page`` of a PDF or image and mark ``quote`` on it.

    The quote is compared by its letters and digits alone, so that line breaks, hyphenation and the
    bars between a table's cells do not matter. A chunk's whole text will do: where it is not in one
    piece on the page, each of its lines is looked for, and those that are there are marked.

    Raises
    ------
    DocumentError
        The format has no pages to draw, the page does not exist, or nothing of the quote is on it.
    """
    if not _folded(quote):
        raise DocumentError(f"{name}: the quote '{quote}' has no letter or digit to look for")
    extension = PurePosixPath(name).suffix.lower()
    if extension == ".pdf":
        image, places, turns = _pdf_page(name, data, page, ocr)
    elif extension in IMAGES:
        image, places, turns = *_photo(name, data, page, ocr), 0
    else:
        raise DocumentError(
            f"{name}: only PDF, PNG and JPEG files have pages that can be drawn, not '{extension}'"
        )
    texts = _texts(extension, data)
    lines = _lines(_found(places, quote, overleaf="".join(texts[page : page + 1])))
    boxes = tuple(turned_back(line, turns) for line in lines)
    if not boxes:
        pages = [str(number) for number, text in enumerate(texts, 1) if _folded(quote) in text]
        hint = f"; page {', '.join(pages)} does" if pages else ""
        raise DocumentError(f"{name}: page {page} does not hold '{_short(quote)}'{hint}")
    return Shown(_marked(image, boxes), boxes)


# --- where the words are ------------------------------------------------------------------------


def _pdf_page(name: str, data: bytes, number: int, ocr: Ocr) -> tuple[bytes, list[_Place], int]:
    """The page as it is shown, and its places and by how many quarter turns it can be read."""
    from agentops_ref.etl.parse.bidi import in_order
    from agentops_ref.etl.parse.columns import bands_of, in_columns, order_of
    from agentops_ref.etl.parse.page import (
        Box,
        Line,
        figures,
        grid_of,
        labels_of,
        lines_of,
        tables_of,
        words_of,
    )
    from agentops_ref.etl.parse.pdf import is_picture, render
    from agentops_ref.etl.parse.turned import readable

    def read(line: Line) -> list[tuple[str, Box]]:
        return [
            (text, Box.around([line.words[at]]))
            for at, text in in_order([word.text for word in line.words])
        ]

    with readable(name, data) as turned:
        count = len(turned.document.pages)
        if not 1 <= number <= count:
            raise DocumentError(f"{name}: no page {number}; it has {count}, counted from 1")
        image, size = render(data, number)
        page = turned.document.pages[number - 1]
        words = words_of(page)
        if is_picture(page, words):
            return image, list(_places_of_scan(image, size, ocr)), 0
        # As they are parsed: a figure's labels together, a table cell by cell, not line by line.
        blocks: list[tuple[Box | Line, list[tuple[str, Box]]]] = []
        for figure in figures(page, words, tables_of(page, words)):
            blocks.append((figure, [(labels_of(words, figure), figure)]))
            words = [word for word in words if not figure.holds(word)]
        boxes = [box for box, _ in blocks if isinstance(box, Box)]
        for table in page.find_tables():
            inside: list[tuple[str, Box]] = []
            free = words
            for cell in (cell for row in grid_of(table) for cell in row if cell):
                held = [word for word in words if cell.holds(word)]
                inside += (item for line in lines_of(held) for item in read(line))
                free = [word for word in free if word not in held]
            words = free
            boxes.append(Box(*map(float, table.bbox)))
            blocks.append((boxes[-1], inside))
        bands = bands_of(words, boxes)
        blocks += ((line, read(line)) for line in in_columns(words, bands))
        blocks.sort(key=lambda block: order_of(block[0], bands))
        placed = [(text, box.on(page)) for _, block in blocks for text, box in block]
    places = [_Place(_folded(text), box) for text, box in placed if box is not None]
    return image, places, turned.turns.get(number, 0)


def _photo(name: str, data: bytes, number: int, ocr: Ocr) -> tuple[bytes, list[_Place]]:
    from agentops_ref.etl.parse.image import upright

    if number != 1:
        raise DocumentError(f"{name}: no page {number}; an image is page 1")
    image, size = upright(name, data)
    return image, list(_places_of_scan(image, size, ocr))


def _places_of_scan(image: bytes, size: tuple[int, int], ocr: Ocr) -> Iterator[_Place]:
    from agentops_ref.etl.parse.scan import rows_of_scan

    for row in rows_of_scan(ocr.read(image), size):
        for cell in row:
            if cell.area is not None:
                yield _Place(_folded(cell.text), cell.area)


# --- where the quote is -------------------------------------------------------------------------


def _folded(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _found(places: Sequence[_Place], quote: str, *, overleaf: str) -> Iterator[_Place]:
    """The places of the whole quote, else those of each of its lines that the page holds.

    Of a line that goes on ``overleaf``, those of its beginning.
    """
    stream = "".join(place.text for place in places)
    ends = list(accumulate(len(place.text) for place in places))
    whole = _folded(quote)
    pieces = [whole] if whole in stream else [_folded(line) for line in quote.splitlines()]
    seen = 0
    for piece in filter(None, pieces):
        # A table's header can stand on a page twice: the one below what was found before is meant.
        start = stream.find(piece, seen)
        if start < 0:
            start = stream.find(piece)
        if start < 0:
            cut = bisect_left(range(len(piece)), True, key=lambda n: piece[: n + 1] not in stream)
            start, below = stream.rfind(piece[:cut]), piece[cut:]
            piece = piece[:cut]
            after = [p for p, end in zip(places, ends, strict=True) if end > start + cut]
            is_last = all(place.box[1] > 1 - MARGIN for place in after)
            if not (cut and is_last and below in overleaf):
                continue
        seen = start + len(piece)
        for place, end in zip(places, ends, strict=True):
            if end > start and end - len(place.text) < seen:
                yield place


def _lines(found: Iterator[_Place]) -> Iterator[PageBox]:
    """Join places that follow one another on one printed line."""
    line: PageBox | None = None
    for _, box in found:
        if line is not None and line[1] < (box[1] + box[3]) / 2 < line[3]:
            line = around((line, box))
        else:
            if line is not None:
                yield line
            line = box
    if line is not None:
        yield line


def _texts(extension: str, data: bytes) -> list[str]:
    """The text layer of each page of a PDF, folded."""
    if extension != ".pdf":
        return []
    from agentops_ref.etl.parse.pdf import texts_of_pages

    return list(map(_folded, texts_of_pages(data)))


def _short(quote: str) -> str:
    flat = " ".join(quote.split())
    return flat if len(flat) <= 60 else f"{flat[:59]}…"


# --- drawing ------------------------------------------------------------------------------------


def _marked(image: bytes, boxes: Sequence[PageBox]) -> bytes:
    from PIL import Image, ImageChops, ImageDraw

    page: Any = Image.open(io.BytesIO(image)).convert("RGB")
    width, height = page.size
    areas = [(a * width - 3, b * height - 2, c * width + 3, d * height + 2) for a, b, c, d in boxes]
    marker = Image.new("RGB", page.size, "white")
    for area in areas:
        ImageDraw.Draw(marker).rectangle(area, fill=MARKER)
    page = ImageChops.multiply(page, marker)
    for area in areas:
        ImageDraw.Draw(page).rectangle(area, outline=EDGE, width=2)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()
