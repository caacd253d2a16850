"""One scorer, offline and online: a trace is scored as the answer that it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentops_ref.agents.bounded import Bounded
from agentops_ref.agents.limits import Allowance
from agentops_ref.agents.request import Request
from agentops_ref.errors import DocumentError
from agentops_ref.evals import evaluate, load_scorers
from agentops_ref.evals.limits import within
from agentops_ref.evals.online import read_trace, score_trace
from agentops_ref.records import Answer, Case, Chunk, Citation, Hit, Step, Usage
from agentops_ref.tracing import MlflowTracer

SCORERS = [
    *load_scorers(
        [
            f"agentops_ref.evals.scorers:{name}"
            for name in ("correct", "citation_right", "abstention_right", "numbers_grounded")
        ]
    ),
    within("tokens", 100),
]
CASES = [
    Case("right", "How tight?", ("42 Nm",), ("18 Nm",), ("m.pdf",), slice="value"),
    Case("wrong", "How tight is the other?", ("18 Nm",), (), ("m.pdf",), slice="value"),
    Case("unknown", "E99?", abstain=True, slice="unanswerable"),
]
SHOWN = Hit(Chunk("c1", "m.pdf", "v1", 0, "Flare nut | 42 | Nm", "Torques", 3), 0.5, 1)


def agent(question: str, *, request: Request | None = None) -> Answer:
    """Answer 42 Nm to all but E99."""
    if "E99" in question:
        return Answer("not found", abstained=True, usage=Usage(20, 3, 0.0, 1, 0.4))
    cited = Citation("m.pdf", "v1", 3, "Flare nut | 42 | Nm")
    step = Step("agent", "search", '{"query": "torque"}')
    used = Usage(100, 5, 0.01, 1)
    return Answer("42 Nm", False, (cited,), (SHOWN,), used, steps=(step,), model="scripted")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")
def test_a_trace_is_scored_as_its_answer(tmp_path: Path) -> None:
    tracer = MlflowTracer(f"sqlite:///{tmp_path / 'mlflow.db'}", "online")
    served = Bounded(agent, Allowance(), reply="sorry", tracer=tracer)
    offline = evaluate(CASES, lambda case: served(case.question), SCORERS, tracer=tracer)
    mlflow = tracer.connect()
    for one in offline.results:
        trace = mlflow.get_trace(one.trace_id)
        assert score_trace(trace, SCORERS) == one.scores
        found = read_trace(trace)
        assert found.case == one.case
        assert replace(found.answer, trace_id="") == replace(one.answer, trace_id="")

    # In production nothing is expected, and the agent's own span is the outermost one.
    asked = served(CASES[1].question)
    trace = mlflow.get_trace(asked.trace_id)
    found = read_trace(trace)
    assert found.case == Case(asked.trace_id, CASES[1].question)
    assert replace(found.answer, trace_id="") == replace(asked, trace_id="")
    online = {score.scorer: score.value for score in score_trace(trace, SCORERS)}
    assert online == {
        "correct": None,
        "citation_right": None,
        "abstention_right": None,
        "numbers_grounded": 1.0,
        "tokens_within": 0.0,
    }
    # Once a person has said what is right, the same trace is scored by that.
    mlflow.log_expectation(
        trace_id=asked.trace_id, name="expected", value={"facts": ["18 Nm"], "sources": ["m.pdf"]}
    )
    judged = score_trace(mlflow.get_trace(asked.trace_id), SCORERS)
    assert {score.scorer: score.value for score in judged}["correct"] == 0.0

    with tracer.span("other", "CHAIN", {"question": "x"}) as span:
        span.outputs("no answer")
        other = span.trace_id
    with pytest.raises(DocumentError, match="no span has a 'question'"):
        score_trace(mlflow.get_trace(other), SCORERS)
