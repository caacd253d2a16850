"""What can be counted in one parsed document. Pure; measured once per content and recipe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentops_ref.etl.quality.language import guess
from agentops_ref.records import Chunk, Element

PROFILE_VERSION = "1"
"""Part of the key under which profiles are cached: raise it when they count otherwise."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# UTF-8 that was read as Windows-1252 or Latin-1: the lead byte of a two-byte letter with one of the
# characters that continuation bytes become, and the same for the punctuation of three bytes.
_MISREAD = re.compile("[ÂÃÅÄÐÑ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€.|â‚¬|ï»¿")
_LOST = re.compile("[\ufffd\u0080-\u009f\x00-\x08\x0b\x0e-\x1f]")
"""What cannot be read: the replacement character and controls that no text has."""


class Tables(NamedTuple):
    """Shape of a document's tables; rows and cells without the headers."""

    tables: int = 0
    narrow: int = 0
    """Tables of a single column."""
    headerless: int = 0
    """Tables of which not even half of the first row's cells holds a letter."""
    rows: int = 0
    ragged: int = 0
    """Rows that have another number of cells than the header."""
    cells: int = 0
    empty: int = 0


@dataclass(frozen=True, slots=True)
class DocumentProfile:
    """Counts of one document, as its parser and its chunker left it."""

    characters: int
    """Of the elements' text, without the space around each."""
    pages: int
    """Pages, slides or sheets with a text on them; 1 where the format has none, 0 for no text."""
    words: int
    symbols: int
    """Characters that are no space."""
    letters: int
    """Letters and digits among them."""
    foreign: int
    """Characters beyond ASCII, misread ones and lost ones counted once each."""
    damaged: int
    """Misread or lost among them: mojibake, replacement characters, controls."""
    read: int
    """Elements that OCR read."""
    confidence: float | None
    """Mean OCR confidence, weighted by characters; None for a born-digital document."""
    lowest: float | None
    """Lowest OCR confidence of an element."""
    language: str
    """ISO 639-1; "" where there is too little text to tell."""
    tables: Tables
    chunks: int
    repeated: int
    """Chunks whose text another chunk of the document has as well, beyond the first."""
    digest: str
    """First 16 hex digits of the SHA-256 of the words; equal for copies in other file formats."""


def profile(elements: Sequence[Element], chunks: Sequence[Chunk]) -> DocumentProfile:
    """Count what a document holds. No elements and no chunks give a profile of zeros."""
    texts = [text for item in elements if (text := item.text.strip())]
    whole = "\n".join(texts)
    words = _WORD.findall(whole)
    damaged = len(_MISREAD.findall(whole)) + len(_LOST.findall(whole))
    plain = _LOST.sub("", _MISREAD.sub("", whole))
    pages = {item.page for item in elements if item.text.strip()}
    read = [(i.confidence, len(i.text)) for i in elements if i.confidence is not None and i.text]
    size = sum(n for _, n in read)
    return DocumentProfile(
        characters=sum(map(len, texts)),
        pages=len(pages),
        words=len(words),
        symbols=sum(1 for c in whole if not c.isspace()),
        letters=sum(map(str.isalnum, whole)),
        foreign=sum(1 for c in plain if ord(c) > 127) + damaged,
        damaged=damaged,
        read=len(read),
        confidence=sum(c * n for c, n in read) / size if size else None,
        lowest=min((c for c, _ in read), default=None),
        language=guess(whole),
        tables=_tables(item.text for item in elements if item.kind == "table"),
        chunks=len(chunks),
        repeated=len(chunks) - len({chunk.text for chunk in chunks}),
        digest=_digest(words),
    )


def profile_key(recipe: str) -> str:
    """Return what a profile depends on besides its document: parser, chunker and this module.

    ``recipe`` is a ledger's key, ``parse.chunk.embed``.
    """
    parse, chunk, _ = recipe.split(".")
    return f"{parse}.{chunk}.{PROFILE_VERSION}"


def profile_from(stored: Any) -> DocumentProfile | None:
    """Return the profile that `dataclasses.asdict` and JSON have gone through; None if damaged."""
    try:
        return DocumentProfile(**{**stored, "tables": Tables(*stored["tables"])})
    except (TypeError, LookupError):
        return None


def words_of(texts: Iterable[str]) -> list[str]:
    """Return the words of some texts, in order and lower case."""
    return [word.lower() for text in texts for word in _WORD.findall(text)]


def _digest(words: Sequence[str]) -> str:
    written = " ".join(words).encode("utf-8", "surrogatepass")
    return hashlib.sha256(written).hexdigest()[:16] if words else ""


def _tables(texts: Iterable[str]) -> Tables:
    total = [0] * len(Tables._fields)
    for text in texts:
        header, *rows = [[cell.strip() for cell in line.split("|")] for line in text.split("\n")]
        named = sum(any(map(str.isalpha, cell)) for cell in header)
        cells = [cell for row in rows for cell in row]
        counts = Tables(
            1,
            int(max(map(len, [header, *rows])) < 2),
            int(2 * named < len(header)),
            len(rows),
            sum(len(row) != len(header) for row in rows),
            len(cells),
            cells.count(""),
        )
        total = [a + b for a, b in zip(total, counts, strict=True)]
    return Tables(*total)
