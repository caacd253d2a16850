"""Text in two columns: read the left one to its end before the right one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from agentops_ref.etl.parse.page import Box, Line, Word, lines_of

GUTTER = 10.0
"""Points between two columns, at the least; spaces between words are narrower."""
LINES = 3
"""Of each column, at the least."""
LETTERS = 18
"""Of a line, in the mean: columns of labels, values or figures are rows, not columns."""
FILLED = 0.6
"""Share of a column's width that the middle one of its lines takes."""


@dataclass(frozen=True, slots=True)
class Band:
    """A part of the page, across its whole width, that is set in two columns."""

    top: float
    bottom: float
    middle: float
    """The gutter's; all in points."""

    def column(self, thing: Word | Line | Box) -> int | None:
        """0 or 1, left or right; None for what is not in this band."""
        if not self.top <= (thing.top + thing.bottom) / 2 <= self.bottom:
            return None
        return int(thing.x0 >= self.middle)


def bands_of(words: Sequence[Word], boxes: Sequence[Box]) -> list[Band]:
    """Find the parts of a page that are set in two columns; whatever crosses the gutter ends one.

    ``boxes`` are tables and figures; ``words`` those outside of them.
    """
    if len(words) < 2 * LINES:
        return []
    left, right = min(word.x0 for word in words), max(word.x1 for word in words)
    middle = _gutter(words, left, right)
    things: list[Word | Box] = [*words, *boxes]
    crossing = sorted(
        (thing.top, thing.bottom)
        for thing in things
        if thing.x0 < middle + GUTTER / 2 and thing.x1 > middle - GUTTER / 2
    )
    edges: list[tuple[float, float]] = []
    top = min(word.top for word in words)
    for start, end in [*crossing, (max(word.bottom for word in words), 0.0)]:
        if start > top:
            edges.append((top, start))
        top = max(top, end)
    return [
        Band(top, bottom, middle)
        for top, bottom in edges
        if _has_columns(
            [word for word in words if top <= (word.top + word.bottom) / 2 <= bottom], middle
        )
    ]


def in_columns(words: Sequence[Word], bands: Sequence[Band]) -> list[Line]:
    """Words → lines, of which none crosses a gutter."""
    if not bands:
        return lines_of(list(words))
    parts: dict[tuple[int, int | None], list[Word]] = {}
    for word in words:
        parts.setdefault(place(word, bands), []).append(word)
    return [line for part in parts.values() for line in lines_of(part)]


def place(thing: Word | Line | Box, bands: Sequence[Band]) -> tuple[int, int | None]:
    """Which band, -1 for none, and which column of it."""
    for number, band in enumerate(bands):
        column = band.column(thing)
        if column is not None:
            return number, column
    return -1, None


def order_of(thing: Line | Box, bands: Sequence[Band]) -> tuple[float, int, float]:
    """What things are sorted by to be read: the band, its column, and how far down."""
    band, column = place(thing, bands)
    return (thing.top if column is None else bands[band].top, column or 0, thing.top)


def _gutter(words: Sequence[Word], left: float, right: float) -> float:
    """The middle of the widest strip, near the page's, that fewest words cross."""
    width = right - left
    places = [left + width * (0.35 + 0.005 * step) for step in range(61)]
    counts = [
        sum(word.x0 < x + GUTTER / 2 and word.x1 > x - GUTTER / 2 for word in words) for x in places
    ]
    fewest = min(counts)
    best: list[float] = []
    run: list[float] = []
    for x, count in zip(places, counts, strict=True):
        run = [*run, x] if count == fewest else []
        if len(run) > len(best):
            best = run
    return best[len(best) // 2]


def _has_columns(words: Sequence[Word], middle: float) -> bool:
    sides = ([w for w in words if w.x0 < middle], [w for w in words if w.x0 >= middle])
    for side in sides:
        lines = lines_of(side)
        if len(lines) < LINES or fmean(len(line.text) for line in lines) < LETTERS:
            return False
        start = min(line.x0 for line in lines)
        end = max(line.x1 for line in lines)
        if median(line.x1 for line in lines) < start + FILLED * (end - start):
            return False
    return True
