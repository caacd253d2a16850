"""Metrics of ragas as scorers; only those that ask no model.

Taught in chapter 8. Named in YAML like any other scorer
(``agentops_ref.evals.ragas_scorers:context_precision_by_id``); importing ragas costs seconds, so it
happens at the first score.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from agentops_ref.errors import MissingExtra
from agentops_ref.records import Answer, Case, Score


def context_precision_by_id(case: Case, answer: Answer) -> Score:
    """Share of the documents shown to the model that are among the case's sources."""
    name = "context_precision_by_id"
    if case.abstain or not case.sources:
        return Score(name, None, "no source expected")
    shown = list(dict.fromkeys(hit.chunk.document for hit in answer.hits))
    if not shown:
        return Score(name, 0.0, "nothing was retrieved")
    value = _score(shown, list(case.sources))
    return Score(name, value, f"shown: {', '.join(shown)}")


def _score(retrieved: list[str], reference: list[str]) -> float:
    sample_type, metric = _ragas()
    sample = sample_type(retrieved_context_ids=retrieved, reference_context_ids=reference)
    # In a thread of its own: ragas runs an event loop, and a notebook already has one.
    with ThreadPoolExecutor(1) as pool:
        return float(pool.submit(metric.single_turn_score, sample).result())


@lru_cache(maxsize=1)
def _ragas() -> tuple[Any, Any]:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ragas import SingleTurnSample
            from ragas.metrics import IDBasedContextPrecision
    except ImportError:
        raise MissingExtra("ragas", "eval") from None
    return SingleTurnSample, IDBasedContextPrecision()
