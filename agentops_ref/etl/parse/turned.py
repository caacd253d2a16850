"""PDF pages whose text runs up, down or on its head: turned until it can be read."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from agentops_ref.records import PageBox

MOSTLY = 0.6
"""Share of a page's letters that run one way for the page to be turned; a table on its side."""
FEW = 20
"""Letters: fewer are a mark in the margin."""


class Turned(NamedTuple):
    """A document of which some pages were turned."""

    document: Any
    """A pdfplumber document whose pages can be read."""
    turns: Mapping[int, int]
    """Page → quarter turns clockwise that were added to it."""

    def back(self, page: int | None, box: PageBox | None) -> PageBox | None:
        """A box of a page that was turned → where that is on the page as it is shown."""
        return box if box is None or page is None else turned_back(box, self.turns.get(page, 0))


def turned_back(box: PageBox, quarters: int) -> PageBox:
    """Turn a box counterclockwise, together with its page."""
    for _ in range(quarters):
        left, top, right, bottom = box
        box = (top, round(1 - right, 4), bottom, round(1 - left, 4))
    return box


@contextmanager
def readable(name: str, data: bytes) -> Iterator[Turned]:
    """Open a PDF so that the text of each page runs from left to right.

    Raises what `pdf.opened` raises.
    """
    from agentops_ref.etl.parse.pdf import opened

    document = opened(name, data)
    try:
        turns = {page.page_number: n for page in document.pages if (n := _turns(page))}
        if turns:
            document.close()
            document = opened(name, _turned(data, turns))
        yield Turned(document, turns)
    finally:
        document.close()


def _turns(page: Any) -> int:
    """Quarter turns clockwise after which most of the page's letters stand upright."""
    ways = Counter(_way(char["matrix"]) for char in page.chars if char["text"].strip())
    if not ways:
        return 0
    (way, count), total = ways.most_common(1)[0], ways.total()
    return way if total >= FEW and count > MOSTLY * total else 0


def _way(matrix: tuple[float, ...]) -> int:
    along, up = matrix[0], matrix[1]
    if abs(along) >= abs(up):
        return 0 if along >= 0 else 2
    return 1 if up > 0 else 3


def _turned(data: bytes, turns: Mapping[int, int]) -> bytes:
    import pypdfium2

    from agentops_ref.etl.parse.pdf import PDFIUM

    with PDFIUM:
        document = pypdfium2.PdfDocument(data)
        try:
            for number, quarters in turns.items():
                page = document[number - 1]
                page.set_rotation((page.get_rotation() + 90 * quarters) % 360)
            buffer = io.BytesIO()
            document.save(buffer)
        finally:
            document.close()
    return buffer.getvalue()
