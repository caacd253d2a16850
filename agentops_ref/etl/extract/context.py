"""What is in force where an element stands: title, section, caption. Pure. Taught in chapter 3."""

from __future__ import annotations

from collections.abc import Sequence

from agentops_ref.etl.extract.schema import Place
from agentops_ref.records import Element

_CAPTIONED = frozenset({"table", "figure"})


def place_of(elements: Sequence[Element], at: int, place: Place) -> int | None:
    """Return the index of the element that is the place of ``elements[at]``; None for none.

    caption: of a table or figure, the one directly before, else the one directly after. section:
    the nearest title before. title: the document's first one.
    """
    if place == "caption":
        return _caption_of(elements, at) if elements[at].kind in _CAPTIONED else None
    if place == "section":
        return next((i for i in range(at - 1, -1, -1) if elements[i].kind == "title"), None)
    return next((i for i, element in enumerate(elements) if element.kind == "title"), None)


def _caption_of(elements: Sequence[Element], at: int) -> int | None:
    if at and elements[at - 1].kind == "caption":
        return at - 1
    after = [element.kind for element in elements[at + 1 : at + 3]]
    if after and after[0] == "caption" and not {*after[1:]} & _CAPTIONED:
        return at + 1  # and not the one above the next table
    return None


def in_force(elements: Sequence[Element], at: int, places: Sequence[Place]) -> list[str]:
    """Return the texts of an element's places, in the given order, without those it lacks."""
    found = (place_of(elements, at, place) for place in places)
    return [elements[one].text for one in found if one is not None]
