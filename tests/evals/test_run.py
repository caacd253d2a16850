"""One evaluation through MLflow, and many without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from agentops_ref.errors import ConfigError, DeveloperError, NotRecorded, TransientError
from agentops_ref.evals import (
    CaseResult,
    EvalResult,
    compare,
    describe,
    describe_comparison,
    evaluate,
    failure_list,
    plot_comparisons,
    plot_slices,
    slice_table,
    verdict,
    verdict_table,
)
from agentops_ref.evals.scorers import abstention_right, citation_right, correct, facts_present
from agentops_ref.records import Answer, Case, Citation, Score, Usage
from agentops_ref.tracing import MlflowTracer, trace_lines

CASES = [
    Case("right", "How tight?", ("42 Nm",), ("18 Nm",), ("m.pdf",), slice="value"),
    Case("wrong", "How tight is the other?", ("18 Nm",), (), ("m.pdf",), slice="value"),
    Case("unknown", "E99?", abstain=True, slice="unanswerable"),
    Case("crash", "What makes you fail?", ("1 kg",), (), ("m.pdf",), slice="value"),
]
SCORERS = [correct, facts_present, citation_right, abstention_right]


def predict(case: Case) -> Answer:
    if case.id == "crash":
        raise TransientError("the model timed out")
    if case.abstain:
        return Answer("not found", abstained=True)
    cited = Citation("m.pdf", "v1", 3, "Flare nut | 42 | Nm")
    return Answer("42 Nm", abstained=False, citations=(cited,), usage=Usage(100, 5, 0.01, 1))


def broken(case: Case, answer: Answer) -> Score:
    if case.id == "right":
        raise RuntimeError("the judge is ill")
    return Score("broken", 1.0)


@pytest.fixture
def result() -> EvalResult:
    return evaluate(CASES, predict, SCORERS, run_name="test")


def test_scores_and_aggregates(result: EvalResult) -> None:
    assert [r.case.id for r in result.results if r.passed] == ["right", "unknown"]
    assert [r.case.id for r in result.failures()] == ["wrong", "crash"]
    row = result.aggregate("correct")
    assert (row.n, row.mean, row.errors) == (4, 0.5, 0)
    assert row.interval.low < 0.5 < row.interval.high
    assert result.aggregate("facts_present", "unanswerable").n == 0
    assert result.usage == Usage(200, 10, 0.02, 2)
    assert result.slices == ("value", "unanswerable")
    with pytest.raises(DeveloperError, match="did you mean 'correct'"):
        result.aggregate("corect")


def test_a_case_needs_no_slice() -> None:
    result = evaluate([Case("plain", "How tight?", ("42 Nm",))], predict, SCORERS)
    assert result.slices == (), "MLflow refuses a metric called /correct"
    assert result.aggregate("correct").n == 1


def test_a_failing_agent_fails_its_case_and_nothing_else(result: EvalResult) -> None:
    crash = result.results[-1]
    assert "timed out" in crash.error
    assert {score.value for score in crash.scores} == {0.0}
    assert all("timed out" in score.rationale for score in crash.scores)


def test_a_failing_scorer_widens_the_interval_to_both_sides() -> None:
    result = evaluate(CASES[:3], predict, [broken])
    assert result.results[0].scores[0].error == "RuntimeError: the judge is ill"
    row = result.aggregate("broken")
    assert (row.n, row.mean, row.errors) == (3, 1.0, 1)
    whole = evaluate(CASES[1:3], predict, [broken]).aggregate("broken")
    assert row.interval.low < whole.interval.low
    assert row.interval.high == 1.0
    assert [r.case.id for r in result.failures("broken")] == ["right"]


def test_a_missing_recording_ends_the_run() -> None:
    asked = []

    def unrecorded(case: Case) -> Answer:
        asked.append(case.id)
        raise NotRecorded("never recorded")

    with pytest.raises(NotRecorded):
        evaluate(CASES, unrecorded, SCORERS)
    assert asked == ["right"]


def test_refuses_no_cases_and_double_ids() -> None:
    with pytest.raises(DeveloperError, match="at least one case"):
        evaluate([], predict, SCORERS)
    with pytest.raises(DeveloperError, match="unique"):
        evaluate([CASES[0], CASES[0]], predict, SCORERS)


def test_progress(result: EvalResult) -> None:
    seen: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, one: CaseResult) -> None:
        seen.append((done, total, one.case.id))

    evaluate(CASES, predict, SCORERS, progress=progress)
    assert seen == [(i + 1, 4, case.id) for i, case in enumerate(CASES)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")
def test_through_mlflow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracer = MlflowTracer(f"sqlite:///{tmp_path / 'mlflow.db'}", "evaluation")
    asked: list[str] = []

    def traced(case: Case) -> Answer:
        asked.append(case.id)
        with tracer.span("chain", "AGENT", {"question": case.question}) as span:
            with tracer.span("generate", "CHAT_MODEL", {"prompt": case.question}) as generate:
                generate.usage(Usage(100, 5, 0.01, 1), model="scripted")
            answer = predict(case)
            span.outputs(answer.text)
            return answer

    mlflow = tracer.connect()
    capsys.readouterr()
    result = evaluate(
        CASES, traced, [*SCORERS, broken], tracer=tracer, run_name="nightly", params={"k": 4}
    )
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == ""
    assert asked == [case.id for case in CASES]  # in order, each once

    plain = evaluate(CASES, predict, [*SCORERS, broken])
    assert [r.scores for r in result.results] == [r.scores for r in plain.results]

    run = mlflow.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["k"] == "4"
    assert run.data.params["cases.digest"] == result.cases_digest
    assert run.data.params["scorer.correct"].endswith(result.scorers["correct"])
    assert run.data.metrics["correct/mean"] == 0.5
    assert run.data.metrics["correct/low"] == pytest.approx(result.aggregate("correct")[4].low)
    assert run.data.metrics["value/correct"] == pytest.approx(1 / 3)
    assert run.data.metrics["broken/errors"] == 1

    traces = {t.info.trace_id: t for t in mlflow.search_traces(
        run_id=result.run_id, return_type="list"
    )}  # fmt: skip
    assert set(traces) == {r.trace_id for r in result.results}
    for one in result.results:
        trace = traces[one.trace_id]
        shape = [(line.depth, line.name) for line in trace_lines(trace)]
        assert shape == [(0, "case"), (1, "chain"), (2, "generate")]
        assert trace.info.token_usage["total_tokens"] == 105  # counted once
        feedback = {a.name: a for a in trace.info.assessments if a.feedback is not None}
        for score in one.scores:
            if score.error:
                assert feedback[score.scorer].error.error_message == score.error
            elif score.value is None:
                assert score.scorer not in feedback
            else:
                assert feedback[score.scorer].value == score.value
                assert (feedback[score.scorer].rationale or "") == score.rationale
                digest = feedback[score.scorer].metadata["digest"]
                assert digest == result.scorers[score.scorer]

    def unrecorded(case: Case) -> Answer:
        raise NotRecorded("never recorded")

    with pytest.raises(NotRecorded):
        evaluate(CASES, unrecorded, SCORERS, tracer=tracer)
    runs = mlflow.search_runs(output_format="list")
    assert sorted(r.info.status for r in runs) == ["FAILED", "FINISHED"]


# --- what is made of a result ---------------------------------------------------------------------


def made(values: Sequence[float], name: str = "a") -> EvalResult:
    """An evaluation with one scorer and these scores."""
    results = tuple(
        CaseResult(
            Case(f"c{i}", "q", ("x",), (), ("d",), slice="even" if i % 2 == 0 else "odd"),
            Answer("x", abstained=False),
            (Score("correct", value, "why"),),
        )
        for i, value in enumerate(values)
    )
    return EvalResult(name, results, {"correct": "d1"}, "c1")


@pytest.mark.parametrize(
    ("passed", "n", "outcome"),
    # Wilson at 95 %: 30/40 is 0.598 to 0.858, 35/40 is 0.739 to 0.945, 15/40 is 0.242 to 0.530.
    [(35, 40, "pass"), (30, 40, "undecided"), (15, 40, "fail"), (1, 1, "undecided")],
)
def test_the_gate_compares_intervals(passed: int, n: int, outcome: str) -> None:
    result = made([1.0] * passed + [0.0] * (n - passed))
    assert verdict(result, {"correct": 0.6}).outcome == outcome


def test_the_gate_as_a_whole() -> None:
    result = made([1.0, 0.0] * 40)
    both = verdict(result, {"even/correct": 0.8, "odd/correct": 0.2})
    assert [check.outcome for check in both.checks] == ["pass", "fail"]
    assert both.outcome == "fail"
    assert json.loads(json.dumps(both.to_dict()))["checks"][1]["name"] == "odd/correct"
    with pytest.raises(ConfigError, match="nothing would be checked"):
        verdict(result, {})
    with pytest.raises(ConfigError, match="did you mean 'correct'"):
        verdict(result, {"corect": 0.5})
    with pytest.raises(ConfigError, match="did you mean 'even'"):
        verdict(result, {"evn/correct": 0.5})


def test_compare() -> None:
    a, b = made([0, 0, 0, 0, 0, 0, 1, 1], "a"), made([1, 1, 1, 1, 1, 1, 0, 1], "b")
    found = compare(a, b, np.random.default_rng(3))
    assert found.gained == ("c0", "c1", "c2", "c3", "c4", "c5")
    assert found.lost == ("c6",)
    assert found.p == 0.125
    assert found.difference.mean == pytest.approx(5 / 8)
    assert "6 gained, 1 lost" in describe_comparison(found)


def test_tables_fit_a_terminal(result: EvalResult) -> None:
    console = Console(width=80, record=True, color_system=None)
    console.print(slice_table(result))
    console.print(failure_list(result.failures(), limit=1))
    console.print(verdict_table(verdict(result, {"correct": 0.6, "value/correct": 0.5})))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "gate: undecided" in text
    assert "missing: 18 Nm" in text
    assert "... and 1 more" in text


def test_json_and_text_forms(result: EvalResult) -> None:
    data = json.loads(json.dumps(result.to_dict()))
    assert data["cases"][0]["scores"]["correct"]["value"] == 1.0
    assert {"scorer", "slice", "n", "mean", "low", "high", "errors"} == set(data["aggregates"][0])
    assert describe(result).startswith("all: 50% of 4 cases (95% interval 15% to 85%)")


def test_the_figure_suits_light_and_dark_pages(result: EvalResult, tmp_path: Path) -> None:
    figure = plot_slices({"a": result, "b": result}, threshold=0.6)
    assert figure.patch.get_alpha() == 0
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["all (4)", "value (3)", "unanswerable (1)"]
    figure.savefig(tmp_path / "slices.png")
    compared = {"b": compare(result, result, np.random.default_rng(1))}
    figure = plot_comparisons(compared, base="a")
    assert figure.patch.get_alpha() == 0
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b"]
    assert figure.axes[0].get_xlabel() == "correct, difference to a with its 95% interval"
    figure.savefig(tmp_path / "comparisons.png")
