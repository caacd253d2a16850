"""Error analysis: people read traces, say where each went wrong first, and group what they said.

::

    JSONL, MLflow run ── import ─▶ readings.jsonl ── next_unread ─▶ a person ── new_reading ─┐
                                        ▲                                                   │
                                        └───────────────────────────────────────────────────┘

The file is only added to; of a trace and of a person's reading of it, the newest line counts.
Taught in chapter 8. Imports neither agents nor ETL: the composition root says how they are named.
"""

from agentops_ref.evals.errors.lines import parse_lines, to_line
from agentops_ref.evals.errors.reading import (
    Count,
    failure_counts,
    new_reading,
    next_unread,
    reading_order,
    state_counts,
    trace_called,
)
from agentops_ref.evals.errors.records import (
    START,
    Machine,
    Message,
    Reading,
    Readings,
    Trace,
    Visit,
)
from agentops_ref.evals.errors.store import Imported, add_records, load_readings, records_of
from agentops_ref.evals.errors.tracked import traces_of_run
from agentops_ref.evals.errors.visits import (
    Naming,
    SpanData,
    visits_of_answer,
    visits_of_spans,
)

__all__ = [
    "START",
    "Count",
    "Imported",
    "Machine",
    "Message",
    "Naming",
    "Reading",
    "Readings",
    "SpanData",
    "Trace",
    "Visit",
    "add_records",
    "failure_counts",
    "load_readings",
    "new_reading",
    "next_unread",
    "parse_lines",
    "reading_order",
    "records_of",
    "state_counts",
    "to_line",
    "trace_called",
    "traces_of_run",
    "visits_of_answer",
    "visits_of_spans",
]
