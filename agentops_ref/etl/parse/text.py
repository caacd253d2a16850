"""Plain text and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agentops_ref.etl.parse.common import (
    BULLET,
    NUMBERED,
    clean,
    decode,
    element,
    join_lines,
    table_text,
)
from agentops_ref.records import Element

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr

_RULE = re.compile(r"^\s*([-=~_*])\1{2,}\s*$")
_SEPARATORS = ("\t", ";", " | ")


def parse_text(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """Plain text: underlined or capital headings, bullets, delimited tables, paragraphs."""
    return list(elements_of_text(decode(name, data)))


def parse_csv(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """A CSV file is one table; its delimiter is the one that its first lines agree on."""
    text = decode(name, data)
    sample = text[:4096]
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(sample, delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = list(csv.reader(io.StringIO(text), dialect))
    return list(element("table", table_text(rows)))


def elements_of_text(text: str, *, headings: bool = True) -> Iterator[Element]:
    """Blocks between empty lines -> elements; ``headings=False`` for running text such as mail."""
    lines = [line.rstrip() for line in text.split("\n")]
    width = max(map(len, lines), default=0)
    block: list[str] = []
    for index, line in enumerate([*lines, ""]):
        if _RULE.match(line):
            if headings and len(block) == 1:
                yield from element("title", block.pop())
            else:
                yield from _block(block, width, headings)
                block = []
        elif not line.strip():
            yield from _block(block, width, headings)
            block = []
        elif headings and index == 0 and _is_capital(line):
            yield from element("title", line)
        else:
            block.append(line)


def _is_capital(line: str) -> bool:
    return line.isupper() and 3 < len(line.strip()) <= 80


def _block(lines: list[str], width: int, headings: bool) -> Iterator[Element]:
    if not lines:
        return
    if headings and len(lines) == 1 and _is_capital(lines[0]):
        yield from element("title", lines[0])
        return
    rows = _table(lines)
    if rows:
        yield from element("table", table_text(rows))
        return
    run: list[str] = []
    bullet = False
    for line in lines:
        stripped = line.strip()
        starts = bool(BULLET.match(stripped) or NUMBERED.match(stripped))
        if starts or (bullet and not line.startswith((" ", "\t"))):
            yield from _paragraph(run, width, bullet)
            run, bullet = [], starts
        run.append(BULLET.sub("", stripped) if starts else stripped)
    yield from _paragraph(run, width, bullet)


def _paragraph(lines: list[str], width: int, bullet: bool) -> Iterator[Element]:
    """Join hard-wrapped lines; a line much shorter than the others ends where it ends."""
    printed: list[list[str]] = []
    wraps = False
    for line in lines:
        if wraps:
            printed[-1].append(clean(line))
        else:
            printed.append([clean(line)])
        wraps = bullet or len(line) > max(40, 0.6 * width)
    yield from element("list" if bullet else "text", "\n".join(map(join_lines, printed)))


def _table(lines: list[str]) -> list[list[str]]:
    """Rows, when at least two lines hold the same number of the same separator."""
    if len(lines) < 2:
        return []
    for separator in _SEPARATORS:
        counts = {line.count(separator) for line in lines}
        if len(counts) == 1 and counts.pop() > 0 and max(map(len, lines)) < 200:
            return [line.strip(" |").split(separator) for line in lines]
    return []
