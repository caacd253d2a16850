"""What a sync is going to do, decided before anything is read or written. Taught in chapter 3.

`diff` is a pure function of a listing and the ledger. It decides on fingerprints, which are free;
whether a document whose fingerprint moved has really changed is seen when it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from agentops_ref.etl.recipe import changed_stages
from agentops_ref.records import Change, LedgerEntry, Listing
from agentops_ref.settings import DeletionConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of one sync, each with its reason; every tuple in the order of documents."""

    create: tuple[Change, ...] = ()
    update: tuple[Change, ...] = ()
    """Documents to look at again; one that turns out equal only has its fingerprint refreshed."""
    delete: tuple[Change, ...] = ()
    keep: tuple[Change, ...] = ()
    tombstone: tuple[Change, ...] = ()
    """Missing from the listing and still served; as changes they are of kind "keep"."""
    entries: tuple[LedgerEntry, ...] = ()
    """Ledger entries whose count of missing listings moved."""
    refused: str = ""
    """Why nothing is done at all; empty otherwise."""

    @property
    def work(self) -> tuple[Change, ...]:
        """Documents to prepare."""
        return tuple(sorted(self.create + self.update, key=lambda change: change.document))


def diff(
    listing: Listing,
    ledger: Mapping[str, LedgerEntry],
    recipe: str,
    deletion: DeletionConfig,
    *,
    allow_mass_deletion: bool = False,
) -> Plan:
    """Compare a source's listing with the index's ledger.

    Parameters
    ----------
    recipe
        Key of the recipes in force (`Recipes.key`).
    deletion
        After how many complete listings a missing document goes, and the share of the indexed
        documents (0..1) that may be missing before the listing is not believed.
    allow_mass_deletion
        Believe the listing whatever its share.

    Returns
    -------
    Plan
        With ``refused`` set and no changes when the listing is incomplete or drops too much.
    """
    listed = {item.document: item for item in listing.items}
    missing = [name for name in ledger if name not in listed]
    refused = _refusal(listing, len(missing), len(ledger), deletion, allow_mass_deletion)
    if refused:
        kept = tuple(Change("keep", name, "sync refused") for name in sorted(ledger))
        return Plan(keep=kept, refused=refused)

    create, update, delete, keep, tombstone = [], [], [], [], []
    entries = []
    for name in sorted(listed.keys() | ledger.keys()):
        entry = ledger.get(name)
        if entry is None:
            create.append(Change("create", name, "new"))
        elif name not in listed:
            times = entry.missing + 1
            if times >= deletion.listings:
                delete.append(Change("delete", name, f"missing from {times} complete listing(s)"))
            else:
                reason = f"missing from {times} of {deletion.listings} listings"
                tombstone.append(Change("keep", name, reason))
                entries.append(replace(entry, missing=times))
        elif reason := _reason(entry, listed[name].fingerprint, recipe):
            update.append(Change("update", name, reason))
        else:
            keep.append(Change("keep", name, "quarantined" if entry.error else "unchanged"))
            if entry.missing:
                entries.append(replace(entry, missing=0))
    return Plan(
        tuple(create), tuple(update), tuple(delete), tuple(keep), tuple(tombstone), tuple(entries)
    )


def _refusal(
    listing: Listing, missing: int, indexed: int, deletion: DeletionConfig, allowed: bool
) -> str:
    if not listing.complete:
        return f"the listing of {listing.source} is incomplete ({listing.problem})"
    # Counted are all missing documents, not only those that are due: a listing that lost half of
    # the source is not to be believed the first time either.
    if missing > deletion.max_share * indexed and not allowed:
        return (
            f"the listing of {listing.source} lacks {missing} of {indexed} indexed documents, more "
            f"than the allowed share of {deletion.max_share:g}; if they are to go, "
            "run with --allow-mass-deletion"
        )
    return ""


def _reason(entry: LedgerEntry, fingerprint: str, recipe: str) -> str:
    if entry.fingerprint != fingerprint:
        return "fingerprint moved" if entry.fingerprint else "could not be used last time"
    if stages := changed_stages(entry.recipe, recipe):
        return f"recipe changed: {', '.join(stages)}"
    return ""


def settled_digest(listing: Listing, recipe: str) -> str:
    """Name a listing and the recipes: an index that carries it has nothing to do.

    Comparing one digest is what makes the sync of an unchanged source cost its listing and no
    more, however many documents the ledger holds.
    """
    lines = [f"{item.document}\0{item.fingerprint}" for item in listing.items]
    written = "\n".join([recipe, *lines]).encode("utf-8", "surrogatepass")
    return hashlib.sha256(written).hexdigest()
