"""Run an evaluation: ask every question, score the answers, keep all of it in MLflow.

Taught in chapter 8. `evaluate` asks a system; `rescore` scores what one said before, a row at a
time, without asking anything.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError, DeveloperError, OperatorError
from agentops_ref.evals.cases import cases_digest
from agentops_ref.evals.loading import is_judge, scorer_digest
from agentops_ref.evals.outputs import row_of, write_row
from agentops_ref.evals.result import CaseResult, EvalResult, fault
from agentops_ref.evals.scorers import Scorer, apply
from agentops_ref.evals.table import ScoreTable
from agentops_ref.evals.tracking import TrackedRun, tracked
from agentops_ref.plain import answer_data
from agentops_ref.records import Answer, Case, Score
from agentops_ref.tracing import MlflowTracer, NoTracer, Tracer

Predict = Callable[[Case], Answer]
Progress = Callable[[int, int, CaseResult], None]
"""Told after each case: how many are done, how many there are, the case's result."""


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
    repeat: int = 1,
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
    repeat
        How often each case is asked: what differs between its tries is not the system's quality.
    """
    if not cases:
        raise DeveloperError("an evaluation needs at least one case")
    if len({case.id for case in cases}) < len(cases):
        raise DeveloperError("case ids must be unique")
    started = time.perf_counter()
    made = EvalResult(
        name=run_name,
        results=(),
        scorers={scorer.__name__: scorer_digest(scorer) for scorer in scorers},
        cases_digest=cases_digest(cases),
        params={key: str(value) for key, value in (params or {}).items()},
        judged=tuple(scorer.__name__ for scorer in scorers if is_judge(scorer)),
    )
    logged = {**made.params, "cases.digest": made.cases_digest}
    asked = [(case, attempt) for case in cases for attempt in range(1, repeat + 1)]
    results: list[CaseResult] = []
    with tracked(tracer, run_name, scorers, logged) if tracer else nullcontext() as run:
        one = _Asking(predict, scorers, tracer or NoTracer(), run)
        for done, result in enumerate(_in_order(one, asked, concurrency), start=1):
            results.append(result)
            if run is not None:
                run.write(result)
            if progress is not None:
                progress(done, len(asked), result)
        made = replace(
            made,
            results=tuple(results),
            run_id=run.run_id if run is not None else "",
            seconds=time.perf_counter() - started,
        )
        if run is not None:
            run.finish(made.table)
    return made


@dataclass(frozen=True)
class Rescored:
    """What `rescore` gives back: the scores in columns, and a few of the failures."""

    table: ScoreTable
    failures: tuple[CaseResult, ...]
    """The first of them, by the first scorer."""
    run_id: str = ""
    seconds: float = 0.0


def rescore(
    rows: Iterable[CaseResult],
    scorers: Sequence[Scorer],
    *,
    tracer: MlflowTracer | None = None,
    run_name: str = "re-scored",
    params: Mapping[str, Any] | None = None,
    out: Path | None = None,
    keep: int = 3,
    progress: Callable[[int], None] | None = None,
) -> Rescored:
    """Score recorded outputs. Rows are read, scored, added up and written one at a time.

    Parameters
    ----------
    rows
        Outputs of a run or of a file; their former scores are dropped.
    tracer
        Keeps a run with the scored rows as its outputs, without traces; None keeps nothing.
    out
        Where to write the scored rows as well.
    keep
        How many failures of the first scorer come back whole.
    progress
        Told after each row how many are done.
    """
    started = time.perf_counter()
    digests = {scorer.__name__: scorer_digest(scorer) for scorer in scorers}
    judged = [scorer.__name__ for scorer in scorers if is_judge(scorer)]
    table = ScoreTable(run_name, digests, judged=judged)
    failures: list[CaseResult] = []
    logged = {key: str(value) for key, value in (params or {}).items()}
    with (
        tracked(tracer, run_name, scorers, logged) if tracer else nullcontext() as run,
        out.open("w", encoding="utf-8") if out else nullcontext() as file,
    ):
        for done, row in enumerate(rows, start=1):
            result = replace(row, scores=scored(scorers, row.case, row.answer, row.error))
            table.add(result.case, result.answer, result.scores)
            if len(failures) < keep and fault(result.scores[0]):
                failures.append(result)
            if run is not None:
                run.write(result)
            if file is not None:
                write_row(file, row_of(result))
            if progress is not None:
                progress(done)
        if run is not None:
            run.finish(table)
    seconds = time.perf_counter() - started
    return Rescored(table, tuple(failures), run.run_id if run is not None else "", seconds)


def read_scores(
    rows: Iterable[CaseResult], name: str, scorers: Mapping[str, str], judged: Sequence[str] = ()
) -> ScoreTable:
    """Return the scores that rows were recorded with, of these scorers."""
    table = ScoreTable(name, scorers, judged=judged)
    for row in rows:
        known = [score for score in row.scores if score.scorer in scorers]
        table.add(row.case, row.answer, known)
    return table


def scored(
    scorers: Sequence[Scorer], case: Case, answer: Answer, error: str = ""
) -> tuple[Score, ...]:
    """Score one answer; with an error there is none, and whatever applies to the case is 0."""
    scores = []
    for scorer in scorers:
        # The name is the scorer's, whatever it wrote into the score.
        score = replace(apply(scorer, case, answer), scorer=scorer.__name__)
        if error and score.value is not None:
            score = replace(score, value=0.0, rationale=f"no answer: {error}")
        scores.append(score)
    return tuple(scores)


class _Asking:
    """Asks one case and scores the answer, as one trace."""

    def __init__(
        self, predict: Predict, scorers: Sequence[Scorer], tracer: Tracer, run: TrackedRun | None
    ) -> None:
        self._predict, self._scorers, self._tracer, self._run = predict, scorers, tracer, run

    def __call__(self, case: Case, attempt: int) -> CaseResult:
        inputs: dict[str, Any] = {"case": case.id, "question": case.question}
        if attempt > 1:
            inputs["attempt"] = attempt
        # One root span for every system, so that each case is one trace, also when it fails.
        with self._tracer.span("case", "CHAIN", inputs) as span:
            answer, error = self._answer(case)
            said = answer_data(answer)
            span.outputs({**said, "error": error} if error else said)
            span.done()  # scoring takes none of the answer's time
            scores = scored(self._scorers, case, answer, error)
            if self._run is not None:
                self._run.assess(span.trace_id, case, scores)
        return CaseResult(case, answer, scores, span.trace_id, error, attempt)

    def _answer(self, case: Case) -> tuple[Answer, str]:
        started = time.perf_counter()
        try:
            answer = self._predict(case)
        except (OperatorError, ConfigError, DeveloperError):
            raise
        except Exception as error:
            took = time.perf_counter() - started
            return Answer("", abstained=False, seconds=took), f"{type(error).__name__}: {error}"
        # A problem is stated instead of raised, and an abstention for it no less a failure.
        return answer, answer.problem if answer.abstained else ""


def _in_order(
    ask: _Asking, asked: Sequence[tuple[Case, int]], concurrency: int
) -> Iterator[CaseResult]:
    """Yield results in the order of the cases; no more are in work than may be answered at once."""
    if concurrency == 1:
        yield from (ask(*one) for one in asked)
        return
    with ThreadPoolExecutor(concurrency) as pool:
        waiting: deque[Future[CaseResult]] = deque()
        try:
            for one in asked:
                waiting.append(pool.submit(ask, *one))
                if len(waiting) > concurrency:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # the run is lost; spend nothing more
            for future in waiting:
                future.cancel()
