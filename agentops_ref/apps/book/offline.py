"""Finds what a rendered page would fetch from a network: the book must open from disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

# What a browser loads by itself. Plain links (<a href>) are the reader's to follow.
LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
# Relations of <link> that only name a page.
NAMING = {"canonical", "author", "license", "help", "search", "next", "prev", "index", "alternate"}
REMOTE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"(?:@import\s+|url\()\s*[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)
IN_SCRIPT = re.compile(
    r"""(?:\bimport\s*\(?\s*|\bfrom\s+|\.src\s*=\s*|\bfetch\(\s*|\brequire\(\s*)"""
    r"""["'`]((?:https?:)?//[^"'`\s]+)""",
)


class Fetch(NamedTuple):
    """An address that opening a page would fetch."""

    page: str
    what: str
    address: str


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.inside = tag if tag in ("script", "style") else ""
        names = LOADED.get(tag, ())
        if tag == "link" and not set(given.get("rel", "").split()) <= NAMING:
            names = ("href",)
        for name in names:
            if REMOTE.match(given.get(name, "")):
                self.found.append((f"<{tag} {name}>", given[name]))
        for address in IN_STYLE.findall(given.get("style", "")):
            self.found.append((f"<{tag} style>", address))

    def handle_data(self, data: str) -> None:
        pattern = {"style": IN_STYLE, "script": IN_SCRIPT}.get(self.inside)
        if pattern:
            self.found += [(f"inside <{self.inside}>", found) for found in pattern.findall(data)]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def fetches(html: Path) -> Iterator[Fetch]:
    """Yield everything below ``html`` that a browser would fetch from elsewhere."""
    for path in sorted(html.rglob("*")):
        name = path.relative_to(html).as_posix()
        if path.suffix == ".html":
            page = _Page()
            page.feed(path.read_text(encoding="utf-8"))
            for what, address in page.found:
                yield Fetch(name, what, address)
        elif path.suffix == ".css":
            for address in IN_STYLE.findall(path.read_text(encoding="utf-8")):
                yield Fetch(name, "style sheet", address)
