"""What a sync is going to do, decided before anything is read or written. Taught in chapter 3.

`diff` is a pure function of a listing and the ledger. It decides on fingerprints, which are free;
whether a document whose fingerprint moved has really changed is seen when it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
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
    hidden: tuple[Change, ...] = ()
    """In a folder that cannot be looked into, and still served; of kind "keep"."""
    entries: tuple[LedgerEntry, ...] = ()
    """Ledger entries whose count of missing listings moved."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(old name, new name) pairs; the old one is among ``delete``, the new one in ``create``."""
    refused: str = ""
    """Why nothing is done at all; empty otherwise."""

    @property
    def gone(self) -> tuple[Change, ...]:
        """Documents that the listing lacks."""
        return tuple(sorted(self.delete + self.tombstone, key=lambda change: change.document))

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
        With ``refused`` set and no changes when the listing is incomplete or drops too much. It
        shows a renamed document as a new and a missing one, as only reading tells; see
        `with_renames`.
    """
    listed = {item.document: item for item in listing.items}
    hidden = below(listing.closed, ledger.keys() - listed.keys())
    missing = ledger.keys() - listed.keys() - hidden
    refused = ""
    if not listing.complete:
        refused = f"the listing of {listing.source} is incomplete ({listing.problem})"
    elif not allow_mass_deletion:
        # A new document may turn out to be a missing one under another name (`with_renames`).
        served = _served(ledger)
        lost = len(missing & served)
        lost -= min(lost, len(listed.keys() - ledger.keys()))
        refused = _too_many(lost, len(served), deletion, listing.source)
    if refused:
        return refuse(refused, ledger)

    create, update, delete, keep, tombstone = [], [], [], [], []
    entries = []
    for name in sorted((listed.keys() | ledger.keys()) - hidden):
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
    reason = "its folder cannot be looked into"
    unseen = tuple(Change("keep", name, reason) for name in sorted(hidden))
    return Plan(
        tuple(create),
        tuple(update),
        tuple(delete),
        tuple(keep),
        tuple(tombstone),
        unseen,
        tuple(entries),
    )


def with_renames(
    plan: Plan,
    ledger: Mapping[str, LedgerEntry],
    contents: Mapping[str, str],
    deletion: DeletionConfig,
    source: str,
    *,
    allow_mass_deletion: bool = False,
) -> Plan:
    """Recognise renamed documents once the new ones have been read.

    A missing document whose content has come up under a new name is not lost, so that it neither
    waits for further listings nor counts for the guard: a renamed folder is no mass deletion.

    Parameters
    ----------
    contents
        New document → content hash, of those that could be read and parsed.

    Returns
    -------
    Plan
        Refused when too many documents are missing that were not renamed.
    """
    if plan.refused:
        return plan
    new: dict[str, list[str]] = {}
    for name in sorted(contents, reverse=True):
        new.setdefault(contents[name], []).append(name)
    renamed = {}
    for change in plan.gone:
        if names := new.get(ledger[change.document].content_hash):
            renamed[change.document] = names.pop()
    served = _served(ledger)
    lost = len(served & {change.document for change in plan.gone} - renamed.keys())
    if not allow_mass_deletion and (refused := _too_many(lost, len(served), deletion, source)):
        return refuse(refused, ledger)
    delete = [change for change in plan.delete if change.document not in renamed]
    delete += [Change("delete", old, f"renamed to {new}") for old, new in renamed.items()]
    return replace(
        plan,
        delete=tuple(sorted(delete, key=lambda change: change.document)),
        tombstone=tuple(change for change in plan.tombstone if change.document not in renamed),
        entries=tuple(entry for entry in plan.entries if entry.document not in renamed),
        renamed=tuple(renamed.items()),
    )


def _served(ledger: Mapping[str, LedgerEntry]) -> set[str]:
    """Return what the index would lose something by: not what could never be read."""
    return {name for name, entry in ledger.items() if entry.chunks or not entry.error}


def _too_many(missing: int, served: int, deletion: DeletionConfig, source: str) -> str:
    # Counted are all missing documents, not only those that are due: a listing that lost half of
    # the source is not to be believed the first time either. One document may always go, or a
    # folder of three could never lose any; but not the last one: nothing at all is an unmounted
    # disk far more often than a decision.
    allowed = deletion.max_share * served
    if deletion.max_share and served > 1:
        allowed = max(allowed, 1)
    if missing <= allowed:
        return ""
    return (
        f"the listing of {source} lacks {missing} of {served} indexed documents, more "
        f"than the allowed share of {deletion.max_share:g}; if they are to go, "
        "run with --allow-mass-deletion"
    )


def below(folders: Collection[str], documents: Collection[str]) -> set[str]:
    """Return the documents that are below one of the folders."""
    within = tuple(f"{folder}/" for folder in folders)
    return {name for name in documents if name.startswith(within)}


def refuse(reason: str, ledger: Mapping[str, LedgerEntry]) -> Plan:
    """Return a plan that keeps everything as it is, and says why."""
    kept = tuple(Change("keep", name, "sync refused") for name in sorted(ledger))
    return Plan(keep=kept, refused=reason)


def _reason(entry: LedgerEntry, fingerprint: str, recipe: str) -> str:
    if entry.fingerprint != fingerprint:
        return "fingerprint moved" if entry.fingerprint else "could not be used last time"
    if entry.recipe == recipe:
        return ""
    return f"recipe changed: {', '.join(changed_stages(entry.recipe, recipe))}"


def settled_digest(listing: Listing, recipe: str) -> str:
    """Name a listing and the recipes: an index that carries it has nothing to do.

    Comparing one digest is what makes the sync of an unchanged source cost its listing and no
    more, however many documents the ledger holds.
    """
    lines = [f"{item.document}\0{item.fingerprint}" for item in listing.items]
    written = "\n".join([recipe, *lines]).encode("utf-8", "surrogatepass")
    return hashlib.sha256(written).hexdigest()
