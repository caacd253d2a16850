"""Facts that held in an earlier corpus version and no longer do: what an index must not serve.

Used in chapter 3. The facts come from the generator's record of what it printed where, not from
the index, so they can be held against any index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agentops_ref.records import Chunk

ChunksOf = Callable[[str], Iterable[Chunk]]
"""Document → the chunks that an index holds of it."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """One fact that a document no longer prints."""

    document: str
    """As an index names it: a path below the docs folder."""
    subject: str
    field: str
    value: str
    now: str
    """The value that the document prints today; "" where the document or the line is gone."""
    how: Literal["withdrawn", "amended"]

    @property
    def question(self) -> str:
        """A mechanical query: the subject and the field's name in words."""
        return f"{self.subject}: {self.field.partition('~')[0].replace('_', ' ')}"


def outdated(corpus: Path | str, before: int, now: int) -> tuple[Outdated, ...]:
    """Return the facts of version ``before`` that version ``now`` has withdrawn or amended."""
    old, new = _truth(corpus, before), _truth(corpus, now)
    current = {fact["id"]: fact for fact in new["facts"]}
    standing = {document["path"] for document in new["documents"]}
    found = []
    for fact in old["facts"]:
        gone = fact["document"] not in standing
        latest = current.get(fact["id"], {}).get("value", "")
        if gone or latest != fact["value"]:
            found.append(
                Outdated(
                    fact["document"].removeprefix("docs/"),
                    fact["subject"],
                    fact["field"],
                    fact["value"],
                    "" if gone else latest,
                    "withdrawn" if gone else "amended",
                )
            )
    return tuple(found)


def holds(chunk: Chunk, fact: Outdated, versions: Mapping[str, str]) -> bool:
    """Whether the chunk is of an earlier version of the fact's document and prints its value.

    ``versions`` names the version of each document that is current.
    """
    if chunk.document != fact.document or chunk.version == versions.get(chunk.document):
        return False
    return prints(chunk, fact.value)


def prints(chunk: Chunk, value: str) -> bool:
    """Whether the value stands in the chunk by itself, not as a part of a longer one."""
    words = " ".join(chunk.text.split())
    return bool(value) and bool(re.search(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)", words))


def still_held(
    facts: Iterable[Outdated], chunks_of: ChunksOf, versions: Mapping[str, str]
) -> tuple[Outdated, ...]:
    """Return the facts that some chunk of the index still prints."""
    return tuple(f for f in facts if any(holds(c, f, versions) for c in chunks_of(f.document)))


def _truth(corpus: Path | str, version: int) -> dict[str, list[dict[str, str]]]:
    file = Path(corpus) / "truth" / f"v{version}.json"
    read: dict[str, list[dict[str, str]]] = json.loads(file.read_text(encoding="utf-8"))
    return read
