"""Where the map stages run: in this process, or in many. Taught in chapter 3.

    tasks ──► Engine.draft(source, stages, tasks) ──► drafts, in the order of the tasks
              LocalEngine   one after the other, here
              DaftEngine    in worker processes: of this machine, or of a Ray cluster

An engine changes where the work is done and nothing of what comes out of it. The listing, the
ledger, the embedding in common batches and the one commit stay where the sync runs.
"""

from agentops_ref.etl.engines.base import Engine, LocalEngine
from agentops_ref.etl.engines.daft import DaftEngine

__all__ = ["DaftEngine", "Engine", "LocalEngine"]
