"""Does the index hold what the source and the recipes say it should? Taught in chapter 3.

A sync believes fingerprints and its own ledger. An audit believes nothing: it reads every document,
makes its chunks and vectors again (from the stage cache where it can) and compares them with what
the index really holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from agentops_ref.errors import DocumentError, OperatorError
from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.plan import below
from agentops_ref.etl.recipe import changed_stages, content_hash
from agentops_ref.etl.sinks.base import Commit, Rows, Sink, Snapshot, searchable
from agentops_ref.etl.sources import Source
from agentops_ref.etl.stages import Stages
from agentops_ref.records import Chunk, LedgerEntry, Listing

Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""
Kind = Literal["missing", "stale", "orphaned", "duplicated", "recipe", "altered", "unreadable"]
MEANING: Mapping[Kind, str] = {
    "missing": "the source has it, the index lacks it or some of its chunks",
    "stale": "the index holds an earlier content",
    "orphaned": "the index holds chunks that nothing accounts for, or a document that is gone",
    "duplicated": "the index holds a chunk more than once",
    "recipe": "made with another parser, chunker or embedding model than is configured",
    "altered": "a text or vector in the index is not the one that its document gives",
    "unreadable": "the document cannot be read or parsed, so it was not compared",
}
CLOSE = 2e-3
"""Largest difference of one number of a vector that rounding may make."""


class Finding(NamedTuple):
    """One disagreement."""

    kind: Kind
    document: str
    detail: str
    mendable: bool = True
    """False for what a repair leaves alone: a deletion is for a sync, a broken file for people."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found, and what it mended."""

    source: str
    checked: int
    """Documents of the source that were compared."""
    findings: tuple[Finding, ...]
    """In the order of documents."""
    repaired: tuple[str, ...] = ()
    """Documents whose rows were made anew or removed."""
    index_version: int = 0

    def counts(self) -> dict[Kind, int]:
        """Return how many findings there are of each kind that occurs."""
        return dict(Counter(finding.kind for finding in self.findings))


def audit(
    source: Source,
    sink: Sink,
    stages: Stages,
    *,
    repair: bool = False,
    wait: float = 0,
    progress: Progress | None = None,
) -> AuditReport:
    """Compare source, ledger, chunks and vectors; with ``repair``, mend them in one commit.

    A document that the source no longer has is named and left alone: when it goes is for a sync to
    decide, which counts listings and knows how much may go at once.

    Raises
    ------
    OperatorError
        The source could not be listed completely, so that nothing can be concluded from it.
    TransientError
        With ``repair``: another sync of the same index is running.
    """
    if not repair:
        return _compare(source, sink.snapshot(), stages, progress)[0]
    with sink.hold(wait):
        report, wanted = _compare(source, sink.snapshot(), stages, progress)
        broken = {f.document for f in report.findings if f.mendable}
        replace = tuple(rows for name, rows in sorted(wanted.items()) if name in broken)
        gone = tuple(sorted(broken - set(wanted)))
        version = report.index_version
        if replace or gone:
            version = sink.commit(Commit(replace, (), gone))
    return AuditReport(
        report.source, report.checked, report.findings, tuple(sorted(broken)), version
    )


def _compare(
    source: Source, held: Snapshot, stages: Stages, progress: Progress | None
) -> tuple[AuditReport, dict[str, Rows]]:
    """Return the report, and the rows that each readable document should have."""
    listing = source.list()
    if not listing.complete:
        raise OperatorError(f"cannot audit: {listing.source} was not listed ({listing.problem})")
    ledger, stored = held.ledger(), _by_owner(held)
    findings, wanted = [], {}
    for done, item in enumerate(listing.items):
        if progress:
            progress("audit", done, len(listing.items))
        name, entry = item.document, ledger.get(item.document)
        try:
            data = stages.read(source, name)
            made = stages.prepare(source, name, data=data)
        except (DocumentError, OSError) as error:
            findings.append(Finding("unreadable", name, str(error), mendable=False))
            continue
        vectors = stages.embed([searchable(chunk) for chunk in made.chunks])
        fresh = LedgerEntry(
            name, item.fingerprint, made.content_hash, stages.recipe, len(made.chunks)
        )
        wanted[name] = Rows(fresh, made.chunks, vectors)
        findings += _of_document(entry, content_hash(data), stages.recipe, wanted[name], stored)
    if progress:
        progress("audit", len(listing.items), len(listing.items))
    findings += _unaccounted(listing, ledger, stored)
    ordered = tuple(sorted(findings, key=lambda f: (f.document, f.kind)))
    return AuditReport(source.name, len(wanted), ordered, (), held.version), wanted


def _of_document(
    entry: LedgerEntry | None,
    content: str,
    recipe: str,
    wanted: Rows,
    stored: Mapping[str, Sequence[tuple[Chunk, Vectors]]],
) -> Iterator[Finding]:
    name = wanted.entry.document
    held = stored.get(name, ())
    if entry is None:
        detail = f"its {len(held)} chunks are in no ledger" if held else "it is not in the index"
        yield Finding("missing", name, detail)
        return
    if entry.error:
        yield Finding("missing", name, f"quarantined: {entry.error}")
        return
    if entry.content_hash != content:
        yield Finding("stale", name, f"indexed as {entry.content_hash[:12]}, now {content[:12]}")
        return
    if changed := changed_stages(entry.recipe, recipe):
        yield Finding("recipe", name, f"other recipe of: {', '.join(changed)}")
        return
    yield from _of_chunks(name, wanted, held)


def _of_chunks(name: str, wanted: Rows, held: Sequence[tuple[Chunk, Vectors]]) -> Iterator[Finding]:
    times = Counter(chunk.id for chunk, _ in held)
    right = {chunk.id: at for at, chunk in enumerate(wanted.chunks)}
    if lacking := [one for one in right if one not in times]:
        yield Finding("missing", name, f"{len(lacking)} of {len(right)} chunks")
    if extra := [one for one in times if one not in right]:
        yield Finding("orphaned", name, f"{len(extra)} chunks that it does not give: {extra[0]}")
    if twice := [one for one, n in times.items() if n > 1]:
        yield Finding(
            "duplicated", name, f"{len(twice)} chunks: {twice[0]}, {times[twice[0]]} times"
        )
    texts = vectors = 0
    for chunk, vector in held:
        at = right.get(chunk.id)
        if at is None:
            continue
        texts += chunk != wanted.chunks[at]
        same = vector.shape == wanted.vectors[at].shape
        vectors += not same or float(np.abs(vector - wanted.vectors[at]).max(initial=0)) > CLOSE
    if texts or vectors:
        yield Finding("altered", name, f"{texts} texts and {vectors} vectors")


def _unaccounted(
    listing: Listing,
    ledger: Mapping[str, LedgerEntry],
    stored: Mapping[str, Sequence[tuple[Chunk, Vectors]]],
) -> Iterator[Finding]:
    listed = {item.document for item in listing.items}
    hidden = below(listing.closed, ledger.keys() - listed)
    for name in sorted(ledger.keys() - listed - hidden):
        yield Finding("orphaned", name, "the source has it no more; a sync decides", mendable=False)
    for name in sorted(stored.keys() - ledger.keys() - listed):
        yield Finding("orphaned", name, f"{len(stored[name])} chunks that are in no ledger")


def _by_owner(held: Snapshot) -> dict[str, list[tuple[Chunk, Vectors]]]:
    stored: dict[str, list[tuple[Chunk, Vectors]]] = {}
    for owner, chunk, vector in held.stored():
        stored.setdefault(owner, []).append((chunk, vector))
    return stored
