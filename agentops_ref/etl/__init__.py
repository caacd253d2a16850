"""Documents become a searchable index, tables become Delta tables. Taught in chapters 3, 4 and 6.

    Source ──list──► diff(listing, ledger) ──► read → parse → chunk → embed ──► Sink.commit
                                                        (Stages, cached)            │
    Searcher ◄──────────────────────── Snapshot of one version ◄────────────────────┘

Parts receive their models as arguments; names in YAML become objects in `agentops_ref.wiring`.
"""

from agentops_ref.etl.audit import AuditReport, Finding, audit
from agentops_ref.etl.cache import StageCache
from agentops_ref.etl.fuse import fuse
from agentops_ref.etl.plan import Plan, diff
from agentops_ref.etl.recipe import Recipe, Recipes
from agentops_ref.etl.search import Searcher
from agentops_ref.etl.sinks import Commit, IndexVersion, LanceSink, MemorySink, Sink, Snapshot
from agentops_ref.etl.sources import FolderSource, Source
from agentops_ref.etl.stages import Stages, default_stages
from agentops_ref.etl.sync import sync

__all__ = [
    "AuditReport",
    "Commit",
    "Finding",
    "FolderSource",
    "IndexVersion",
    "LanceSink",
    "MemorySink",
    "Plan",
    "Recipe",
    "Recipes",
    "Searcher",
    "Sink",
    "Snapshot",
    "Source",
    "StageCache",
    "Stages",
    "audit",
    "default_stages",
    "diff",
    "fuse",
    "sync",
]
