"""Markdown with marked facts -> blocks.

``[2.4 kg](#NL-8.refrigerant_charge_base)`` prints "2.4 kg" and records the fact; without a
subject (``(#torque_mains)``) the document's own subject is meant. ``{model}`` is replaced by a
value; ``@faults`` on a line of its own asks for a generated block; ``@include safety`` reads
``corpus/shared/safety.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from agentops_ref.apps.fjordvarm.model import (
    Block,
    Bullets,
    Heading,
    Mark,
    Paragraph,
    Table,
    row_text,
)
from agentops_ref.apps.fjordvarm.texts import read_source

UNITS = (
    "dB(A)",
    "kOhm",
    "MOhm",
    "l/min",
    "m3/h",
    "mm2",
    "months",
    "years",
    "days",
    "hours",
    "minutes",
    "seconds",
    "percent",
    "micron",
    "EUR",
    "bar",
    "mbar",
    "kPa",
    "kg",
    "kW",
    "Nm",
    "mm",
    "°C",
    "Hz",
    "VDC",
    "V",
    "A",
    "K",
    "g",
    "l",
    "m",
    "Pa",
)
_SPAN = re.compile(r"\[(?P<text>[^\]\[]+)\]\(#(?P<key>[^)]+)\)")
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")
_UNIT = re.compile(r"^(?P<value>.+?) (?P<unit>" + "|".join(map(re.escape, UNITS)) + r")$")

Generated = Callable[[str, str], list[Block]]


def split_unit(text: str) -> tuple[str, str | None]:
    """``'2.4 kg'`` -> ``('2.4', 'kg')``; text without a known unit stays whole."""
    match = _UNIT.match(text)
    return (match["value"], match["unit"]) if match else (text, None)


def strip_spans(text: str) -> str:
    """The text as printed."""
    return _SPAN.sub(lambda match: match["text"], text)


def _mark(match: re.Match[str], subject: str, printed: str) -> Mark:
    key = match["key"]
    # Subjects such as "NL-8 G2" hold no dot; only the last dot separates.
    owner, _, field = key.rpartition(".")
    value, unit = split_unit(match["text"])
    return Mark(owner or subject, field, value, unit, printed)


def _prose_marks(text: str, subject: str) -> tuple[Mark, ...]:
    found = []
    for sentence in _SENTENCE.split(text):
        printed = strip_spans(sentence)
        found += [_mark(match, subject, printed) for match in _SPAN.finditer(sentence)]
    return tuple(found)


def _table(caption: str, lines: list[str], subject: str) -> Table:
    raw = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines]
    rows = raw[:1] + raw[2:]
    printed = [tuple(strip_spans(cell) for cell in row) for row in rows]
    marks = tuple(
        _mark(match, subject, row_text(shown))
        for row, shown in zip(rows, printed, strict=True)
        for cell in row
        for match in _SPAN.finditer(cell)
    )
    return Table(caption, printed[0], tuple(printed[1:]), marks)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values into slots; an unknown slot is an error that names it."""

    def value(match: re.Match[str]) -> str:
        try:
            return values[match[1]]
        except KeyError:
            raise KeyError(f"no value for {{{match[1]}}} in {text[:60]!r}") from None

    return _SLOT.sub(value, text)


def blocks_of(
    body: str,
    *,
    subject: str,
    values: Mapping[str, str] | None = None,
    generated: Generated | None = None,
    shared: Path | None = None,
) -> tuple[Block, ...]:
    """Parse a body. A line ``Table: caption`` names the table that follows it."""
    out: list[Block] = []
    caption = ""
    for chunk in re.split(r"\n\s*\n", fill(body, values or {}).strip()):
        lines = chunk.strip("\n").split("\n")
        first = lines[0]
        if first.startswith("@include "):
            assert shared is not None
            text = read_source(shared / f"{first.split()[1]}.md").body
            out += blocks_of(
                text, subject=subject, values=values, generated=generated, shared=shared
            )
        elif first.startswith("@"):
            assert generated is not None
            name, _, argument = first[1:].partition(" ")
            out += generated(name, argument)
        elif first.startswith("#"):
            level = len(first) - len(first.lstrip("#"))
            out.append(Heading(max(1, level - 1), first.lstrip("# ")))
            if lines[1:]:
                out += blocks_of("\n".join(lines[1:]), subject=subject)
        elif first.startswith("Table: ") and len(lines) == 1:
            caption = first.removeprefix("Table: ")
        elif first.startswith("|"):
            out.append(_table(caption, lines, subject))
            caption = ""
        elif first.startswith("- "):
            joined = re.sub(r"\n(?!- )\s*", " ", "\n".join(lines)).split("\n")
            items = tuple(strip_spans(line.removeprefix("- ")) for line in joined)
            marks = tuple(m for line in joined for m in _prose_marks(line[2:], subject))
            out.append(Bullets(items, marks))
        else:
            text = " ".join(line.strip() for line in lines)
            out.append(Paragraph(strip_spans(text), _prose_marks(text, subject)))
    return tuple(out)
