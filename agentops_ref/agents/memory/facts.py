"""Long-term memory: what somebody said about a customer or a technician. Pure; see `fact_store`.

Taught in chapter 6. A fact is a claim with its source, never an instruction. Of one attribute of
one subject the newest claim counts, by the time when it was learned, not when it arrived; older
ones stay as history. A vague claim ("maybe next spring") takes the place of vague ones only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from agentops_ref.errors import DeveloperError
from agentops_ref.records import Chunk, Hit

Certainty = Literal["stated", "vague"]
FORGOTTEN = "forgotten"
"""What `Fact.superseded_by` says when the newer fact is gone: the older one does not come back."""


@dataclass(frozen=True, slots=True)
class FactSource:
    """Who said it, and where it can be read."""

    thread: str
    message: str
    """Id of the user's message."""
    said_by: str
    """For example "customer" or "technician T01"."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One claim about one subject."""

    id: str
    tenant: str
    subject: str
    """For example "customer C1001"; chosen by the caller, never by a model."""
    attribute: str
    text: str
    """The words in which it was said."""
    certainty: Certainty
    source: FactSource
    learned_at: datetime
    """When it was said, in UTC."""
    valid_until: datetime | None = None
    """From when it no longer counts, in UTC; None for no end."""
    superseded_by: str | None = None
    """Id of the newer fact, or `FORGOTTEN`."""

    def current(self, now: datetime) -> bool:
        """Whether it still counts."""
        return self.superseded_by is None and (self.valid_until is None or now < self.valid_until)


class Found(NamedTuple):
    """A fact and how near it is to a query: cosine, -1..1."""

    fact: Fact
    score: float


class Forgotten(NamedTuple):
    """What was forgotten, and the threads in which it was said or shown, which may hold it."""

    facts: int
    threads: tuple[str, ...]


class FactStore(Protocol):
    """Keeps facts. `agentops_ref.agents.memory.fact_store` has SQLite and Postgres."""

    def tell(self, facts: Iterable[Fact]) -> int:
        """Keep facts, in one transaction; return how many were new. One told again changes nothing.

        They may arrive in any order.
        """
        ...

    def search(
        self, query: str, *, tenant: str, subjects: Sequence[str], k: int = 5
    ) -> list[Found]:
        """Return the facts that count now, nearest in meaning first, of these subjects only."""
        ...

    def show(self, *, tenant: str | None = None, subject: str | None = None) -> list[Fact]:
        """Return all facts, history included, by tenant, subject, attribute and time."""
        ...

    def shown(self, facts: Iterable[Fact], *, thread: str) -> list[str]:
        """Note the conversation in which facts are about to be shown; "" is none.

        Returns the ids of those that are still there, so that nothing is shown which was forgotten
        since it was found.
        """
        ...

    def forget(self, *, tenant: str, subject: str, fact: str | None = None) -> Forgotten:
        """Remove one fact of a subject or all, with their vectors, from the store's files too.

        Raises
        ------
        TransientError
            Gone for readers, but not yet from the files; the same call can be made again.
        """
        ...


def new_fact(
    *,
    tenant: str,
    subject: str,
    attribute: str,
    text: str,
    source: FactSource,
    learned_at: datetime,
    certainty: Certainty = "stated",
    valid_until: datetime | None = None,
) -> Fact:
    """Return a fact whose id follows from what is said and where.

    So a turn that is asked again after a crash tells nothing twice.

    Raises
    ------
    DeveloperError
        A time without a time zone, or no subject, attribute or text.
    """
    for name, moment in (("learned_at", learned_at), ("valid_until", valid_until)):
        if moment is not None and moment.tzinfo is None:
            raise DeveloperError(f"{name}: expected a time with its time zone, got {moment}")
    for name, value in (("subject", subject), ("attribute", attribute), ("text", text)):
        if not value.strip():
            raise DeveloperError(f"{name}: expected a text that is not empty")
    named = json.dumps([tenant, subject, attribute, text, source.thread, source.message])
    return Fact(
        hashlib.sha256(named.encode()).hexdigest()[:16],
        tenant,
        subject,
        attribute,
        text,
        certainty,
        source,
        learned_at.astimezone(UTC),
        valid_until and valid_until.astimezone(UTC),
    )


def successors(facts: Sequence[Fact]) -> dict[str, str | None]:
    """Say of each fact which one has taken its place: id → id, `FORGOTTEN` or None.

    Parameters
    ----------
    facts
        Of one attribute of one subject, in the order in which they were learned; of two that were
        learned at the same moment, the one that arrived later comes later.
    """
    found: dict[str, str | None] = {}
    for place, fact in enumerate(facts):
        later = (
            one.id
            for one in facts[place + 1 :]
            if one.certainty == "stated" or fact.certainty == "vague"
        )
        found[fact.id] = next(later, FORGOTTEN if fact.superseded_by else None)
    return found


def as_hit(found: Found) -> Hit:
    """Return a fact as an excerpt: in whose words, when, and whether it is certain.

    It is one line whatever was said, so that no text can pass for the next excerpt.
    """
    fact = found.fact
    doubt = ", not certain" if fact.certainty == "vague" else ""
    said = f"said by {fact.source.said_by} on {fact.learned_at:%Y-%m-%d}{doubt}"
    chunk = Chunk(
        id=fact.id,
        document=f"memory/{fact.subject}/{fact.attribute}",
        version=fact.id,
        ordinal=0,
        text=" ".join(fact.text.split()),
        context=f"{fact.subject}, {fact.attribute}, {said}",
        metadata={"kind": "memory", "tenant": fact.tenant},
    )
    return Hit(chunk, found.score)
