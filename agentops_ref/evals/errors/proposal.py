"""A model proposes categories for notes that have none. Nothing of it counts before a person says.

The model is a callable, so that this needs no library of models and a test can script it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentops_ref.errors import ModelError, printable
from agentops_ref.evals.errors.records import Readings
from agentops_ref.evals.errors.taxonomy import MODEL, Category, Taxonomy

Ask = Callable[[str, str], str]
"""(the notes, numbered, one a line; the known categories) → JSON as `SCHEMA` has it."""

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "categories": {
            "type": "array",
            "maxItems": 8,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 40},
                    "definition": {"type": "string", "maxLength": 160},
                    "notes": {"type": "array", "items": {"type": "integer"}, "maxItems": 20},
                },
                "required": ["name", "definition", "notes"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["categories"],
    "additionalProperties": False,
}
"""The limits keep a small model from writing until its answer is cut off, and cannot be read."""


def propose(taxonomy: Taxonomy, readings: Readings, ask: Ask, *, batch: int) -> Taxonomy:
    """Return a taxonomy with proposed categories for the notes that have none.

    Earlier proposals that nobody accepted are dropped. Where the model names a decided category,
    the proposal is called ``<name>-more``: whether its notes belong there is for a person to say
    (``accept --into``).

    Parameters
    ----------
    batch
        Notes that the model is shown at once.

    Raises
    ------
    ModelError
        What it said is no JSON of the form that was asked for.
    """
    decided = Taxonomy(taxonomy.decided)
    agreed = {id_ for one in decided.decided for ids in one.members.values() for id_ in ids}
    notes = [
        (one.trace, "; ".join(one.notes))
        for one in readings.failed
        if one.notes and one.trace not in agreed
    ]
    found: dict[str, Category] = {}
    for start in range(0, len(notes), batch):
        part = notes[start : start + batch]
        told = "\n".join(f"{at}. {printable(note)}" for at, (_, note) in enumerate(part, start=1))
        known = [*decided.categories, *found.values()]
        reply = ask(told, "\n".join(f"- {c.name}: {c.definition}" for c in known) or "none")
        for name, definition, numbers in _groups(reply):
            _join(
                found,
                decided,
                name,
                definition,
                [part[n - 1][0] for n in numbers if 0 < n <= len(part)],
            )
    return Taxonomy((*decided.categories, *found.values()))


def _join(
    found: dict[str, Category], decided: Taxonomy, name: str, definition: str, ids: Sequence[str]
) -> None:
    if name in (one.name for one in decided.categories):
        name = f"{name}-more"
    taken = {id_ for one in found.values() for id_ in one.members[MODEL]}
    fresh = tuple(id_ for id_ in dict.fromkeys(ids) if id_ not in taken)
    if not fresh:
        return
    held = found.get(name)
    if held is None:
        found[name] = Category(name, definition, {MODEL: fresh}, proposed=True)
    else:
        found[name] = replace(held, members={MODEL: (*held.members[MODEL], *fresh)})


def _groups(reply: str) -> list[tuple[str, str, list[int]]]:
    """Return (name, definition, numbers of notes); a group without a name or a note is left out."""
    try:
        rows = json.loads(reply)["categories"]
        found = [(row["name"], row["definition"], row["notes"]) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(f"the model proposed nothing that can be read: {reply[:120]!r}") from None
    groups = []
    for name, definition, numbers in found:
        slug = "-".join(re.findall(r"[a-z0-9]+", str(name).lower()))
        whole = [one for one in numbers if type(one) is int] if isinstance(numbers, list) else []
        if slug and str(definition).strip() and whole:
            groups.append((slug, printable(str(definition)), whole))
    return groups
