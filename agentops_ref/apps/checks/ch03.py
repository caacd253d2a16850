"""Checks of chapter 3: predict a plan, and set the deletion guards for a flaky source."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import NamedTuple

from agentops_ref.apps.checks import Checked
from agentops_ref.etl.plan import diff
from agentops_ref.records import LedgerEntry, Listing, SourceItem
from agentops_ref.settings import DeletionConfig


class Situation(NamedTuple):
    """What a sync finds: the source's listing, the index's ledger, the recipe in force."""

    listing: Listing
    ledger: Mapping[str, LedgerEntry]
    recipe: str
    deletion: DeletionConfig


RECIPE = "p1.c1.e1"
_WHY = {
    "create": "it is listed, and the ledger does not know it",
    "update": "its fingerprint moved, so it is read again; whether it changed is seen then",
    "delete": "this is the second complete listing without it",
    "keep": "its fingerprint is the recorded one",
    "tombstone": "this is the first of two listings without it; it is served until the second",
}


def situation() -> Situation:
    """Return the situation of the first exercise: seven documents, two listings to a deletion."""
    held = {
        "alarms.pdf": ("10-a", 0),
        "bulletin-7.docx": ("20-a", 0),
        "charge.pdf": ("30-a", 1),
        "draft.md": ("40-a", 0),
        "old-note.md": ("50-a", 1),
        "prices.xlsx": ("60-a", 0),
    }
    listed = {
        "alarms.pdf": "10-a",
        "bulletin-7.docx": "20-b",
        "bulletin-8.docx": "21-a",
        "charge.pdf": "30-a",
        "prices.xlsx": "60-b",
    }
    ledger = {
        name: LedgerEntry(name, fingerprint, "00", RECIPE, chunks=1, missing=missing)
        for name, (fingerprint, missing) in held.items()
    }
    items = tuple(SourceItem(name, fingerprint, 10) for name, fingerprint in listed.items())
    deletion = DeletionConfig(listings=2, max_share=0.5)
    return Situation(Listing("exercise", items), ledger, RECIPE, deletion)


def plan(answer: Mapping[str, Collection[str]]) -> Checked:
    """Compare a predicted plan, kind → documents, with the one that `diff` makes."""
    found = situation()
    made = diff(found.listing, found.ledger, found.recipe, found.deletion)
    kinds = {kind: {change.document for change in getattr(made, kind)} for kind in _WHY}
    unknown = sorted(set(answer) - set(kinds))
    if unknown:
        return Checked(False, f"Unknown kind '{unknown[0]}'; the kinds are {', '.join(kinds)}.")
    given = {document: kind for kind in answer for document in answer[kind]}
    if sum(len(set(documents)) for documents in answer.values()) > len(given):
        return Checked(False, "A document has one kind only, and here one stands under two.")
    strange = sorted(set(given) - set().union(*kinds.values()))
    if strange:
        return Checked(False, f"{strange[0]} is neither listed nor in the ledger.")
    for kind, documents in kinds.items():
        for document in sorted(documents):
            said = given.get(document, "")
            if said != kind:
                placed = f"is put under '{said}'" if said else "is missing from your plan"
                return Checked(False, f"{document} {placed}, but it is '{kind}': {_WHY[kind]}.")
    return Checked(
        True,
        "Note charge.pdf: it was missing once and came back, so it is kept and its tombstone goes.",
    )


DOCUMENTS, SYNCS, WITHIN = 100, 200, 4
"""Documents of the flaky source, syncs tried, syncs within which a withdrawal must show."""
OUTAGE, LASTS, LEAST, MOST = 0.06, 2, 0.1, 0.4
"""How often a part of the source stops being listed, for how many syncs, and how large it is."""


class Outcome(NamedTuple):
    """What a choice of guards led to."""

    wrongly_deleted: int
    """Documents that left the index although the source had them."""
    refused: int
    """Syncs that changed nothing because too much was missing."""
    slowest: int
    """Most syncs that it took a withdrawn document to leave; ``SYNCS`` when one never did."""


def simulate(deletion: DeletionConfig, *, seed: int = 3) -> Outcome:
    """Run the guards against a source that loses a part of some listings without saying so.

    Now and then 10 % to 40 % of the documents, the same ones, are missing from two listings in a
    row that claim to be complete. Every twentieth sync one document is withdrawn.
    """
    rng = random.Random(seed)
    names = [f"d{number:03}.pdf" for number in range(DOCUMENTS)]
    withdrawn: dict[str, int] = {}
    lost: set[str] = set()
    took: list[int] = []
    ledger = {name: LedgerEntry(name, "f", "00", RECIPE, chunks=1) for name in names}
    wrong = refused = back = 0
    for sync in range(SYNCS):
        if sync % 20 == 10:
            withdrawn[rng.choice([name for name in names if name not in withdrawn])] = sync
        if sync >= back:
            lost = set()
            if rng.random() < OUTAGE:
                lost = set(rng.sample(names, round(DOCUMENTS * rng.uniform(LEAST, MOST))))
                back = sync + LASTS
        there = [name for name in names if name not in withdrawn and name not in lost]
        items = tuple(SourceItem(name, "f", 1) for name in there)
        made = diff(Listing("flaky", items), ledger, RECIPE, deletion)
        refused += bool(made.refused)
        for change in made.create:
            ledger[change.document] = LedgerEntry(change.document, "f", "00", RECIPE, chunks=1)
        for entry in made.entries:
            ledger[entry.document] = entry
        for change in made.delete:
            del ledger[change.document]
            if change.document in withdrawn:
                took.append(sync - withdrawn[change.document] + 1)
            else:
                wrong += 1
    left = any(name in ledger for name in withdrawn)
    return Outcome(wrong, refused, SYNCS if left else max(took))


def flaky_source(*, listings: int, max_share: float) -> Checked:
    """Judge ``etl.deletion`` settings: nothing wrongly deleted, withdrawals gone soon enough."""
    try:
        outcome = simulate(DeletionConfig(listings=listings, max_share=max_share))
    except ValueError:
        return Checked(
            False, "listings is a whole number from 1 on, max_share a share from 0 to 1."
        )
    told = (
        f"In {SYNCS} syncs: {outcome.wrongly_deleted} documents deleted that were there, "
        f"{outcome.refused} syncs refused, "
    )
    if outcome.slowest == SYNCS:
        told += "and a withdrawn document never left the index."
    else:
        told += f"withdrawn documents left within {outcome.slowest} sync(s)."
    if outcome.wrongly_deleted:
        return Checked(
            False,
            f"{told} An outage must not look like a withdrawal: wait longer than it lasts, "
            "or believe no listing that lacks as much as it does.",
        )
    if outcome.slowest > WITHIN:
        return Checked(
            False,
            f"{told} That is too slow: a dangerous value may be served for {WITHIN} syncs at most.",
        )
    return Checked(True, f"{told} The outages were waited out or not believed.")
