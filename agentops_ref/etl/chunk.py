"""Elements -> chunks: pieces that can be searched, shown to a model and cited each by itself.

Taught in chapter 3. Pure: equal elements and settings give equal chunks, and no word is lost: each
is in a chunk's text or, for titles, in its context line.

A chunk never crosses a page, so that its page holds for all of it, and crosses a section only where
sections are short: they are merged with their neighbours and keep their headings in the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import PurePosixPath

from agentops_ref.records import Chunk, Element
from agentops_ref.settings import ChunkConfig

CHUNKER_VERSION = "2"
"""Part of the ETL's recipe: raise it when the same elements give other chunks."""

TINY_CHARS = 80
"""Text shorter than this says too little by itself; it is added to its neighbour if that fits."""
SMALL_CHARS = 200
"""A section shorter than this is merged with its neighbour on the page up to the target size."""

NOBODY = "?"
"""Tenant of a file right below ``tenants/``: whose it is cannot be told, so no tenant sees it."""

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+(?=[A-Z0-9\"'(\[])")
_SEPARATORS = (
    (re.compile(r"\n+"), "\n"),
    (_SENTENCE_END, " "),
    (re.compile(r"\s+"), " "),
)
_MARKED = re.compile(r"^(\[.?\]|\(?\w{1,2}[.)])\s")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text that stays together, at most ``max_chars`` long."""

    text: str
    page: int | None
    header: str = ""
    """A table's caption and header row, if the text begins with them."""


@dataclass(frozen=True, slots=True)
class _Section:
    titles: tuple[str, ...]
    pieces: tuple[_Piece, ...]

    @property
    def size(self) -> int:
        return len(reduce(_append, self.pieces).text)

    @property
    def page(self) -> int | None:
        return self.pieces[0].page


def chunk(
    elements: Sequence[Element], *, document: str, version: str, settings: ChunkConfig
) -> tuple[Chunk, ...]:
    """Cut a parsed document into chunks of about ``target_chars``, never above ``max_chars``."""
    elements = [item for item in elements if item.text.strip()]  # a figure can be without a text
    title = title_in(elements, document)
    metadata = {**kind_and_tenant(document), "title": title}
    chunks: list[Chunk] = []
    for section in _merged(_sections(elements, title, settings), settings):
        context = context_line(title, section.titles)
        for piece in _packed(section.pieces, settings):
            chunks.append(_chunk(len(chunks), piece, context, document, version, metadata))
    return tuple(chunks)


def title_in(elements: Sequence[Element], document: str) -> str:
    """The document's first title, on one line."""
    title = next((item.text for item in elements if item.kind == "title"), title_of(document))
    return " ".join(title.split())


def title_of(document: str) -> str:
    """A title from the file's name, for a document that has none of its own."""
    words = re.sub(r"[_\s-]+", " ", PurePosixPath(document).stem).strip()
    return words[:1].upper() + words[1:]


def kind_and_tenant(document: str) -> dict[str, str]:
    """What the path says: ``<kind>/...`` is shared, ``tenants/<tenant>/<kind>/...`` is not."""
    parts = PurePosixPath(document).parts
    tenant = ""
    if len(parts) > 1 and parts[0] == "tenants":
        tenant, parts = (parts[1], parts[2:]) if len(parts) > 2 else (NOBODY, ())
    return {"kind": parts[0] if len(parts) > 1 else "", "tenant": tenant}


def chunk_id(document: str, version: str, ordinal: int) -> str:
    """First 16 hex digits of the SHA-256 of the three, each ended by a line break."""
    return hashlib.sha256(f"{document}\n{version}\n{ordinal}\n".encode()).hexdigest()[:16]


def _chunk(
    ordinal: int,
    piece: _Piece,
    context: str,
    document: str,
    version: str,
    metadata: Mapping[str, str],
) -> Chunk:
    return Chunk(
        id=chunk_id(document, version, ordinal),
        document=document,
        version=version,
        ordinal=ordinal,
        text=piece.text,
        context=context,
        page=piece.page,
        metadata=metadata,
    )


def context_line(title: str, sections: Iterable[str]) -> str:
    """Title and section on one line, without saying the same words twice."""
    parts = [title]
    for section in sections:
        section = " ".join(section.split())
        if not any(section.casefold() in part.casefold() for part in parts):
            parts.append(section)
    return " › ".join(part for part in parts if part)


# --- elements to sections ---------------------------------------------------------------------


def _sections(elements: Sequence[Element], title: str, settings: ChunkConfig) -> Iterator[_Section]:
    """Cut at titles and pages. Titles without a text between them name one section together.

    The document's own title names no section; it is in every chunk's context.
    """
    titles: list[Element] = []
    body: list[Element] = []
    for item in elements:
        if item.kind == "title":
            if body:
                yield _section(titles, body, settings)
                titles, body = [], []
            if " ".join(item.text.split()) != title:
                titles.append(item)
        else:
            if body and item.page != body[-1].page:
                yield _section(titles, body, settings)
                body = []
            body.append(item)
    if body:
        yield _section(titles, body, settings)
    elif elements and elements[-1].kind == "title":  # with nothing under it
        yield _section(titles[:-1], [replace(elements[-1], kind="text")], settings)


def _section(titles: list[Element], body: list[Element], settings: ChunkConfig) -> _Section:
    return _Section(tuple(item.text for item in titles), tuple(_pieces(body, settings)))


def _pieces(body: list[Element], settings: ChunkConfig) -> Iterator[_Piece]:
    limit = settings.max_chars
    caption = ""
    for index, item in enumerate(body):
        below = body[index + 1].kind if index + 1 < len(body) else None
        if item.kind == "caption" and below == "table" and len(item.text) < limit // 3:
            caption = item.text
        elif item.kind == "table":
            yield from _table(item, caption, settings)
            caption = ""
        else:
            text = item.text.strip()
            if item.kind == "list" and not _MARKED.match(text):
                text = f"- {text}"
            for part in _cut(text, limit):
                yield _Piece(part, item.page)


def _table(item: Element, caption: str, settings: ChunkConfig) -> Iterator[_Piece]:
    """A small table stays whole; of a large one each row is a piece that begins with the header."""
    limit = settings.max_chars
    header, *rows = item.text.split("\n")
    top = f"{caption}\n{header}" if caption else header
    whole = f"{caption}\n{item.text}" if caption else item.text
    if len(whole) <= settings.target_chars:
        yield _Piece(whole, item.page)
    elif not rows or len(top) > limit // 2:
        for part in _cut(whole, limit):
            yield _Piece(part, item.page)
    else:
        for row in rows:
            for part in _cut(row, limit - len(top) - 1):
                yield _Piece(f"{top}\n{part}", item.page, top)


def _cut(text: str, limit: int) -> list[str]:
    """Cut at line ends, else at sentence ends, else at spaces, else anywhere."""
    if len(text) <= limit:
        return [text]
    for separator, joint in _SEPARATORS:
        parts = separator.split(text)
        if len(parts) > 1:
            return _filled(parts, joint, text, limit)
    return [text[at : at + limit] for at in range(0, len(text), limit)]


def _filled(parts: list[str], joint: str, text: str, limit: int) -> list[str]:
    """Join parts up to even lengths, which read better than full ones and a crumb at the end."""
    goal = len(text) / -(-len(text) // limit)
    found: list[str] = []
    for part in parts:
        if len(part) > limit:
            found += _cut(part, limit)
        elif (
            found and len(found[-1]) < goal and len(longer := f"{found[-1]}{joint}{part}") <= limit
        ):
            found[-1] = longer
        else:
            found.append(part)
    return found


# --- sections to chunks -----------------------------------------------------------------------


def _merged(sections: Iterable[_Section], settings: ChunkConfig) -> Iterator[_Section]:
    """Join short neighbours on one page; the text then holds their headings."""
    held: _Section | None = None
    for section in sections:
        if held is None:
            held = section
            continue
        joined = _join(held, section)
        smaller = min(held.size, section.size)
        limit = settings.max_chars if smaller < TINY_CHARS else settings.target_chars
        if held.page == section.page and smaller < SMALL_CHARS and joined.size <= limit:
            held = joined
        else:
            yield held
            held = section
    if held is not None:
        yield held


def _join(first: _Section, second: _Section) -> _Section:
    """One piece in which each section's headings are lines; no section is its context any more."""
    pieces = [
        piece
        for section in (first, second)
        for piece in (*(_Piece(title, section.page) for title in section.titles), *section.pieces)
    ]
    return _Section((), (reduce(_append, pieces),))


def _packed(pieces: Sequence[_Piece], settings: ChunkConfig) -> Iterator[_Piece]:
    """Fill chunks up to the target.

    A table that has to be cut is not begun in a chunk that is half full, and a short rest is added
    to the chunk before it if it fits.
    """
    target, limit = settings.target_chars, settings.max_chars
    current = pieces[0]
    for index, piece in enumerate(pieces[1:], 1):
        longer = _append(current, piece)
        begins_table = bool(piece.header) and piece.header != current.header
        fits = len(current.text) < (target // 2 if begins_table else target)
        if not fits:
            rest = len(reduce(_append, pieces[index:], current).text)
            fits = rest <= limit and rest - len(current.text) < SMALL_CHARS
        if fits and len(longer.text) <= limit:
            current = longer
        else:
            yield current
            current = piece
    yield current


def _append(current: _Piece, piece: _Piece) -> _Piece:
    """Add a piece; a table's next row needs no second header."""
    text = piece.text
    if piece.header and piece.header == current.header:
        text = text[len(piece.header) + 1 :]
    return _Piece(f"{current.text}\n{text}", current.page, piece.header)
