"""Between the ``unstructured`` library and our records: its set-up and its elements."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from agentops_ref.etl.parse.common import BULLET, element, page_box, table_text
from agentops_ref.records import Element, ElementKind, PageBox

_KINDS: dict[str, ElementKind] = {
    "Title": "title",
    "ListItem": "list",
    "FigureCaption": "caption",
    "Image": "figure",
}
UNTOLD = [""]
"""For its ``languages``: none is asked for here, and to detect one takes longer than to read."""
_WITHIN: ContextVar[bool] = ContextVar("within no_guesses", default=False)
_DROPPED = {"Header", "Footer", "PageBreak", "PageNumber"}


@contextmanager
def no_guesses() -> Iterator[None]:
    """Spare unstructured its guesses meanwhile: they cost most of a page's time.

    It tells prose from headings by a spaCy model's parts of speech. `convert` takes a heading for
    one only where the format says so, and a splitter into sentences is all that is left to do.
    Whoever calls unstructured elsewhere in this process has its model as ever.
    """
    _set_up()
    token = _WITHIN.set(True)
    try:
        yield
    finally:
        _WITHIN.reset(token)


@cache
def _set_up() -> None:
    os.environ.setdefault("UNSTRUCTURED_DISABLE_NOTICE", "1")
    import spacy
    from unstructured.nlp import tokenize

    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    full = tokenize._get_nlp
    vars(tokenize)["_get_nlp"] = lambda: blank if _WITHIN.get() else full()


def rows_of_html(html: str) -> list[list[str]]:
    """The rows of the first table in a piece of HTML."""
    from lxml import html as parser  # type: ignore[import-untyped]

    root = parser.fromstring(html)
    return [
        [" ".join(cell.itertext()) for cell in row.iterchildren("td", "th")]
        for row in root.iter("tr")
    ]


def convert(items: Iterable[Any]) -> Iterator[Element]:
    """Unstructured's elements -> ours. A short text right before a table is its caption."""
    waiting: Element | None = None
    for item in items:
        if item.category in _DROPPED:
            continue
        page = item.metadata.page_number
        if item.category == "Table":
            html = item.metadata.text_as_html
            text = table_text(rows_of_html(html)) if html else item.text
            if waiting is not None:
                is_caption = len(waiting.text) <= 80 and not waiting.text.endswith((".", ":"))
                kind: ElementKind = "caption" if is_caption else waiting.kind
                yield Element(kind, waiting.text, waiting.page)
                waiting = None
            yield from element("table" if "\n" in text else "text", text, page=page)
            continue
        if waiting is not None:
            yield waiting
            waiting = None
        kind = _KINDS.get(item.category, "text")
        if kind == "title" and item.metadata.category_depth is None:
            kind = "text"  # only guessed from its words
        text = BULLET.sub("", item.text) if kind == "list" else item.text
        confidence = item.metadata.detection_class_prob if kind == "figure" else None
        place = _box(item.metadata.coordinates)
        for made in element(kind, text, page=page, confidence=confidence, box=place):
            if made.kind == "text":
                waiting = made
            else:
                yield made
    if waiting is not None:
        yield waiting


def _box(coordinates: Any) -> PageBox | None:
    if coordinates is None:
        return None
    width, height = coordinates.system.width, coordinates.system.height
    xs, ys = zip(*coordinates.points, strict=True)
    return page_box(min(xs) / width, min(ys) / height, max(xs) / width, max(ys) / height)
