"""Does an answer stand in what the model was shown? Taught in chapter 7.

Numbers and codes are compared one by one: a torque that stands nowhere was made up, and somebody
may tighten a nut to it. Of the other words only the share is looked at, since an answer may say in
its own words what an excerpt says.
"""

from __future__ import annotations

import re

from agentops_ref.agents.citations import strip_markers, words
from agentops_ref.agents.guards.decision import Channel, Context, Decision, OnHit, hit, passed

_VALUE = re.compile(r"(?<![\w.,])(?:[a-z]+[a-z0-9]*-?)?\d[\w]*(?:[.,:/-]\w*\d\w*)*", re.IGNORECASE)
_COUNTS = frozenset(("0", "1", "2", "3"))
"""Small numbers that a sentence says without taking them from anywhere ("2 steps")."""


class Grounded:
    """Finds values that nobody showed to the model, and answers that share few words with it.

    Parameters
    ----------
    min_share
        Share of the answer's words, 0..1, that must stand in what was shown or asked; 0 asks for
        the values alone.
    """

    def __init__(self, *, on_hit: OnHit, min_share: float) -> None:
        self._on_hit, self._min_share = on_hit, min_share

    def check(self, text: str, channel: Channel, context: Context) -> Decision:
        """Compare an answer with what was shown."""
        seen = "\n".join((context.question, *context.shown))
        known = values(seen)
        answer = strip_markers(text)
        found = [
            f"grounded: {value} was not shown"
            for value in sorted(values(answer) - known - _COUNTS)
            if not _within(value, seen)
        ]
        said = words(answer)
        share = len(said & words(seen)) / len(said) if said else 1.0
        if share < self._min_share:
            found.append(f"grounded: {share:.0%} of the words were shown")
        return hit(self._on_hit, found) if found else passed(text)


def values(text: str) -> set[str]:
    """Return numbers and codes, in one spelling.

    >>> sorted(values("Set TW1 to 2,40 bar, not 2.4; NL-8"))
    ['2.4', 'nl-8', 'tw1']
    """
    return {_spelled(found) for found in _VALUE.findall(text)}


def _spelled(value: str) -> str:
    value = value.lower().rstrip(".,:/-")
    if re.fullmatch(r"\d{1,3}(?:[ ,]\d{3})+(?:\.\d+)?", value):
        value = value.replace(",", "").replace(" ", "")
    value = re.sub(r"(?<=\d),(?=\d)", ".", value)
    if re.fullmatch(r"\d+(?:\.\d+)?", value):
        return f"{float(value):.6f}".rstrip("0").rstrip(".")
    return value


def _within(value: str, seen: str) -> bool:
    """Whether a value stands in a text in another spelling: with its unit, in a range, a date."""
    tight, bare = re.sub(r"\s", "", seen.lower()).replace(",", "."), re.escape(value)
    if re.search(rf"(?<![\d.]){bare}(?![\d])", tight):
        return True
    number = re.match(r"-?\d+(?:\.\d+)?(?=[a-z°%]+$)", value)
    if number is None:
        return False
    return re.search(rf"(?<![\d.]){re.escape(number[0])}(?!\d)", tight) is not None
