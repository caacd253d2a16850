"""How well documents are parsed, against what they are known to print. Taught in chapter 4.

Every figure is a count out of a count, so that documents can be added up::

    printed (the truth) + read (what a parser gave back) → measure → Quality

Texts are compared by their letters and digits in NFC, without case: how a parser writes spaces,
quotes, bullets or the bars between cells is its own affair.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agentops_ref.records import Element

if TYPE_CHECKING:
    from agentops_ref.apps.fjordvarm.printed import Printed
    from agentops_ref.etl.stages import Parse

Rows = Sequence[Sequence[str]]
_WORD = re.compile(r"\w+")


class Read(NamedTuple):
    """What a parser gave back for one document."""

    text: str
    """Everything that it read, in its order, the tables included."""
    tables: Sequence[Rows]
    """Rows of cells; empty where the parser knows no tables."""


@dataclass(frozen=True, slots=True)
class Share:
    """``of`` things, of which ``right`` are right."""

    right: int = 0
    of: int = 0

    @property
    def value(self) -> float | None:
        """0..1; None when there was nothing to be right about."""
        return self.right / self.of if self.of else None

    def __add__(self, other: Share) -> Share:
        return Share(self.right + other.right, self.of + other.of)


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one document, or of several together (``sum(..., Quality())``)."""

    words: Share = Share()
    """Text recall: words that were printed, as often as they were, of which read."""
    surplus: Share = Share()
    """Words that were read, of which not printed in the body: page headers, things read twice."""
    cells: Share = Share()
    """Cells below a header, or values beside a label, of which read in their row and column."""
    order: Share = Share()
    """Neighbouring pieces, of which both read in one piece, and the second one after the first."""
    characters: Share = Share()
    """Letters and digits printed, of which wrong: the edit distance to what was read."""

    def __add__(self, other: Quality) -> Quality:
        return Quality(
            *(Share(*a) + Share(*b) for a, b in zip(*map(astuple, (self, other)), strict=True))
        )


def measure(pieces: Sequence[str], tables: Sequence[Rows], read: Read) -> Quality:
    """Compare a document's pieces and tables, in reading order, with what a parser read.

    A piece is a title, paragraph, list item, caption or table row, the cells of a row separated by
    " | ". A table's header comes first; where its cells are empty, rows are a label and its value.
    """
    wanted, got = _words(" ".join(pieces)), _words(read.text)
    printed, stream = _folded("".join(pieces)), _folded(read.text)
    return Quality(
        words=Share((wanted & got).total(), wanted.total()),
        surplus=Share((got - wanted).total(), got.total()),
        cells=_cells(tables, read),
        order=_order([folded for piece in pieces if (folded := _folded(piece))], stream),
        characters=Share(_distance(printed, stream), len(printed)),
    )


def read_of(elements: Iterable[Element]) -> Read:
    """Return what our own parser gave back."""
    items = list(elements)
    return Read(
        "\n".join(item.text for item in items),
        [
            [[cell.strip() for cell in row.split("|")] for row in item.text.split("\n")]
            for item in items
            if item.kind == "table"
        ],
    )


def quality_by_kind(
    documents: Iterable[Printed], root: Path, *, parse: Parse
) -> dict[str, Quality]:
    """Parse documents below a corpus version's folder and add up the figures of each kind.

    ``parse`` is called with a document's name and bytes: `Stages.parse`, which knows what was
    parsed before, or a parser of one's own.

    Raises
    ------
    DocumentError
        A document cannot be parsed.
    """
    return _quality_by(lambda one, _: one.kind, documents, root, parse)


def quality_by_format(
    documents: Iterable[Printed], root: Path, *, parse: Parse
) -> dict[str, Quality]:
    """The same, for each file ending; a scanned PDF is another format ("pdf, scanned").

    ``characters`` tells something of images and scans only: elsewhere a document shows more than
    its body, such as a mail's headers, and all of that counts as wrong letters.

    Raises
    ------
    DocumentError
        A document cannot be parsed.
    """

    def name(one: Printed, elements: Sequence[Element]) -> str:
        ending = one.path.rsplit(".", 1)[-1]
        scanned = ending == "pdf" and all(item.confidence is not None for item in elements)
        return f"{ending}, scanned" if scanned else ending

    return dict(sorted(_quality_by(name, documents, root, parse).items()))


def _quality_by(
    name: Callable[[Printed, Sequence[Element]], str],
    documents: Iterable[Printed],
    root: Path,
    parse: Parse,
) -> dict[str, Quality]:
    total: dict[str, Quality] = {}
    for one in documents:
        elements = parse(one.path, (root / one.path).read_bytes())
        group = name(one, elements)
        found = measure(one.pieces, one.tables, read_of(elements))
        total[group] = total.get(group, Quality()) + found
    return total


def tables_of_markdown(text: str) -> list[list[list[str]]]:
    """Return the pipe tables of a Markdown text: runs of lines with bars at both ends."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        row = line.strip()
        is_row = len(row) > 1 and row.startswith("|") and row.endswith("|")
        if is_row:
            if not inside:
                found.append([])
            cells = [cell.strip() for cell in row[1:-1].split("|")]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                found[-1].append(cells)
        inside = is_row
    return [table for table in found if table]


def _folded(text: str) -> str:
    normal = unicodedata.normalize("NFC", text).casefold()
    return "".join(character for character in normal if character.isalnum())


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def _cells(tables: Sequence[Rows], read: Read) -> Share:
    """A cell is right in the row that begins as its own does and below its own header."""
    places = {
        (_folded(row[0]), _folded(name), _folded(cell))
        for header, *rows in read.tables
        for row in rows
        for name, cell in zip(header, row, strict=False)
    }
    lines = {_folded(line) for line in read.text.splitlines()}
    right = of = 0
    for header, *rows in tables:
        for row in rows:
            if any(header):
                of += len(row)
                right += sum(
                    (_folded(row[0]), _folded(name), _folded(cell)) in places
                    for name, cell in zip(header, row, strict=True)
                )
            else:
                of += 1
                right += _folded("".join(row)) in lines
    return Share(right, of)


def _order(pieces: Sequence[str], stream: str) -> Share:
    """Where a text occurs several times, any of its places may be the one that is meant."""
    right = 0
    for first, second in pairwise(pieces):
        start, end = stream.find(first), stream.rfind(second)
        right += start >= 0 and start + len(first) <= end
    return Share(right, max(0, len(pieces) - 1))


def _distance(printed: str, stream: str) -> int:
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(printed, stream))
