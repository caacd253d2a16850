"""One text as a reader of bad will could have meant it: without disguise, decoded, joined.

Taught in chapter 7. Total: any string gives views, none raises. The first view is the text itself,
in lower case and plain letters; a rule that finds nothing there is tried on the others.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import unquote

MOST = 20_000
"""Characters of a text that are looked at; a longer one is looked at in such pieces."""
_TAG_BLOCK = range(0xE0020, 0xE007F)
_ALIKE = str.maketrans(
    "аеорсухіјѕԁһѵԛԝкмтвнгпзαβεηικμνορτυχωıøæ", "aeopcyxijsdhvqwkmtbhrn3abenikuvoptuxwioa"
)
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127))
_LEET = str.maketrans("013457@$!|", "oieastasil")
_SPACED = re.compile(r"(?:(?<!\w)\w(?:[ .\-_*]| {2,})){4,}\w(?!\w)")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){12,}")
_MARKUP = re.compile(r"</?[a-zA-Z!][^<>]{0,300}>")
_LETTERS = 0.85
"""Share of letters and spaces from which decoded bytes count as a text."""


class View(NamedTuple):
    """A reading of a text."""

    how: str
    """"plain", or what was done to it."""
    text: str


def plain(text: str) -> str:
    """Return a text in lower case, Latin letters and single spaces, without invisible characters.

    >>> plain("Іgnоre\\u200b  ＡＬＬ")
    'ignore all'
    """
    text = html.unescape(text)
    if text.isascii():  # most text: nothing to fold
        return " ".join(text.translate(_CONTROL).lower().split())
    text = unicodedata.normalize("NFKC", text)
    seen = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c in "\n\t\r")
    apart = unicodedata.normalize("NFD", seen.lower())
    bare = "".join(c for c in apart if not unicodedata.combining(c))
    return " ".join(bare.translate(_ALIKE).lower().split())


def views(text: str) -> list[View]:
    """Return the readings of a text, the plain one first; each once."""
    found: dict[str, View] = {}

    def add(how: str, what: str) -> None:
        read = plain(what)
        if read and read not in found:
            found[read] = View(how, read)

    for start in range(0, max(len(text), 1), MOST):
        piece = text[start : start + MOST + 200]  # what stands across the edge is seen whole
        add("plain", piece)
        if hidden := tag_characters(piece):
            add("hidden", hidden)
        tidy = unicodedata.normalize("NFKC", html.unescape(piece))
        if _MARKUP.search(tidy):
            add("without markup", _MARKUP.sub("", tidy))
        if _SPACED.search(tidy):
            add("joined letters", _SPACED.sub(_joined, tidy))
        if "%" in tidy:
            add("percent signs", unquote(tidy, errors="replace"))
        if any(c in tidy for c in "013457@$"):
            add("letters for digits", tidy.translate(_LEET))
        for decoded in _decoded(tidy):
            add("decoded", decoded)
        add("rot13", codecs.encode(tidy, "rot13"))
        add("reversed", tidy[::-1])
    return list(found.values())


def tag_characters(text: str) -> str:
    """Return what a text says in Unicode's invisible tag characters."""
    return "".join(chr(ord(c) - 0xE0000) for c in text if ord(c) in _TAG_BLOCK)


def _joined(run: re.Match[str]) -> str:
    words = re.split(r" {2,}", run[0])
    return " ".join(re.sub(r"[ .\-_*]", "", word) for word in words)


def _decoded(text: str) -> list[str]:
    found = []
    for run in _BASE64.findall(text):
        raw = run.rstrip("=").replace("-", "+").replace("_", "/")
        found.append(_read(lambda raw=raw: base64.b64decode(raw + "=" * (-len(raw) % 4))))
    for run in _HEX.findall(text):
        found.append(_read(lambda run=run: bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", run))))
    return [one for one in found if one]


def _read(decode: object) -> str:
    try:
        said = decode().decode("utf-8")  # type: ignore[operator]
    except (ValueError, binascii.Error):
        return ""
    letters = sum(c.isalpha() or c.isspace() for c in said)
    return said if letters >= _LETTERS * len(said) else ""
