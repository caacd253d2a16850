"""Sinks: where the chunks, their vectors and the ledger are kept, changed by one commit a sync.

    Commit ──► Sink.commit ──► version n+1          Searcher ──► Snapshot (version n, held still)

`base` has the contract, `memory` its plainest form, `lance` the embedded default,
`postgres` the choice for a server, `databricks` the one for Vector Search.
"""

from agentops_ref.etl.sinks.base import (
    Commit,
    Found,
    IndexVersion,
    Rows,
    Sink,
    Snapshot,
    searchable,
)
from agentops_ref.etl.sinks.databricks import DatabricksSink
from agentops_ref.etl.sinks.lance import LanceSink
from agentops_ref.etl.sinks.memory import MemorySink
from agentops_ref.etl.sinks.postgres import PostgresSink

__all__ = [
    "Commit",
    "DatabricksSink",
    "Found",
    "IndexVersion",
    "LanceSink",
    "MemorySink",
    "PostgresSink",
    "Rows",
    "Sink",
    "Snapshot",
    "searchable",
]
