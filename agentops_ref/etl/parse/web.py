"""HTML and Markdown, through unstructured; what a browser would not show never becomes text."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from agentops_ref.etl.parse.common import MAX_REPEATED, clean, decode, element
from agentops_ref.etl.parse.convert import UNTOLD, convert, no_guesses
from agentops_ref.etl.parse.figure import Sight, joined, sight_of
from agentops_ref.records import Element

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr

_UNSEEN = ("script", "style", "noscript", "template", "iframe", "object", "svg", "nav", "footer")
_CONTROLS = ("button", "input", "select", "textarea", "datalist", "dialog")
"""Things to press and fill in; a dialog is shown when a script opens it."""
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


def parse_html(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """A web page without its navigation, footer, scripts and hidden parts."""
    head = data[:2048].decode("latin-1")
    declared = re.search(r"charset=[\"']?([\w-]+)", head, re.IGNORECASE)
    text = decode(name, data, charset=declared.group(1) if declared else None)
    return elements_of_html(text, sight_of(ocr))


def parse_markdown(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """Markdown with tables; front matter is data about the text and left out."""
    from markdown_it import MarkdownIt

    source = _FRONT_MATTER.sub("", decode(name, data))
    return elements_of_html(MarkdownIt("commonmark").enable("table").render(source), sight_of(ocr))


def elements_of_html(text: str, sight: Sight | None = None) -> list[Element]:
    """HTML text -> elements; ``sight`` looks at the pictures that are in the text itself."""
    from lxml import etree, html  # type: ignore[import-untyped]
    from unstructured.partition.html import partition_html

    if not clean(text):
        return []
    root = html.document_fromstring(_DECLARATION.sub("", text))
    etree.strip_elements(root, *_UNSEEN, *_CONTROLS, etree.Comment, with_tail=False)
    for node in list(root.iter()):
        if _is_hidden(node):
            node.drop_tree()
    _rename(root)
    title = clean(root.findtext(".//title") or "")
    confidences = dict(_pictures(root, sight)) if sight is not None else {}
    captions = set(_captions(root))
    _unmerge(root)
    with no_guesses():
        items = partition_html(text=html.tostring(root, encoding="unicode"), languages=UNTOLD)
    found = [
        replace(item, kind="caption") if item.kind == "text" and item.text in captions else item
        for item in convert(items)
    ]
    found = [
        replace(item, confidence=confidences.get(item.text)) if item.kind == "figure" else item
        for item in found
    ]
    if title and not any(item.kind == "title" for item in found):
        found[:0] = element("title", title)
    return found


def _rename(root: Any) -> None:
    """Give what unstructured passes over with its contents a name that it reads."""
    for node in root.iter("form", "details", "header", "summary", "label"):
        inner = node.tag in ("summary", "label")
        # A page's own banner says the same on each page; an article's head holds its title.
        if node.tag != "header" or node.xpath(".//h1 | .//h2 | ancestor::article | ancestor::main"):
            node.tag = "p" if inner else "div"


def _is_hidden(node: Any) -> bool:
    style = re.sub(r"\s", "", node.get("style") or "").lower()
    return (
        node.get("hidden") is not None
        or node.get("aria-hidden") == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )


def _pictures(root: Any, sight: Sight) -> Iterator[tuple[str, float | None]]:
    """Put what is read in a picture behind its description; none is fetched from elsewhere."""
    for node in root.iter("img"):
        head, _, code = (node.get("src") or "").partition(";base64,")
        if not head.startswith("data:image/"):
            continue
        found = sight.look(partial(b64decode, code))
        if found.text:
            text = clean(joined(node.get("alt") or "", found.text))
            node.set("alt", text)
            yield text, found.confidence


def _captions(root: Any) -> Iterator[str]:
    """Make captions paragraphs and figures divisions, or unstructured leaves their contents out."""
    for node in root.xpath("//table/caption"):
        table = node.getparent()
        node.drop_tree()
        table.addprevious(node)
    for node in root.iter("caption", "figcaption"):
        node.tag = "p"
        yield clean(node.text_content())
    for node in root.iter("figure"):
        node.tag = "div"


def _unmerge(root: Any) -> None:
    """Repeat a cell in each row and column that it spans, so that every row stands by itself."""
    left = MAX_REPEATED
    for cell in root.xpath("//tr/*[@colspan or @rowspan]"):
        columns, rows = _span(cell, "colspan"), _span(cell, "rowspan")
        left -= (columns * rows - 1) * (len(cell.text_content()) + 10)
        if left < 0:
            return
        row = cell.getparent()
        at = row.index(cell)
        for _ in range(columns - 1):
            cell.addnext(deepcopy(cell))
        for below in list(row.itersiblings("tr"))[: rows - 1]:
            for _ in range(columns):
                below.insert(min(at, len(below)), deepcopy(cell))


def _span(cell: Any, name: str) -> int:
    """How far a cell reaches; browsers read up to 1,000 columns and 65,534 rows."""
    value = cell.get(name, "1")
    return min(1000, max(1, int(value))) if value.isdecimal() else 1
