"""Metrics of ragas as scorers: one that asks no model, and those that ask the chat model.

Taught in chapter 8. Named in YAML like any other scorer
(``agentops_ref.evals.ragas_scorers:context_precision_by_id``; for a metric that asks a model,
``{path: agentops_ref.evals.ragas_scorers:judged_metric, options: {metric: Faithfulness}}``).
Importing ragas costs seconds, so it happens at the first score.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from math import isnan
from typing import Any

from agentops_ref.errors import MissingExtra, ModelError, nearest
from agentops_ref.evals.scorers import Scorer
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


JUDGED = {
    "Faithfulness": "faithfulness",
    "LLMContextRecall": "context_recall",
    "LLMContextPrecisionWithReference": "context_precision",
    "FactualCorrectness": "factual_correctness",
}
"""Metrics that ask a model and need no embeddings → names of their scorers."""


def judged_metric(metric: str, chat: Any) -> Scorer:
    """Make a scorer of a ragas metric that asks a model several times for each answer.

    Parameters
    ----------
    metric
        One of `JUDGED`. Those that compare with a reference take the case's facts as it.
    chat
        A LangChain chat model; the wiring gives the configured one.

    Raises
    ------
    ValueError
        Another metric.
    """
    if metric not in JUDGED:
        raise ValueError(f"no metric '{metric}' is adapted{nearest(metric, tuple(JUDGED))}")

    def score(case: Case, answer: Answer) -> Score:
        if answer.abstained or not answer.hits:
            return Score(score.__name__, None, "abstained" if answer.abstained else "no excerpts")
        if metric != "Faithfulness" and not case.facts:
            return Score(score.__name__, None, "no facts expected")
        value = _judge(metric, chat, case, answer)
        if isnan(value):  # ragas says so where it found no statement, or could not read the model
            raise ModelError(f"ragas' {metric} gave no number")
        return Score(score.__name__, value, f"ragas {metric}")

    score.__name__ = JUDGED[metric]
    score.judged = True  # type: ignore[attr-defined]
    return score


def _judge(metric: str, chat: Any, case: Case, answer: Answer) -> float:
    import warnings

    sample_type, _ = _ragas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # ragas' own wrapper for LangChain
        import ragas.metrics as metrics
        from ragas.llms import LangchainLLMWrapper

        judge = getattr(metrics, metric)(llm=LangchainLLMWrapper(chat))
    sample = sample_type(
        user_input=case.question,
        response=answer.text,
        retrieved_contexts=[hit.chunk.text for hit in answer.hits],
        reference="; ".join(case.facts),
    )
    with ThreadPoolExecutor(1) as pool:
        return float(pool.submit(judge.single_turn_score, sample).result())
