"""Evaluation: cases in, answers from a ``predict`` callable, scores with intervals out.

::

    cases.yaml ── load_cases ─┐
    predict(case) ────────────┼─ evaluate ── EvalResult ── slice_table, plot_slices
    scorers, a Judge ─────────┘    │              ├─────── verdict (gate)
                                 MLflow run       └─────── compare (paired)
    search(question) ─────────── compare_retrieval         (no model)

Imports neither agents nor ETL; MLflow, matplotlib, rich and numpy are imported where used.
"""

from agentops_ref.evals.cases import cases_digest, check_cases, load_cases, select
from agentops_ref.evals.gate import Verdict, verdict
from agentops_ref.evals.judge import Judge
from agentops_ref.evals.matching import states
from agentops_ref.evals.plots import plot_comparisons, plot_slices
from agentops_ref.evals.report import (
    describe,
    describe_comparison,
    failure_list,
    retrieval_table,
    slice_table,
    verdict_table,
)
from agentops_ref.evals.result import Aggregate, CaseResult, Comparison, EvalResult, compare
from agentops_ref.evals.retrieval import compare_retrieval, measure_retrieval, retrieval_difference
from agentops_ref.evals.run import evaluate
from agentops_ref.evals.scorers import Scorer, load_scorers, scorer_digest
from agentops_ref.evals.stages import count_stages, describe_stages, first_failure, plot_stages
from agentops_ref.evals.statistics import (
    Interval,
    cases_for,
    gate_power,
    mcnemar,
    paired_bootstrap,
    pass_hat_k,
    proportion_interval,
)

__all__ = [
    "Aggregate",
    "CaseResult",
    "Comparison",
    "EvalResult",
    "Interval",
    "Judge",
    "Scorer",
    "Verdict",
    "cases_digest",
    "cases_for",
    "check_cases",
    "compare",
    "compare_retrieval",
    "count_stages",
    "describe",
    "describe_comparison",
    "describe_stages",
    "evaluate",
    "failure_list",
    "first_failure",
    "gate_power",
    "load_cases",
    "load_scorers",
    "mcnemar",
    "measure_retrieval",
    "paired_bootstrap",
    "pass_hat_k",
    "plot_comparisons",
    "plot_slices",
    "plot_stages",
    "proportion_interval",
    "retrieval_difference",
    "retrieval_table",
    "scorer_digest",
    "select",
    "slice_table",
    "states",
    "verdict",
    "verdict_table",
]
