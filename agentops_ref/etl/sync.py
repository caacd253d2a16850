"""Bring an index in step with its source: one listing, one commit. Taught in chapter 3.

    list → diff → (read → parse → chunk) per changed document → embed in common batches
         → is it good enough (`quality`)? → commit

What is on its way is held in memory up to a few thousand chunks and in a temporary file beyond
(`spool`), so that a sync's memory does not grow with its documents' content. Nothing is written to
the index before the commit, and nothing after it that a reader could notice; what was parsed and
embedded before a crash is found again in the stage cache.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

from agentops_ref.errors import DeveloperError
from agentops_ref.etl.draft import Task
from agentops_ref.etl.engines.base import Engine, LocalEngine
from agentops_ref.etl.plan import Plan, diff, refuse, settled_digest, with_renames
from agentops_ref.etl.quality.check import Candidate, Check, Rejected
from agentops_ref.etl.quality.profile import DocumentProfile
from agentops_ref.etl.recipe import changed_stages
from agentops_ref.etl.sinks.base import Commit, Rows, Sink, Snapshot, searchable
from agentops_ref.etl.sources import Source
from agentops_ref.etl.spool import Spool
from agentops_ref.etl.stages import Stages
from agentops_ref.records import Chunk, LedgerEntry, Listing, SyncReport
from agentops_ref.settings import DeletionConfig

Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""
WINDOW = 2048
"""Chunks that are embedded together: enough for batches of texts of like length."""


def sync(
    source: Source,
    sink: Sink,
    stages: Stages,
    deletion: DeletionConfig,
    *,
    progress: Progress | None = None,
    allow_mass_deletion: bool = False,
    wait: float = 0,
    engine: Engine | None = None,
    quality: Check | None = None,
) -> SyncReport:
    """Create, update and delete so that the index says what the source says.

    Parameters
    ----------
    progress
        Called as ``progress(stage, done, total)`` for list, parse, embed and write.
    allow_mass_deletion
        Apply a listing that drops more than ``deletion.max_share`` of the indexed documents.
    wait
        Seconds to wait for another sync of the same index before giving up.
    engine
        Where documents are read, parsed and chunked; None is one after the other, here.
    quality
        Says which documents keep their old version, and whether anything is committed at all.

    Raises
    ------
    TransientError
        Another sync of the same index is running.
    OperatorError
        The source does not exist, or a model cannot be used.
    """
    started = time.perf_counter()
    tell = progress or (lambda stage, done, total: None)
    before = Counter(stages.work)
    with sink.hold(wait):
        tell("list", 0, 1)
        listing = source.list()
        held = sink.snapshot()
        digest = settled_digest(listing, stages.recipe) if listing.complete else ""
        if digest and digest == held.digest:
            tell("list", 1, 1)
            sink.maintain()  # in case the last commit was not followed by it
            unchanged = SyncReport(source.name, held.version, unchanged=len(listing.items))
            return replace(unchanged, work=_work(stages.work - before), seconds=_since(started))
        ledger = held.ledger()
        tell("list", 1, 1)
        plan = diff(
            listing,
            ledger,
            stages.recipe,
            deletion,
            allow_mass_deletion=allow_mass_deletion,
        )
        drafts = _Drafts(stages, tell, quality)
        try:
            plan = _prepare_all(
                source,
                held,
                plan,
                listing,
                ledger,
                drafts,
                deletion,
                allow_mass_deletion,
                engine or LocalEngine(),
            )
            state = _state(ledger, plan, drafts)
            judged = None
            if quality is not None and not plan.refused:
                judged = quality(drafts.candidate(source, held, ledger, state))
                if judged is not None and judged.refused:
                    plan, state = refuse(judged.refused, ledger), ledger
                    drafts.drop()
            settled = not plan.refused and _settled(state, listing, stages.recipe)
            gone = tuple(change.document for change in plan.delete)
            commit = drafts.commit(gone, digest if settled else "")
            if commit:
                tell("write", 0, 1)
                stages.work["write"] += drafts.rows + len(gone)
                version = sink.commit(commit)
                tell("write", 1, 1)
            else:
                sink.maintain()  # in case the last commit was not followed by it
                version = held.version
        finally:
            drafts.replaced.close()
        report = _report(source, plan, drafts, state, version, stages.work - before, started)
        return replace(report, quality=judged and replace(judged, index_version=version))


def _prepare_all(
    source: Source,
    held: Snapshot,
    plan: Plan,
    listing: Listing,
    ledger: dict[str, LedgerEntry],
    drafts: _Drafts,
    deletion: DeletionConfig,
    allow_mass_deletion: bool,
    engine: Engine,
) -> Plan:
    """Fill the drafts with what the plan asks for; return the plan with its renames."""
    if plan.refused:
        return plan
    fingerprints = {item.document: item.fingerprint for item in listing.items}
    _prepare(source, held, plan, ledger, fingerprints, drafts, engine)
    contents = dict(drafts.contents())
    plan = with_renames(
        plan,
        ledger,
        {name: contents[name] for name in drafts.created},
        deletion,
        source.name,
        allow_mass_deletion=allow_mass_deletion,
    )
    if plan.refused:
        drafts.drop()
    _keep(held, plan, ledger, drafts)
    drafts.embed()
    return plan


@dataclass
class _Drafts:
    """What a sync has found out so far, on the way to its commit."""

    stages: Stages
    tell: Progress
    quality: Check | None = None
    replaced: Spool = field(default_factory=Spool)
    entries: list[LedgerEntry] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    waiting: list[tuple[LedgerEntry, tuple[Chunk, ...]]] = field(default_factory=list)
    """Chunked and not embedded yet."""
    chunks: int = 0
    """How many chunks are waiting."""
    profiles: dict[str, DocumentProfile] = field(default_factory=dict)
    """Of the documents that are replaced; some hundred bytes each."""
    rejected: list[Rejected] = field(default_factory=list)

    def not_good_enough(
        self,
        entry: LedgerEntry,
        chunks: tuple[Chunk, ...],
        profile: DocumentProfile | None,
        old: LedgerEntry | None,
    ) -> LedgerEntry | None:
        """Return the entry of a document that keeps its old version; None where it may go on."""
        if self.quality is not None:
            if profile is None:
                raise DeveloperError("quality needs profiles: Stages(..., profiles=True)")
            if reason := self.quality.document(entry.document, profile, chunks):
                self.rejected.append(Rejected(entry.document, reason))
                # Without a fingerprint, so that it is judged again when expectations change.
                kept = old.chunks if old else 0
                return replace(entry, fingerprint="", chunks=kept, error=reason)
            self.profiles[entry.document] = profile
        return None

    def candidate(
        self,
        source: Source,
        held: Snapshot,
        ledger: Mapping[str, LedgerEntry],
        state: Mapping[str, LedgerEntry],
    ) -> Candidate:
        """Return what is to be judged, before it is committed."""
        rejected = tuple(self.rejected)
        return Candidate(source.name, held, ledger, state, self.replaced, self.profiles, rejected)

    def replace(self, entry: LedgerEntry, chunks: tuple[Chunk, ...]) -> None:
        """Take a document whose rows shall be these."""
        self.waiting.append((entry, chunks))
        self.chunks += len(chunks)
        if self.chunks >= WINDOW:
            self.embed()

    def embed(self) -> None:
        """Embed what is waiting, all documents in common batches."""
        texts = [searchable(chunk) for _, chunks in self.waiting for chunk in chunks]
        vectors = self.stages.embed(texts, lambda done, total: self.tell("embed", done, total))
        start = 0
        for entry, chunks in self.waiting:
            part = vectors[start : start + len(chunks)]
            self.replaced.append(Rows(entry, chunks, part))
            start += len(chunks)
        self.waiting, self.chunks = [], 0

    def drop(self) -> None:
        """Take nothing along; what was parsed and embedded stays in the cache."""
        self.replaced.close()
        self.entries, self.created, self.updated, self.waiting = [], [], [], []

    def commit(self, gone: tuple[str, ...], digest: str) -> Commit:
        return Commit(self.replaced, tuple(self.entries), gone, digest)

    def contents(self) -> Iterator[tuple[str, str]]:
        """Yield (document, content hash) of what is replaced."""
        for entry in chain(self.replaced.entries, (entry for entry, _ in self.waiting)):
            yield entry.document, entry.content_hash

    @property
    def rows(self) -> int:
        """Rows that a commit of it writes."""
        return len(self.entries) + sum(1 + entry.chunks for entry in self.replaced.entries)


def _prepare(
    source: Source,
    held: Snapshot,
    plan: Plan,
    ledger: dict[str, LedgerEntry],
    fingerprints: dict[str, str],
    drafts: _Drafts,
    engine: Engine,
) -> None:
    """Read, parse and chunk what may have changed."""
    names = [change.document for change in plan.work]
    tasks = [Task(name, fingerprints[name], ledger.get(name)) for name in names]
    drafts.tell("parse", 0, len(tasks))
    with closing(engine.draft(source, drafts.stages, tasks)) as made:
        for done, (task, draft) in enumerate(zip(tasks, made, strict=True), 1):
            entry, old = draft.entry, task.old
            if entry is None:
                pass  # it went away after the listing; the next one will tell
            elif draft.quarantined:
                _retain(held, entry, old, drafts)
            elif draft.chunks is not None:
                rejected = drafts.not_good_enough(entry, draft.chunks, draft.profile, old)
                if rejected:
                    _retain(held, rejected, old, drafts)
                else:
                    drafts.replace(entry, draft.chunks)
                    (drafts.created if old is None else drafts.updated).append(task.document)
            elif entry != old:
                drafts.entries.append(entry)
            drafts.tell("parse", done, len(tasks))


def _keep(held: Snapshot, plan: Plan, ledger: dict[str, LedgerEntry], drafts: _Drafts) -> None:
    """Note what is missing or hidden and still served, and what is there again."""
    moved = {entry.document: entry for entry in plan.entries}
    for change in plan.tombstone:
        name = change.document
        _retain(held, moved.pop(name), ledger[name], drafts)
    for change in plan.hidden:
        _retain(held, ledger[change.document], ledger[change.document], drafts)
    drafts.entries += moved.values()


def _retain(held: Snapshot, entry: LedgerEntry, old: LedgerEntry | None, drafts: _Drafts) -> None:
    """Keep the chunks that the index has; embed them anew if the embedding recipe changed.

    Otherwise a search would compare vectors of two models.
    """
    stages = drafts.stages
    if old is not None and "embed" in changed_stages(old.recipe, stages.recipe):
        chunks = tuple(held.chunks_of(entry.document))
        # The ledger always says which model the vectors are of, whatever else is out of date.
        parse, chunk, _ = entry.recipe.split(".")
        entry = replace(entry, recipe=f"{parse}.{chunk}.{stages.recipes.embed.hash}")
        drafts.replace(entry, chunks)
    elif entry != old:
        drafts.entries.append(entry)


def _state(
    ledger: Mapping[str, LedgerEntry], plan: Plan, drafts: _Drafts
) -> dict[str, LedgerEntry]:
    """Return the ledger as it will be after the commit."""
    state = dict(ledger)
    for entry in [*drafts.entries, *drafts.replaced.entries]:
        state[entry.document] = entry
    for change in plan.delete:
        state.pop(change.document)
    return state


def _settled(state: Mapping[str, LedgerEntry], listing: Listing, recipe: str) -> bool:
    """Whether another sync of the same listing would have nothing to look at or to report."""
    done = {
        entry.document: entry.fingerprint
        for entry in state.values()
        if entry.recipe == recipe and not entry.error and not entry.missing
    }
    return done == {item.document: item.fingerprint for item in listing.items} and len(done) == len(
        state
    )


def _report(
    source: Source,
    plan: Plan,
    drafts: _Drafts,
    state: Mapping[str, LedgerEntry],
    version: int,
    work: Counter[str],
    started: float,
) -> SyncReport:
    deleted = tuple(change.document for change in plan.delete)
    tombstoned = tuple(change.document for change in plan.tombstone)
    touched = {*drafts.created, *drafts.updated, *deleted, *tombstoned}
    return SyncReport(
        source.name,
        version,
        created=tuple(drafts.created),
        updated=tuple(drafts.updated),
        deleted=deleted,
        tombstoned=tombstoned,
        renamed=plan.renamed,
        quarantined=tuple((e.document, e.error) for e in state.values() if e.error),
        unchanged=sum(1 for e in state.values() if e.document not in touched and not e.error),
        refused=plan.refused,
        work=_work(work),
        seconds=_since(started),
    )


def _work(counted: Counter[str]) -> dict[str, int]:
    work = {stage: counted[stage] for stage in ("read", "parse", "chunk", "embed", "write")}
    return work | ({"retry": counted["retry"]} if counted["retry"] else {})


def _since(started: float) -> float:
    return time.perf_counter() - started
