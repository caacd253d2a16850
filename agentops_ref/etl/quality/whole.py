"""The quality of an index as it stands, from the profiles that are kept beside its stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from agentops_ref.errors import DocumentError
from agentops_ref.etl.quality.check import Check
from agentops_ref.etl.quality.profile import DocumentProfile
from agentops_ref.records import LedgerEntry, QualityReport

if TYPE_CHECKING:
    from agentops_ref.etl.sinks.base import Snapshot
    from agentops_ref.etl.sources import Source
    from agentops_ref.etl.stages import Stages

Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""


def whole_index(
    source: Source,
    held: Snapshot,
    stages: Stages,
    check: Check,
    *,
    progress: Progress | None = None,
) -> QualityReport:
    """Judge every document of an index.

    A profile that is not cached is made from the cached elements, and from the source where those
    are gone as well. A document is unknown when the source has another content by now, or when the
    index made it with another recipe; a quarantined one is: which content it serves is not known.
    """
    ledger = held.ledger()

    def profiles() -> Iterator[tuple[LedgerEntry, DocumentProfile | None]]:
        for done, entry in enumerate(ledger.values()):
            if progress:
                progress("profile", done, len(ledger))
            yield entry, _profile(source, stages, entry)
        if progress:
            progress("profile", len(ledger), len(ledger))

    report = check.index(source.name, profiles(), held)
    return replace(report, index_version=held.version)


def _profile(source: Source, stages: Stages, entry: LedgerEntry) -> DocumentProfile | None:
    if entry.error:
        return None
    name, content = entry.document, entry.content_hash
    if (known := stages.profile(name, content, entry.recipe)) is not None:
        return known
    if entry.recipe.split(".")[:2] != stages.recipe.split(".")[:2]:
        return None
    try:
        made = stages.prepare(source, name, known_hash=content)
    except (DocumentError, OSError):
        return None
    return made.profile if made.content_hash == content else None
