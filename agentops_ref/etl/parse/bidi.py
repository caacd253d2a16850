"""Text that runs from right to left, put from the order of its places into that of reading.

A PDF says where each letter stands, so Hebrew and Arabic come out of it backwards.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby

_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_FORWARD = re.compile(r"[\dA-Za-z]+(?:[.,:/-][\dA-Za-z]+)*")


def is_backward(text: str) -> bool:
    """Whether a letter of the text belongs to a script that runs from right to left."""
    return any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)


def in_order(words: Sequence[str]) -> list[tuple[int, str]]:
    """Words from left to right → (index, text) in the order in which they are read."""
    backward = [is_backward(word) for word in words]
    placed = list(enumerate(words))
    if not any(backward):
        return placed
    letters = [sum(map(str.isalpha, word)) for word in words]
    whole = 2 * sum(n for n, back in zip(letters, backward, strict=True) if back) > sum(letters)
    if whole:
        placed.reverse()
    ordered: list[tuple[int, str]] = []
    for turned, run in groupby(placed, key=lambda item: backward[item[0]]):
        items = list(run)
        # Runs of the other direction keep their own order.
        ordered += items if turned == whole else items[::-1]
    return [(at, _turned(text) if backward[at] else text) for at, text in ordered]


def _turned(word: str) -> str:
    """The word's letters the other way round, its numbers as they were."""
    turned = word[::-1].translate(_MIRRORED)
    return _FORWARD.sub(lambda found: found[0][::-1], turned)
