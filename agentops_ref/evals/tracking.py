"""An evaluation as a run in MLflow: parameters, feedback on traces, metrics, recorded outputs.

Taught in chapter 8. What is kept is what ``mlflow.genai.evaluate`` keeps: a trace for each case,
linked to the run, with the expectations and every score as feedback. Those are added to the trace
while it is open, so that each case is one write to the store instead of one for each score.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from agentops_ref.errors import ConfigError
from agentops_ref.evals.comparing import ComparisonReport
from agentops_ref.evals.loading import is_judge, scorer_digest, scorer_path
from agentops_ref.evals.outputs import FILE, row_of, write_row
from agentops_ref.evals.result import CaseResult
from agentops_ref.evals.scorers import Scorer
from agentops_ref.evals.table import ALL, ScoreTable
from agentops_ref.records import Case, Score
from agentops_ref.tracing import MlflowTracer

EVALUATION = {"mlflow.runType": "genai_evaluate"}
"""Tags by which MLflow's pages list a run among the evaluations."""
COMPARES = "agentops.compares"
"""Tag of a run that holds a comparison: the ids of both runs, "" for a file."""


class TrackedRun:
    """One run that is being written; see `tracked`."""

    def __init__(
        self, mlflow: Any, run_id: str, file: IO[str], mask: Any, scorers: Sequence[Scorer]
    ) -> None:
        self.run_id, self._mlflow, self._file, self._mask = run_id, mlflow, file, mask
        self._pinned = {
            scorer.__name__: {"path": scorer_path(scorer), "digest": scorer_digest(scorer)}
            for scorer in scorers
        }
        self._judged = {s.__name__ for s in scorers if is_judge(s)}

    def assess(self, trace_id: str, case: Case, scores: Sequence[Score]) -> None:
        """Add what was expected, and the scores, to the trace that is open in this thread."""
        if not trace_id:
            return  # the store could not be reached; the recorded outputs have it all
        from mlflow.entities import AssessmentSource, Expectation

        # Read from a file by code; who wrote it there, a person or not, the file's header says.
        cases = AssessmentSource(source_type="CODE", source_id="cases")
        expected = Expectation(name="expected", value=expected_of(case), source=cases)
        # One expectation a case: each one is a row of its own in the store.
        found = [expected, *(self._feedback(s) for s in scores if s.error or s.value is not None)]
        for one in found:
            one.metadata = {**(one.metadata or {}), "mlflow.assessment.sourceRunId": self.run_id}
            self._mlflow.log_assessment(trace_id=trace_id, assessment=one)

    def _feedback(self, score: Score) -> Any:
        from mlflow.entities import AssessmentError, AssessmentSource, Feedback

        kind = "LLM_JUDGE" if score.scorer in self._judged else "CODE"
        return Feedback(
            name=score.scorer,
            value=score.value,
            error=AssessmentError("SCORER_ERROR", score.error) if score.error else None,
            rationale=score.rationale or None,
            source=AssessmentSource(source_type=kind, source_id=score.scorer),
            metadata=dict(self._pinned[score.scorer]),
        )

    def write(self, result: CaseResult) -> None:
        """Write one row of the recorded outputs; personal data as in traces."""
        case = {"id": result.case.id, "slice": result.case.slice}
        write_row(self._file, {**self._mask(row_of(result)), **case})

    def finish(self, table: ScoreTable) -> None:
        """Log what was measured."""
        self._mlflow.log_metrics(run_metrics(table))


@contextmanager
def tracked(
    tracer: MlflowTracer,
    run_name: str,
    scorers: Sequence[Scorer],
    params: Mapping[str, str],
) -> Iterator[TrackedRun]:
    """Open a run, below the one that is open; what was finished is kept when something fails."""
    mlflow = tracer.connect()
    nested = mlflow.active_run() is not None
    pinned = {f"scorer.{s.__name__}": f"{scorer_path(s)}@{scorer_digest(s)}" for s in scorers}
    with (
        tempfile.TemporaryDirectory() as folder,
        mlflow.start_run(run_name=run_name, nested=nested, tags=EVALUATION) as run,
    ):
        mlflow.log_params({**pinned, **params})
        path = Path(folder) / FILE
        try:
            with path.open("w", encoding="utf-8") as file:
                yield TrackedRun(mlflow, run.info.run_id, file, tracer.mask, scorers)
        finally:
            mlflow.log_artifact(str(path))


def run_metrics(table: ScoreTable) -> dict[str, float]:
    """Return a run's metrics: means with interval ends, slices, what it took."""
    metrics = {
        "tokens": float(table.usage.tokens),
        "cost": table.usage.cost,
        "seconds": sum(table.measures("seconds")),
        "cases": float(len(table)),
    }
    for row in table.aggregates():
        if row.slice == ALL:
            metrics[f"{row.scorer}/mean"] = row.mean
            metrics[f"{row.scorer}/low"] = row.interval.low
            metrics[f"{row.scorer}/high"] = row.interval.high
            metrics[f"{row.scorer}/errors"] = float(row.errors)
        else:
            metrics[f"{row.slice}/{row.scorer}"] = row.mean
    return metrics


def expected_of(case: Case) -> dict[str, Any]:
    """Return what a case expects, as the expectation on its trace; `case_of` reads it back."""
    from agentops_ref.plain import case_data

    data = case_data(case)
    return {key: value for key, value in data.items() if key not in ("id", "question")} or {
        "slice": ""
    }


def find_run(tracer: MlflowTracer, name: str) -> Any:
    """Return a run by its id, or the newest finished one of that name.

    Raises
    ------
    ConfigError
        There is none; names those that there are.
    """
    mlflow = tracer.connect()
    listed = mlflow.search_runs(
        experiment_names=[tracer.experiment],
        order_by=["attributes.start_time DESC"],
        filter_string="attributes.status = 'FINISHED'",
        output_format="list",
        max_results=1000,
    )
    listed = [run for run in listed if COMPARES not in run.data.tags]
    for run in listed:
        if name in (run.info.run_id, run.info.run_name):
            return run
    known = ", ".join(dict.fromkeys(run.info.run_name for run in listed)) or "none"
    raise ConfigError(
        f"no file and no finished run '{name}' in experiment '{tracer.experiment}'; runs: {known}"
    )


def log_comparison(tracer: MlflowTracer, report: ComparisonReport, runs: tuple[str, str]) -> str:
    """Keep a comparison as a run of its own: metrics, and the report as HTML and JSON.

    Parameters
    ----------
    runs
        Ids of the two runs that were compared; "" for a file.

    Returns
    -------
    str
        The run's id.
    """
    from agentops_ref.evals.compare_report import to_html

    mlflow = tracer.connect()
    with mlflow.start_run(
        run_name=f"{report.before} and {report.after}",
        nested=mlflow.active_run() is not None,
        tags={COMPARES: " ".join(runs)},
    ) as run:
        for row in report.rows:
            name = row.scorer if row.slice == ALL else f"{row.slice}/{row.scorer}"
            mlflow.log_metrics(
                {
                    f"{name}/difference": row.difference.mean,
                    f"{name}/low": row.difference.low,
                    f"{name}/high": row.difference.high,
                    f"{name}/p": row.adjusted,
                }
            )
        mlflow.log_text(to_html(report), "comparison.html")
        mlflow.log_dict(report.to_dict(), "comparison.json")
        return str(run.info.run_id)


def outputs_of(tracer: MlflowTracer, run: Any) -> Path:
    """Return the file of a run's recorded outputs; where they are elsewhere, it is downloaded."""
    mlflow = tracer.connect()
    try:
        uri = f"runs:/{run.info.run_id}/{FILE}"
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except Exception as error:
        raise ConfigError(
            f"run '{run.info.run_name}' ({run.info.run_id}) has no {FILE}: it is older than "
            "recorded outputs, or its artifacts are gone"
        ) from error


def digests_of(run: Any) -> dict[str, str]:
    """Return scorer → digest, as a run logged them."""
    prefix = "scorer."
    return {
        key.removeprefix(prefix): value.rpartition("@")[2]
        for key, value in run.data.params.items()
        if key.startswith(prefix)
    }
