"""Summaries of a document and of its sections, and which of their numbers the source lacks.

Taught in chapter 3::

    elements → sections → a model's sentences → numbers compared with the source → Summaries

A summary is a model's text. It says where it comes from, a number that does not stand in the source
is marked in it, and it is no chunk: an answer must not cite it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from agentops_ref.etl.chunk import context_line, title_in
from agentops_ref.records import Element
from agentops_ref.settings import SummariesConfig

SUMMARY_VERSION = "1"
"""Part of the recipe: raise it when the same answers of a model give other summaries."""
MARK = "[not in the source]"

_CODE = re.compile(r"\b[A-Za-z]{1,4}\d*-?\d[\w-]*")
"""NL-12, SB-2025-003, E41: names, of which every letter counts."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Ask(Protocol):
    """A chat model behind a prompt."""

    @property
    def recipe(self) -> str:
        """Changes with the model and with the prompt."""
        ...

    def __call__(self, document: str, text: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Summary:
    """A model's sentences about a part of a document."""

    section: str
    """Its titles, joined by " › "; "" of the whole document."""
    text: str
    """Each number that the source lacks is followed by `MARK`."""
    invented: tuple[str, ...]
    """Those numbers and codes, in order."""
    first: int
    """0-based index of the first element that it is made from."""
    last: int
    """Index of the last one, inclusive."""
    pages: tuple[int, ...]
    """1-based pages of those elements, none where the format has no pages."""
    shown: int
    """Characters of the source that the model was shown, itself or through sections' summaries."""
    of: int
    """Characters of the source."""


@dataclass(frozen=True, slots=True)
class Summaries:
    """Of one document."""

    document: str
    title: str
    whole: Summary
    sections: tuple[Summary, ...]
    """In order; sections below ``min_chars`` have none."""
    calls: int
    """To the model; 0 when the result was in the cache."""

    @property
    def invented(self) -> int:
        """How many numbers the source lacks, in all summaries."""
        return sum(len(one.invented) for one in (self.whole, *self.sections))


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    first: int
    items: tuple[Element, ...]

    @property
    def text(self) -> str:
        return "\n".join(item.text for item in self.items if item.text)


def summarise(
    elements: Sequence[Element],
    *,
    document: str,
    ask: Ask,
    settings: SummariesConfig,
    progress: Callable[[str, int, int], None] | None = None,
) -> Summaries:
    """Summarise each section, then the document from its sections' summaries.

    A section of less than ``min_chars`` enters the document's summary as it stands, and so does all
    of a document that is not longer than ``max_chars``. Numbers are compared with the source and
    never with another summary.
    """
    title = title_in(elements, document)
    parts = list(_sections(elements, title))
    long = [part for part in parts if len(part.text) >= settings.min_chars]
    whole = _Section("", 0, tuple(elements))
    made: dict[int, Summary] = {}
    total = len(long) + 1
    for done, part in enumerate(long if len(parts) > 1 else []):
        if progress is not None:
            progress("summarise", done, total)
        shown = _cut(part.text, settings.max_chars)
        made[part.first] = _summary(part, ask(context_line(title, [part.name]), shown), len(shown))
    if progress is not None:
        progress("summarise", total - 1, total)
    text, seen = whole.text, len(whole.text)
    if seen > settings.max_chars:
        told = {part.first: part.text for part in parts} | {at: s.text for at, s in made.items()}
        lines = [f"{part.name}: {told[part.first]}".lstrip(": ") for part in parts]
        read = {part.first: made[part.first].shown for part in parts if part.first in made}
        text, joined = _cut("\n".join(lines), settings.max_chars), "\n".join(lines)
        seen = sum(read.get(part.first, len(part.text)) for part in parts)
        seen = seen * len(text) // len(joined)
    found = _summary(whole, ask(title, text), seen)
    if progress is not None:
        progress("summarise", total, total)
    return Summaries(document, title, found, tuple(made.values()), len(made) + 1)


def marked(text: str, source: str) -> tuple[str, tuple[str, ...]]:
    """Mark the numbers and codes of a text that do not stand in its source.

    Numbers are compared by value ("1,70" is 1.7), codes by their letters. A number in words ("two")
    is not seen, and neither is a right number that is tied to a wrong condition.
    """
    codes = {found.casefold() for found in _CODE.findall(source)}
    numbers = {_value(found) for found in _NUMBER.findall(_CODE.sub(" ", source))}
    invented: list[str] = []

    def checked(found: re.Match[str]) -> str:
        word = found[0]
        known = word.casefold() in codes if _CODE.fullmatch(word) else _value(word) in numbers
        if known:
            return word
        invented.append(word)
        return f"{word} {MARK}"

    return re.sub(f"{_CODE.pattern}|{_NUMBER.pattern}", checked, text), tuple(invented)


def as_json(summaries: Summaries) -> dict[str, Any]:
    """For the cache and for programs."""
    return asdict(summaries)


def of_json(stored: Mapping[str, Any]) -> Summaries:
    """Read what `as_json` wrote; what came from the cache cost no call.

    Raises
    ------
    KeyError, TypeError
        It is something else.
    """

    def one(fields: Mapping[str, Any]) -> Summary:
        lists = {name: tuple(fields[name]) for name in ("invented", "pages")}
        return Summary(**{**fields, **lists})

    return Summaries(
        stored["document"],
        stored["title"],
        one(stored["whole"]),
        tuple(map(one, stored["sections"])),
        0,
    )


def _sections(elements: Sequence[Element], title: str) -> Iterator[_Section]:
    """Cut at titles; titles without a text between them name one section together."""
    names: list[str] = []
    items: list[Element] = []
    start = 0
    for at, item in enumerate(elements):
        if item.kind == "title":
            if items:
                yield _Section(" › ".join(names), start, tuple(items))
                names, items = [], []
            name = " ".join(item.text.split())
            if name != title:
                names.append(name)
        else:
            if not items:
                start = at
            items.append(item)
    if items:
        yield _Section(" › ".join(names), start, tuple(items))


def _summary(part: _Section, answer: str, shown: int) -> Summary:
    text, invented = marked(" ".join(answer.split()), f"{part.name}\n{part.text}")
    pages = sorted({item.page for item in part.items if item.page is not None})
    last = part.first + len(part.items) - 1
    return Summary(part.name, text, invented, part.first, last, tuple(pages), shown, len(part.text))


def _cut(text: str, limit: int) -> str:
    """The beginning of a text, up to a space."""
    return text if len(text) <= limit else text[: limit + 1].rsplit(maxsplit=1)[0][:limit]


def _value(number: str) -> float:
    """By value; what could be a thousands' separator is read as a decimal one, in both texts."""
    first, *rest = re.split("[.,]", number)
    return float(f"{first}.{''.join(rest)}" if rest else first)
