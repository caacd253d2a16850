"""What several parsers need: clean text, tables as lines, bytes as text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from agentops_ref.errors import DocumentError
from agentops_ref.records import Element, ElementKind, PageBox

CELL = " | "
MAX_REPEATED = 1_000_000
"""Characters that merged cells may add to a document; a hostile one would fill the memory."""
BULLET = re.compile(r"^(?:[•◦▪‣●○■]|[-–*·](?=\s))\s*")
NUMBERED = re.compile(r"^(?:\(?\d{1,2}[.)]|[a-z]\))\s+")
SOFT_HYPHEN = "\u00ad"
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_LIGATURES = re.compile("[\ufb00-\ufb06\ufb50-\ufdff\ufe70-\ufefc]")
"""Letters in the shape of a place: ﬁ, and Arabic ones as they stand within a word."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def clean(text: str) -> str:
    """One line of NFC text: no control or zero-width characters or ligatures, single spaces."""
    text = _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    return " ".join(_CONTROL.sub(" ", text).split())


def clean_lines(text: str) -> str:
    """Clean each line and drop the empty ones."""
    return "\n".join(line for line in map(clean, text.splitlines()) if line)


def is_worded(text: str) -> bool:
    """Whether there is a letter or digit, that is, more than a decoration."""
    return any(character.isalnum() for character in text)


def table_text(rows: Iterable[Sequence[str | None]]) -> str:
    """Rows -> lines with cells between " | "; empty rows and columns are left out."""
    cells = [[clean(cell or "").replace("|", "/") for cell in row] for row in rows]
    cells = [row for row in cells if any(map(is_worded, row))]
    if not cells:
        return ""
    width = max(map(len, cells))
    cells = [row + [""] * (width - len(row)) for row in cells]
    used = [index for index in range(width) if any(row[index] for row in cells)]
    return "\n".join(CELL.join(row[index] for index in used).strip() for row in cells)


def element(
    kind: ElementKind,
    text: str,
    *,
    page: int | None = None,
    confidence: float | None = None,
    box: PageBox | None = None,
) -> Iterable[Element]:
    """Yield the element, or nothing where its text is empty or only decoration.

    A figure is also one without a text, if it is known where it stands.
    """
    text = clean_lines(text)
    if is_worded(text):
        yield Element(kind, text, page, confidence, box)
    elif kind == "figure" and box is not None:
        yield Element(kind, "", page, confidence, box)


def page_box(left: float, top: float, right: float, bottom: float) -> PageBox | None:
    """Shares of a page → a box, cut at the page's edges; None if it lies outside or has no area.

    Rounded to 4 digits, a hundredth of a millimetre on A4.
    """
    sides = (left, top, right, bottom)
    left, top, right, bottom = (round(min(1.0, max(0.0, float(n))), 4) for n in sides)
    return (left, top, right, bottom) if left < right and top < bottom else None


def around(boxes: Iterable[PageBox | None]) -> PageBox | None:
    """The smallest box that holds all of those that are known."""
    known = [box for box in boxes if box is not None]
    if not known:
        return None
    lefts, tops, rights, bottoms = zip(*known, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def decode(name: str, data: bytes, *, charset: str | None = None) -> str:
    """Bytes -> text: the declared charset, else by byte order mark, UTF-8, Windows-1252."""
    tries = [charset] if charset else []
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        tries.append("utf-16")
    text = ""
    for encoding in (*tries, "utf-8-sig", "cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
            break
        except (LookupError, ValueError):
            continue
    if "\x00" in text:
        raise DocumentError(f"{name}: binary content where text was expected")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def join_lines(lines: Sequence[str]) -> str:
    """Join the printed lines of one paragraph, undoing a hyphenation at a line's end."""
    text = ""
    for line in lines:
        word = text.rsplit(" ", 1)[-1]
        if text.endswith(SOFT_HYPHEN):
            text = text[:-1] + ("" if line[:1].islower() else "-") + line
            continue
        hyphenated = (
            word.endswith("-") and word[:-1].isalpha() and len(word) > 3 and line[:1].islower()
        )
        if hyphenated:
            text = text[:-1] + line
        elif text.endswith("-") and len(word) > 1:
            text += line
        else:
            text = f"{text} {line}" if text else line
    return text
