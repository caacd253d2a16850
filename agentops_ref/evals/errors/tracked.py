"""Traces out of MLflow: one a run of an agent, with its states, expectations and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentops_ref.errors import OperatorError, nearest
from agentops_ref.evals.errors.records import Message, Trace
from agentops_ref.evals.errors.visits import Naming, SpanData, visits_of_spans

MOST = 10_000
"""Traces of one run that are read."""


def traces_of_run(
    mlflow: Any,
    where: str,
    *,
    naming: Naming | None = None,
    system: str = "",
    scorer: str = "correct",
) -> list[Trace]:
    """Return the traces of ``EXPERIMENT/RUN``, oldest first.

    Parameters
    ----------
    mlflow
        The module, connected to a tracking store.
    where
        An experiment's name, a slash, and a run's id or name; of several runs of one name, the
        newest. Only the part after the last slash is the run.
    system
        The name that the traces get; by default what the run's parameter ``agent`` says.
    scorer
        Whose feedback is the verdict.

    Raises
    ------
    OperatorError
        No such experiment or run, or no traces in it.
    """
    experiment, slash, name = where.rpartition("/")
    if not slash or not experiment or not name:
        raise OperatorError(f"'{where}': expected EXPERIMENT/RUN, as in agentops/evaluation")
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        known = tuple(one.name for one in client.search_experiments())
        raise OperatorError(f"no experiment '{experiment}'{nearest(experiment, known)}")
    runs = client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"])
    run = next((one for one in runs if name in (one.info.run_id, one.info.run_name)), None)
    if run is None:
        known = tuple(dict.fromkeys(one.info.run_name for one in runs))
        raise OperatorError(f"no run '{name}' in experiment '{experiment}'{nearest(name, known)}")
    traces = mlflow.search_traces(
        locations=[found.experiment_id],
        run_id=run.info.run_id,
        max_results=MOST,
        return_type="list",
    )
    if not traces:
        raise OperatorError(f"run '{name}' of experiment '{experiment}' has no traces")
    named = system or run.data.params.get("agent", "")
    return [
        trace_of(
            one,
            naming=naming,
            system=named,
            scorer=scorer,
            source=f"{experiment}/{run.info.run_id}",
        )
        for one in sorted(traces, key=lambda one: one.info.request_time)
    ]


def trace_of(
    trace: Any, *, naming: Naming | None = None, system: str = "", scorer: str, source: str = ""
) -> Trace:
    """Return one MLflow trace; it needs no question in it, but then shows none."""
    spans = sorted(map(span_data, trace.data.spans), key=lambda span: span.start)
    asked = next(
        (one for one in spans if isinstance(one.inputs, Mapping) and "question" in one.inputs), None
    )
    root = asked or (spans[0] if spans else None)
    question = _part(root and root.inputs, "question")
    answer = _part(root and root.outputs, "answer") or (root.failed if root else "")
    expected, slice = _expected(trace.info.assessments)
    return Trace(
        str(trace.info.trace_id),
        (Message("user", question), Message("assistant", answer)),
        visits_of_spans(spans, naming),
        system=system,
        slice=slice,
        expected=expected,
        verdict=_verdict(trace.info.assessments, scorer),
        source=source,
    )


def span_data(span: Any) -> SpanData:
    """Return what is needed of an MLflow span."""
    code = getattr(span.status.status_code, "value", str(span.status.status_code))
    failed = (span.status.description or "error") if code == "ERROR" else ""
    return SpanData(
        str(span.span_id),
        str(span.parent_id or ""),
        span.name,
        str(span.span_type),
        span.start_time_ns,
        failed,
        span.inputs,
        span.outputs,
    )


def _part(value: Any, key: str) -> str:
    """Return what a span's inputs or outputs say under a key, or all of it as text."""
    if isinstance(value, Mapping):
        value = value.get(key, value)
    return value if isinstance(value, str) else ("" if value is None else str(value))


def _expected(assessments: Any) -> tuple[str, str]:
    """Return (what is expected, slice) as `agentops_ref.evals.run` noted it with the trace."""
    for one in assessments or ():
        expectation = getattr(one, "expectation", None)
        value = expectation.value if one.name == "expected" and expectation else None
        if isinstance(value, Mapping):
            told = "; ".join(map(str, value.get("facts") or ()))
            sources = ", ".join(map(str, value.get("sources") or ()))
            told = f"{told} (in {sources})" if sources else told
            return ("to abstain" if value.get("abstain") else told), str(value.get("slice", ""))
    return "", ""


def _verdict(assessments: Any, scorer: str) -> str:
    for one in assessments or ():
        feedback = getattr(one, "feedback", None)
        if one.name == scorer and feedback is not None and feedback.value is not None:
            wrong = f"wrong: {one.rationale}" if one.rationale else "wrong"
            return "right" if float(feedback.value) >= 1 else wrong
    return ""
