"""The states that error analysis is given are those of the agents as they are built and traced."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentops_ref import build, load_config
from agentops_ref.agents.chain import Chain
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.evals.errors import load_readings, visits_of_answer
from agentops_ref.models.factory import usage_of
from agentops_ref.records import Case, Chunk, Hit
from agentops_ref.testing import RecordingTracer, ScriptedChat
from agentops_ref.wiring import App
from agentops_ref.wiring.errors import CHAIN


@pytest.fixture
def app(tmp_path: Path) -> App:
    """The base configuration with a scripted model and two notes."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "torque.md").write_text("# Torque\n\nThe flare nut is tightened to 18 Nm.\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
        "etl:\n  source: {root: docs}\n  sink: {kind: memory}\n"
    )
    return build(load_config(tmp_path / "config", environ={}))


def test_the_states_of_a_supervisor_are_the_nodes_of_its_graph(app: App) -> None:
    machine = app.machine("supervisor")
    assert machine is not None
    nodes = [state for state in machine.states if "/" not in state]
    assert nodes == ["decide", *app.config.agent.specialists, "finish"]
    assert {("decide", "knowledge"), ("records", "decide"), ("decide", "finish")} <= set(
        machine.edges
    )
    at = machine.states.index("knowledge")
    assert machine.states[at + 1 : at + 4] == tuple(f"knowledge/{state}" for state in CHAIN)
    allowed = app.tools.specs("records")
    assert {f"records/{spec.name}" for spec in allowed} <= set(machine.states)
    assert app.machine("endpoints").states == machine.states  # type: ignore[union-attr]
    assert app.machine("router").states[0] == "choose"  # type: ignore[union-attr]
    assert app.machine("mine.agents:factory") is None


def test_the_states_of_a_chain_are_its_spans(app: App) -> None:
    text = "The flare nut is tightened to 18 Nm."
    chunk = Chunk("1", "torque.md", "v", 0, text, "Torque")
    tracer = RecordingTracer()
    chain = Chain(
        search=lambda *_, **__: [Hit(chunk, 1.0)],
        model=ScriptedChat(),
        prompt=load_prompt(app.config.prompts("answer.md"), "answer.md"),
        usage_of=lambda message: usage_of(message, app.config.models.chat),
        context_chars=1000,
        min_support=0.5,
        tracer=tracer,  # type: ignore[arg-type]
    )
    answer = chain("Which torque?")
    assert tuple(span.name for span in tracer.spans[1:]) == CHAIN
    assert tuple(visit.state for visit in visits_of_answer(answer)) == CHAIN


def test_cases_that_are_asked_become_traces_once(app: App, tmp_path: Path) -> None:
    app.ensure_index()
    cases = [Case("c1", "Which torque?", facts=("18 Nm",), sources=("torque.md",), slice="values")]
    path = tmp_path / "readings.jsonl"
    first, again = (app.import_traces(app.asked_traces(cases, "chain"), path) for _ in range(2))
    assert (first.traces, again.traces, again.unchanged) == (1, 0, 1)
    held = load_readings(path)
    (trace,) = held.traces.values()
    assert (trace.id, trace.system, trace.slice) == ("chain/c1", "chain", "values")
    assert trace.path[0] == "retrieve"
    assert set(trace.path) <= set(held.machines["chain"].states)
    assert trace.expected == "18 Nm (in torque.md)"
    assert trace.verdict == "right" or trace.verdict.startswith("wrong")
    assert "torque.md" in trace.visits[0].output
