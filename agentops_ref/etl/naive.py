"""Ingestion that only appends: the counter-example of chapter 3.

It is what many pipelines do: take each file that was not seen yet, chunk it, add it. An updated
file is another file to it, and a deleted one is none of its business, so the index goes on serving
what was withdrawn. It writes into the same sinks, so that the same `Searcher` shows the difference.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

from agentops_ref.errors import DocumentError
from agentops_ref.etl.sinks.base import Commit, Rows, Sink, searchable
from agentops_ref.etl.sources import Source
from agentops_ref.etl.stages import Stages
from agentops_ref.records import Chunk, LedgerEntry, SyncReport


def append(source: Source, sink: Sink, stages: Stages) -> SyncReport:
    """Add every file whose path and fingerprint were not seen before; never change or remove."""
    started, before = time.perf_counter(), Counter(stages.work)
    seen = sink.ledger()
    made: list[tuple[str, LedgerEntry, tuple[Chunk, ...]]] = []
    failed: list[tuple[str, str]] = []
    for item in source.list().items:
        key = f"{item.document}@{item.fingerprint}"
        if key in seen:
            continue
        try:
            data = stages.read(source, item.document)
            ready = stages.prepare(source, item.document, data=data)
        except (DocumentError, OSError) as error:
            failed.append((item.document, str(error)))
            continue
        # Another id for each copy; otherwise the sink would replace the first one.
        chunks = tuple(replace(c, id=f"{c.id}@{item.fingerprint}") for c in ready.chunks)
        entry = LedgerEntry(
            key, item.fingerprint, ready.content_hash, stages.recipe, chunks=len(chunks)
        )
        made.append((item.document, entry, chunks))
    vectors = stages.embed([searchable(chunk) for _, _, chunks in made for chunk in chunks])
    rows, start = [], 0
    for _, entry, chunks in made:
        rows.append(Rows(entry, chunks, vectors[start : start + len(chunks)]))
        start += len(chunks)
    commit = Commit(tuple(rows))
    stages.work["write"] += sum(1 + entry.chunks for _, entry, _ in made)
    version = sink.commit(commit) if commit else sink.version
    work = stages.work - before
    return SyncReport(
        source.name,
        version,
        created=tuple(document for document, _, _ in made),
        quarantined=tuple(failed),
        unchanged=len(seen),
        work={stage: work[stage] for stage in ("read", "parse", "chunk", "embed", "write")},
        seconds=time.perf_counter() - started,
    )
