"""What the documents print, word for word and cell for cell: the truth that parsing is measured by.

It comes from the drafts, that is, from what the renderers are given to draw; no document is read
back. Left out is what a renderer adds around a draft: page headers and footers, the labels inside
drawings, the line with the date of issue that some formats print below the title.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agentops_ref.apps.fjordvarm.catalogue import load_catalogue
from agentops_ref.apps.fjordvarm.drafts import drafts
from agentops_ref.apps.fjordvarm.model import (
    Block,
    Bullets,
    Draft,
    Figure,
    Heading,
    Kind,
    Paragraph,
    Table,
)
from agentops_ref.apps.fjordvarm.texts import texts_dir


class Printed(NamedTuple):
    """One document's contents."""

    path: str
    """In the version's folder, with forward slashes."""
    kind: Kind
    pieces: tuple[str, ...]
    """In reading order: titles, paragraphs, list items, captions, and tables row by row.

    The cells of a row are separated by " | ".
    """
    tables: tuple[tuple[tuple[str, ...], ...], ...]
    """Rows of cells, the header row first; its cells are empty in a form of labels and values."""


def printed(version: int, *, texts: Path | None = None) -> tuple[Printed, ...]:
    """Return what every document of a corpus version prints, sorted by path."""
    folder = texts_dir(texts)
    return tuple(
        Printed(
            draft.path,
            draft.kind,
            tuple(piece for piece in _pieces(draft) if piece),
            tuple((b.header, *b.rows) for b in draft.blocks if isinstance(b, Table)),
        )
        for draft in drafts(load_catalogue(folder, version), folder)
    )


def _pieces(draft: Draft) -> Iterator[str]:
    meta = dict(draft.meta)
    if draft.kind == "certificate":
        yield meta["issuer"]
    if draft.kind == "plate":
        yield "FJORDVARM"
        yield meta["made"]
    else:
        yield draft.title
    for block in draft.blocks:
        yield from _block(block)
    if draft.kind == "certificate":
        yield "Signature:"
        yield "INSPECTED"
    for attachment in draft.attachments:
        yield attachment.text


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading(_, text) | Paragraph(text):
            yield text
        case Bullets(items):
            yield from items
        case Table(caption, header, rows):
            yield caption
            for row in (header, *rows):
                yield " | ".join(row) if any(row) else ""
        case Figure(_, caption):
            yield caption
