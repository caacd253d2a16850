"""What the generator's stages hand each other (chapter 3 indexes what comes out)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Kind = Literal[
    "manual",
    "user-guide",
    "checklist",
    "bulletin",
    "policy",
    "certificate",
    "plate",
    "email",
    "slides",
    "price-list",
    "note",
    "text",
]


@dataclass(frozen=True)
class Mark:
    """A fact at the place where it is printed, before its document and page are known."""

    subject: str  # a model, a line, a serial number, or a policy
    field: str
    value: str  # exactly as printed, without the unit
    unit: str | None
    text: str  # the sentence or table row as printed; cells are joined with " | "


@dataclass(frozen=True)
class Heading:
    """A section title; level 1 is the largest below the document's title."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Bullets:
    """A list; a checklist's items start with '[ ]'."""

    items: tuple[str, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Table:
    """A ruled table with one header row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A drawing known by name, with the labels it prints."""

    name: str
    caption: str
    labels: tuple[str, ...] = ()


Block = Heading | Paragraph | Bullets | Table | Figure


@dataclass(frozen=True)
class Attachment:
    """A file inside an e-mail; the suffix of its name decides how it is rendered."""

    name: str
    text: str


@dataclass(frozen=True)
class Draft:
    """One document of one version, complete but not yet rendered."""

    path: str  # inside the version's folder, with forward slashes
    kind: Kind
    title: str
    published: date
    blocks: tuple[Block, ...]
    models: tuple[str, ...] = ()
    line: str | None = None
    tenant: str | None = None
    supersedes: tuple[str, ...] = ()  # bulletin numbers
    meta: tuple[tuple[str, str], ...] = ()  # what the page or message header prints
    attachments: tuple[Attachment, ...] = ()

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All facts of the document, in reading order."""
        return tuple(
            mark
            for block in self.blocks
            if not isinstance(block, Heading | Figure)
            for mark in block.marks
        )


@dataclass(frozen=True)
class Rendered:
    """A document's bytes, and the 1-based page (or slide) of each of its marks."""

    content: bytes
    pages: tuple[int | None, ...]


@dataclass(frozen=True)
class Fact:
    """One printed fact, traceable to its document."""

    id: str
    document: str
    page: int | None  # 1-based; None where the format has no pages
    subject: str
    field: str
    value: str
    unit: str | None
    text: str
    replaced_by: str | None = None  # id of the newer fact that a reader must prefer


def plain_table(caption: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    """A table without facts."""
    return Table(caption, header, tuple(rows))


def row_text(cells: tuple[str, ...]) -> str:
    """How a table row is quoted in a fact."""
    return " | ".join(cells)
