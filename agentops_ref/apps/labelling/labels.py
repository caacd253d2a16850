"""Labels of items: 0 or 1, each with its reason; see ``corpus/labels/README.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from agentops_ref.apps.labelling.items import Item, Split, read_lines, uniform
from agentops_ref.errors import ConfigError
from agentops_ref.evals.calibration import Calibration
from agentops_ref.evals.calibration.labels import count

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


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody decided about one item."""

    id: str
    """Of the item."""
    label: int
    """1: the answer follows from the excerpts and answers what was asked; else 0."""
    reason: str
    labeller: str
    """Which pass it belongs to."""
    split: Split


class Passes(NamedTuple):
    """Two passes over the same items."""

    counts: Calibration
    """The first pass in the place of the labels, the second in that of the verdicts."""
    differing: list[tuple[Label, Label]]
    """(first, second) where they differ, in the order of the second pass."""


def read_labels(file: Path) -> list[Label]:
    """Read a file with one label a line.

    Raises
    ------
    ConfigError
        The file is missing, or a line is no label; names the file and the line.
    """
    return [_read(row, where) for where, row in read_lines(file, "label items first")]


def problems(labels: Sequence[Label], items: Sequence[Item]) -> list[str]:
    """Compare labels with their items; return one line per problem, none if all holds.

    Each label has an item, that item's split and a reason of its own; no labeller labels an item
    twice.
    """
    return list(_problems(labels, {item.id: item for item in items}))


def compare_passes(labels: Iterable[Label]) -> Passes:
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


def _by_pass(labels: Iterable[Label], labeller: str) -> dict[str, Label]:
    return {one.id: one for one in labels if one.labeller == labeller}


def _read(row: Any, where: str) -> Label:
    try:
        label = Label(**row)
    except TypeError as error:
        keys = ", ".join(Label.__dataclass_fields__)
        raise ConfigError(f"{where}: expected a label with {keys}: {error}") from None
    if type(label.label) is not int or label.label not in (0, 1):
        raise ConfigError(f"{where}: 'label' must be 0 or 1, got {label.label!r}")
    return label


def _problems(labels: Sequence[Label], items: dict[str, Item]) -> Iterator[str]:
    passes = Counter((one.labeller, one.id) for one in labels)
    reasons = Counter(one.reason.strip().casefold() for one in labels)
    for one in labels:
        if one.id not in items:
            yield f"{one.id}: there is no such item"
        elif one.split != items[one.id].split:
            yield f"{one.id}: split '{one.split}', but its question is {items[one.id].split}"
        if not one.reason.strip():
            yield f"{one.id}: no reason"
        elif reasons[one.reason.strip().casefold()] > 1:
            yield f"{one.id}: its reason is not its own: {one.reason}"
        if passes[one.labeller, one.id] > 1:
            yield f"{one.id}: labelled twice in the {one.labeller}"
