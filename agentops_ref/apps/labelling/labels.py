"""Labels of items: 0 or 1, each with its reason; see ``corpus/labels/README.md``.

A row's `labeller` says which pass it belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agentops_ref.apps.labelling.items import Item, uniform
from agentops_ref.errors import ConfigError
from agentops_ref.evals.calibration import Calibration
from agentops_ref.evals.calibration.labels import Row, count

FIRST_PASS, SECOND_PASS = "first pass", "second pass"
"""The labels that a judge is measured against, and those that these are measured against."""
AGAIN_SHARE = 0.3
"""Share of the items that are labelled a second time."""
GUIDE_EXAMPLES = frozenset(
    {
        *("0826a2cf", "5acb5e60", "05a5885e", "8e1bbbf7", "b29da251"),
        *("c73e0657", "b7eb895e", "d5962e13", "ef7a96ea"),
    }
)
"""Items that the guide decides; whoever has read it agrees on them, which says nothing."""


class Passes(NamedTuple):
    """Two passes over the same items."""

    counts: Calibration
    """The first pass in the place of the labels, the second in that of the verdicts."""
    differing: list[tuple[Row, Row]]
    """(first, second) where they differ, in the order of the second pass."""


def problems(labels: Sequence[Row], items: Sequence[Item]) -> list[str]:
    """Compare labels with their items; return one line per problem, none if all holds.

    Each label has an item, that item's split, a labeller and a reason of its own, and no other key;
    no labeller labels an item twice.
    """
    return list(_problems(labels, {item.id: item for item in items}))


def compare_passes(labels: Iterable[Row]) -> Passes:
    """Hold the second pass against the first, on the items of both.

    Raises
    ------
    ConfigError
        No item was labelled in both passes.
    """
    first, second = _by_pass(labels, FIRST_PASS), _by_pass(labels, SECOND_PASS)
    counts = count(first.values(), {name: one.label for name, one in second.items()})
    if counts is None:
        raise ConfigError(
            f"no item has a label of the {FIRST_PASS} and one of the {SECOND_PASS}: expected "
            "'labeller' to name both"
        )
    both = [(first[name], one) for name, one in second.items() if name in first]
    return Passes(counts, [(a, b) for a, b in both if a.label != b.label])


def drawn_again(ids: Iterable[str], seed: int, *, share: float = AGAIN_SHARE) -> list[str]:
    """Return the ids that are labelled a second time, sorted.

    Each is drawn for itself, by a hash of the seed and the id, so that items which are added later
    leave the draw of the others alone. Those in `GUIDE_EXAMPLES` are left out.
    """
    drawn = (one for one in ids if uniform(f"{seed}:{one}") < share)
    return sorted(set(drawn) - GUIDE_EXAMPLES)


def _by_pass(labels: Iterable[Row], labeller: str) -> dict[str, Row]:
    return {one.id: one for one in labels if one.labeller == labeller}


def _problems(labels: Sequence[Row], items: dict[str, Item]) -> Iterator[str]:
    passes = Counter((one.labeller, one.id) for one in labels)
    reasons = Counter(one.reason.strip().casefold() for one in labels)
    for one in labels:
        if one.id not in items:
            yield f"{one.id}: there is no such item"
        elif one.split != items[one.id].split:
            yield f"{one.id}: split '{one.split}', but its question is {items[one.id].split}"
        if not one.labeller.strip():
            yield f"{one.id}: no labeller"
        if one.fields:
            yield f"{one.id}: unknown keys: {', '.join(one.fields)}"
        if not one.reason.strip():
            yield f"{one.id}: no reason"
        elif reasons[one.reason.strip().casefold()] > 1:
            yield f"{one.id}: its reason is not its own: {one.reason}"
        if passes[one.labeller, one.id] > 1:
            yield f"{one.id}: labelled twice in the {one.labeller}"
