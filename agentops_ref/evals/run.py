"""Run an evaluation: ask every question once, score the answers, keep all of it in MLflow.

Taught in chapter 8. The loop is ``mlflow.genai.evaluate``: each case becomes one trace, linked to
the run, with the expectations and every score as feedback on it. Without a tracer the same cases
are scored in plain Python, which costs no MLflow import.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from agentops_ref.errors import AgentOpsError, ConfigError, DeveloperError, OperatorError
from agentops_ref.evals.cases import cases_digest
from agentops_ref.evals.judge import Judge
from agentops_ref.evals.result import CaseResult, EvalResult
from agentops_ref.evals.scorers import Scorer, apply, scorer_digest, scorer_path
from agentops_ref.records import Answer, Case, Score
from agentops_ref.tracing import MlflowTracer, NoTracer, Tracer

Predict = Callable[[Case], Answer]
Progress = Callable[[int, int, CaseResult], None]
"""Told after each case: how many are done, how many there are, the case's result."""

_ENVIRONMENT = {
    # Else the first case is asked twice, the first time untraced, to see whether it makes a trace.
    "MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION": "true",
    # Else ten cases a second at most, from the first one on.
    "MLFLOW_GENAI_EVAL_PREDICT_RATE_LIMIT": "0",
    "MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT": "0",
    "MLFLOW_GENAI_EVAL_MAX_SCORER_WORKERS": "1",
}


def evaluate(
    cases: Sequence[Case],
    predict: Predict,
    scorers: Sequence[Scorer],
    *,
    tracer: MlflowTracer | None = None,
    run_name: str = "evaluation",
    params: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    concurrency: int = 1,
) -> EvalResult:
    """Answer and score every case.

    Parameters
    ----------
    cases
        At least one; their ids are unique.
    predict
        The system under test. What it raises fails the case, and every score that applies to it is
        0; an `OperatorError`, `ConfigError` or `DeveloperError` (a missing recording, weights, a
        wrong key) says nothing about the system and ends the run instead.
    scorers
        A scorer that raises leaves a `Score` with its error.
    tracer
        Where to keep run, traces and feedback; None keeps nothing.
    params
        Logged to the run, so that it says what was evaluated: model, prompt, index version.
    concurrency
        Cases answered at once; a local model is one process, so more gains nothing there.
    """
    if not cases:
        raise DeveloperError("an evaluation needs at least one case")
    if len({case.id for case in cases}) < len(cases):
        raise DeveloperError("case ids must be unique")
    work = _Work(cases, predict, scorers, progress, tracer or NoTracer())
    started = time.perf_counter()
    made = EvalResult(
        name=run_name,
        results=(),
        scorers={scorer.__name__: scorer_digest(scorer) for scorer in scorers},
        cases_digest=cases_digest(cases),
        params={key: str(value) for key, value in (params or {}).items()},
    )
    if tracer is None:
        for case in cases:
            work.answer(case)
            work.raise_fatal()
            for scorer in scorers:
                work.score(scorer, case.id)
        return replace(made, results=work.results(), seconds=time.perf_counter() - started)

    mlflow = tracer.connect()
    nested = mlflow.active_run() is not None
    with mlflow.start_run(run_name=run_name, nested=nested) as run:
        mlflow.log_params(_run_params(made, scorers))
        with _quiet(concurrency):
            mlflow.genai.evaluate(
                data=[_record(case) for case in cases],
                predict_fn=work.predict_fn,
                scorers=[_mlflow_scorer(scorer, work) for scorer in scorers],
            )
        work.raise_fatal()
        made = replace(
            made,
            results=work.results(),
            run_id=run.info.run_id,
            seconds=time.perf_counter() - started,
        )
        mlflow.log_metrics(_run_metrics(made))
    return made


class _Work:
    """Collects answers and scores by case id, whoever calls and in whatever order."""

    def __init__(
        self,
        cases: Sequence[Case],
        predict: Predict,
        scorers: Sequence[Scorer],
        progress: Progress | None,
        tracer: Tracer,
    ) -> None:
        self.cases = {case.id: case for case in cases}
        self.predict, self.scorers, self.tracer = predict, scorers, tracer
        self.progress = progress
        self.answers: dict[str, Answer] = {}
        self.errors: dict[str, str] = {}
        self.traces: dict[str, str] = {}
        self.scores: dict[str, dict[str, Score]] = {case.id: {} for case in cases}
        self.fatal: AgentOpsError | None = None
        self.done = 0

    def predict_fn(self, case: str, question: str) -> dict[str, Any]:
        """What MLflow calls; the parameters are the keys of a record's inputs."""
        return self.answer(self.cases[case])

    def answer(self, case: Case) -> dict[str, Any]:
        if self.fatal:
            raise self.fatal  # the run is lost; spend nothing more
        # One root span for every system, so that each case is one trace, also when it fails.
        with self.tracer.span(
            "case", "CHAIN", {"case": case.id, "question": case.question}
        ) as span:
            self.traces[case.id] = span.trace_id
            try:
                answer = self.predict(case)
            except (OperatorError, ConfigError, DeveloperError) as error:
                self.fatal = error
                raise
            except Exception as error:
                self.errors[case.id] = f"{type(error).__name__}: {error}"
                answer = Answer(text="", abstained=False)
            if (
                answer.abstained and answer.problem
            ):  # stated instead of raised, and no less a failure
                self.errors[case.id] = answer.problem
            self.answers[case.id] = answer
            said = {
                "answer": answer.text,
                "abstained": answer.abstained,
                "cited": [[c.document, c.page, c.quote] for c in answer.citations],
            }
            if case.id in self.errors:
                said["error"] = self.errors[case.id]
            span.outputs(said)
        return said

    def score(self, scorer: Scorer, case_id: str) -> Score:
        case = self.cases[case_id]
        score = apply(scorer, case, self.answers[case_id])
        # The name is the scorer's, whatever it wrote into the score.
        score = replace(score, scorer=scorer.__name__)
        if case_id in self.errors and score.value is not None:
            score = replace(score, value=0.0, rationale=f"no answer: {self.errors[case_id]}")
        self.scores[case_id][score.scorer] = score
        if self.progress and len(self.scores[case_id]) == len(self.scorers):
            self.done += 1
            self.progress(self.done, len(self.cases), self._result(case))
        return score

    def results(self) -> tuple[CaseResult, ...]:
        return tuple(self._result(case) for case in self.cases.values())

    def raise_fatal(self) -> None:
        if self.fatal:
            raise self.fatal

    def _result(self, case: Case) -> CaseResult:
        return CaseResult(
            case,
            self.answers[case.id],
            tuple(self.scores[case.id][scorer.__name__] for scorer in self.scorers),
            self.traces[case.id],
            self.errors.get(case.id, ""),
        )


def _record(case: Case) -> dict[str, Any]:
    expected: dict[str, Any] = {"slice": case.slice}
    if case.abstain:
        expected["abstain"] = True
    else:
        expected |= {"facts": list(case.facts), "sources": list(case.sources)}
    if case.forbidden:
        expected["forbidden"] = list(case.forbidden)
    # One expectation a case: each one is a row of its own in the store, at 10 ms.
    return {
        "inputs": {"case": case.id, "question": case.question},
        "expectations": {"expected": expected},
    }


def _mlflow_scorer(scorer: Scorer, work: _Work) -> Any:
    from mlflow.entities import AssessmentError, AssessmentSource, Feedback
    from mlflow.genai.scorers import scorer as as_scorer

    name = scorer.__name__
    kind = "LLM_JUDGE" if isinstance(scorer, Judge) else "CODE"
    source = AssessmentSource(source_type=kind, source_id=name)
    metadata = {"path": scorer_path(scorer), "digest": scorer_digest(scorer)}

    def run(inputs: dict[str, Any]) -> Any:
        if inputs["case"] not in work.answers:
            return None
        score = work.score(scorer, inputs["case"])
        if score.value is None and not score.error:
            return None  # not applicable: no feedback
        return Feedback(
            name=name,
            value=score.value,
            error=AssessmentError("SCORER_ERROR", score.error) if score.error else None,
            rationale=score.rationale or None,
            source=source,
            metadata=metadata,
        )

    return as_scorer(run, name=name)


def _run_params(result: EvalResult, scorers: Sequence[Scorer]) -> dict[str, str]:
    params = {f"scorer.{s.__name__}": f"{scorer_path(s)}@{scorer_digest(s)}" for s in scorers}
    return {**params, **result.params, "cases.digest": result.cases_digest}


def _run_metrics(result: EvalResult) -> dict[str, float]:
    metrics = {
        "tokens": float(result.usage.tokens),
        "cost": result.usage.cost,
        "seconds": sum(one.answer.seconds for one in result.results),
        "cases": float(len(result.results)),
    }
    for row in result.aggregates():
        if row.slice == "all":
            metrics[f"{row.scorer}/mean"] = row.mean
            metrics[f"{row.scorer}/low"] = row.interval.low
            metrics[f"{row.scorer}/high"] = row.interval.high
            metrics[f"{row.scorer}/errors"] = float(row.errors)
        else:
            metrics[f"{row.slice}/{row.scorer}"] = row.mean
    return metrics


@contextmanager
def _quiet(concurrency: int) -> Iterator[None]:
    """Run MLflow's harness without its progress bar, warnings, closing text and autologging.

    Autologging would repeat the spans that the agents open themselves, and count tokens twice.
    """
    workers = {"MLFLOW_GENAI_EVAL_MAX_WORKERS": str(concurrency)}
    logger = logging.getLogger("mlflow.genai")
    level = logger.level

    def nothing(**_: Any) -> AbstractContextManager[None]:
        return nullcontext()

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"mlflow\.")  # of MLflow itself, not of predict
        warnings.filterwarnings("ignore", message="IProgress not found")
        from mlflow.genai.evaluation import base, harness

        stack.enter_context(patch.dict(os.environ, _ENVIRONMENT | workers))
        for module, name, value in (
            (harness, "tqdm", None),
            (base, "display_evaluation_output", lambda run_id: None),
            (base, "configure_autologging_for_evaluation", nothing),
        ):
            if hasattr(module, name):
                stack.enter_context(patch.object(module, name, value))
        logger.setLevel(logging.ERROR)
        stack.callback(logger.setLevel, level)
        yield
