"""Error analysis: people read traces, say where each went wrong first, and group what they said.

::

    JSONL, MLflow run ── import ─▶ readings.jsonl ── next_unread ─▶ a person ── new_reading ─┐
                                        ▲                                                   │
                                        └───────────────────────────────────────────────────┘

    readings ─┬─ failure_matrix, trajectories ── between which states, loops, dead ends
              └─ taxonomy.yaml ── assign, propose + accept ──┬─ category_counts, agreements
                                                            ├─ saturation ── may reading stop
                                                            └─ draft_cases ── regression cases

The file is only added to; of a trace and of a person's reading of it, the newest line counts.
Taught in chapter 12. Imports neither agents nor ETL: the composition root says how they are named.
"""

from agentops_ref.evals.errors.agreement import (
    Agreement,
    agreements,
    cohen_kappa,
)
from agentops_ref.evals.errors.lines import (
    parse_lines,
    to_line,
)
from agentops_ref.evals.errors.matrix import (
    Matrix,
    describe_matrix,
    failure_matrix,
    matrix_dict,
)
from agentops_ref.evals.errors.paths import (
    Trajectories,
    describe_trajectories,
    trajectories,
)
from agentops_ref.evals.errors.proposal import (
    SCHEMA,
    propose,
)
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
from agentops_ref.evals.errors.regression import (
    Draft,
    Expected,
    can_fail,
    draft_cases,
    gate_rule,
    write_draft,
)
from agentops_ref.evals.errors.saturation import (
    Saturation,
    accumulation,
    assess_saturation,
    describe_saturation,
    unseen,
)
from agentops_ref.evals.errors.store import (
    Imported,
    add_records,
    load_readings,
    records_of,
)
from agentops_ref.evals.errors.taxonomy import (
    Category,
    Taxonomy,
    accept,
    add_category,
    assign,
    category_counts,
    coverage,
    strays,
)
from agentops_ref.evals.errors.taxonomy_file import load_taxonomy, save_taxonomy
from agentops_ref.evals.errors.tracked import (
    traces_of_run,
)
from agentops_ref.evals.errors.visits import (
    Naming,
    SpanData,
    visits_of_answer,
    visits_of_spans,
)

__all__ = [
    "SCHEMA",
    "START",
    "Agreement",
    "Category",
    "Count",
    "Draft",
    "Expected",
    "Imported",
    "Machine",
    "Matrix",
    "Message",
    "Naming",
    "Reading",
    "Readings",
    "Saturation",
    "SpanData",
    "Taxonomy",
    "Trace",
    "Trajectories",
    "Visit",
    "accept",
    "accumulation",
    "add_category",
    "add_records",
    "agreements",
    "assess_saturation",
    "assign",
    "can_fail",
    "category_counts",
    "cohen_kappa",
    "coverage",
    "describe_matrix",
    "describe_saturation",
    "describe_trajectories",
    "draft_cases",
    "failure_counts",
    "failure_matrix",
    "gate_rule",
    "load_readings",
    "load_taxonomy",
    "matrix_dict",
    "new_reading",
    "next_unread",
    "parse_lines",
    "propose",
    "reading_order",
    "records_of",
    "save_taxonomy",
    "state_counts",
    "strays",
    "to_line",
    "trace_called",
    "traces_of_run",
    "trajectories",
    "unseen",
    "visits_of_answer",
    "visits_of_spans",
    "write_draft",
]
