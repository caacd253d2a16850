"""Elements -> chunks: pieces that can be searched, shown to a model and cited each by itself.

Taught in chapter 3. Pure: equal elements and settings give equal chunks, and no word is lost: each
is in a chunk's text or, for titles, in its context line.

A chunk never crosses a page or a section, so that its page and its context hold for all of it; only
sections of a few words are merged with the next one, and then their headings are in the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import PurePosixPath

from agentops_ref.config import ChunkConfig
from agentops_ref.records import Chunk, Element

CHUNKER_VERSION = "1"
"""Part of the ETL's recipe: raise it when the same elements give other chunks."""

TINY_CHARS = 80
"""A section with less text than this is merged with the next one on its page."""

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
    title = next((item.text for item in elements if item.kind == "title"), title_of(document))
    title = " ".join(title.split())
    metadata = {**kind_and_tenant(document), "title": title}
    chunks: list[Chunk] = []
    for section in _merged(_sections(elements, settings.max_chars), settings):
        context = _context(title, section.titles)
        for piece in _packed(section.pieces, settings):
            chunks.append(_chunk(len(chunks), piece, context, document, version, metadata))
    return tuple(chunks)


def title_of(document: str) -> str:
    """A title from the file's name, for a document that has none of its own."""
    words = re.sub(r"[_\s-]+", " ", PurePosixPath(document).stem).strip()
    return words[:1].upper() + words[1:]


def kind_and_tenant(document: str) -> dict[str, str]:
    """What the path says: ``<kind>/...`` is shared, ``tenants/<tenant>/<kind>/...`` is not."""
    parts = PurePosixPath(document).parts
    tenant = ""
    if len(parts) > 2 and parts[0] == "tenants":
        tenant, parts = parts[1], parts[2:]
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


def _context(title: str, sections: Iterable[str]) -> str:
    """Title and section on one line, without saying the same words twice."""
    parts = [title]
    for section in sections:
        section = " ".join(section.split())
        if not any(section.casefold() in part.casefold() for part in parts):
            parts.append(section)
    return " › ".join(part for part in parts if part)


# --- elements to sections ---------------------------------------------------------------------


def _sections(elements: Sequence[Element], limit: int) -> Iterator[_Section]:
    """Cut at titles and pages. Titles without a text between them name one section together."""
    titles: list[Element] = []
    body: list[Element] = []
    for item in elements:
        if item.kind == "title":
            if body:
                yield _section(titles, body, limit)
                titles, body = [], []
            titles.append(item)
        elif item.text.strip():
            if body and item.page != body[-1].page:
                yield _section(titles, body, limit)
                body = []
            body.append(item)
    if body:
        yield _section(titles, body, limit)
    elif titles:  # headings at the end, with nothing under them
        yield _section(titles[:-1], [replace(titles[-1], kind="text")], limit)


def _section(titles: list[Element], body: list[Element], limit: int) -> _Section:
    return _Section(tuple(item.text for item in titles), tuple(_pieces(body, limit)))


def _pieces(body: list[Element], limit: int) -> Iterator[_Piece]:
    caption = ""
    for index, item in enumerate(body):
        below = body[index + 1].kind if index + 1 < len(body) else None
        if item.kind == "caption" and below == "table" and len(item.text) < limit // 3:
            caption = item.text
        elif item.kind == "table":
            yield from _table(item, caption, limit)
            caption = ""
        else:
            text = item.text.strip()
            if item.kind == "list" and not _MARKED.match(text):
                text = f"- {text}"
            for part in _cut(text, limit):
                yield _Piece(part, item.page)


def _table(item: Element, caption: str, limit: int) -> Iterator[_Piece]:
    """One piece for each row, each with the caption and the header row before it."""
    header, *rows = item.text.split("\n")
    top = f"{caption}\n{header}" if caption else header
    if not rows or len(top) > limit // 2:
        for text in (caption, item.text):
            for part in _cut(text, limit) if text else ():
                yield _Piece(part, item.page)
        return
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
    """Join a section of a few words with the next one on its page, their headings in the text."""
    held: _Section | None = None
    for section in sections:
        if held is not None:
            joined = _join(held, section)
            if held.page == section.page and joined.size <= settings.max_chars:
                section = joined
            else:
                yield held
            held = None
        if section.size < TINY_CHARS:
            held = section
        else:
            yield section
    if held is not None:
        yield held


def _join(first: _Section, second: _Section) -> _Section:
    """One piece; the second section's headings become lines, the first one's stay its context."""
    headings = [_Piece(title, second.page) for title in second.titles]
    return _Section(first.titles, (reduce(_append, [*first.pieces, *headings, *second.pieces]),))


def _packed(pieces: Sequence[_Piece], settings: ChunkConfig) -> Iterator[_Piece]:
    """Fill chunks up to the target.

    A table that would fit into one chunk is not begun at the end of another, and a last bit is
    added to the chunk before it if it fits.
    """
    current: _Piece | None = None
    for index, piece in enumerate(pieces):
        if current is None:
            current = piece
            continue
        longer = _append(current, piece)
        is_crumb = index == len(pieces) - 1 and len(longer.text) - len(current.text) < TINY_CHARS
        fits = len(longer.text) <= settings.max_chars
        if piece.header and piece.header != current.header:
            rest = [other for other in pieces[index:] if other.header == piece.header]
            table = reduce(_append, rest)
            together = len(current.text) + 1 + len(table.text) <= settings.max_chars
            fits = fits and (together or len(table.text) > settings.max_chars)
        if fits and (len(current.text) < settings.target_chars or is_crumb):
            current = longer
        else:
            yield current
            current = piece
    if current is not None:
        yield current


def _append(current: _Piece, piece: _Piece) -> _Piece:
    """Add a piece; a table's next row needs no second header."""
    text = piece.text
    if piece.header and piece.header == current.header:
        text = text[len(piece.header) + 1 :]
    return _Piece(f"{current.text}\n{text}", current.page, piece.header)
