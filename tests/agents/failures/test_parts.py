"""What holds of single parts when something fails: time, records, spans, stores."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.agents.bounded import Bounded
from agentops_ref.agents.limits import Allowance, LimitReached, Limits
from agentops_ref.agents.request import Request
from agentops_ref.agents.specialists import Specialist, ask
from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.audit import AuditFile, AuditRecord
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.config import load_config
from agentops_ref.errors import OperatorError, encodable
from agentops_ref.records import Answer, Usage
from agentops_ref.testing import RecordingTracer, ScriptedChat
from agentops_ref.tracing import MlflowTracer
from agentops_ref.wiring import App, build

FOR_EVER = threading.Event()
PART = "NL8-241007"


@pytest.fixture(autouse=True)
def _end_what_hangs() -> Iterator[None]:
    FOR_EVER.clear()
    yield
    FOR_EVER.set()


def book(calls: list[str], audit: Any) -> Registry:
    def book_visit(serial: str) -> str:
        """Books a visit."""
        calls.append(serial)
        return "Visit V-1 is booked."

    return Registry([FunctionTool(book_visit, effect="write")], audit=audit)


# --- writes -----------------------------------------------------------------------------------


def test_a_write_is_on_record_before_it_is_made(tmp_path: Path) -> None:
    file = tmp_path / "tools.jsonl"
    seen: list[str] = []

    def book_visit(serial: str) -> str:
        """Books a visit."""
        seen.extend(json.loads(line)["status"] for line in file.read_text().splitlines())
        return "booked"

    registry = Registry([FunctionTool(book_visit, effect="write")], audit=AuditFile(file))
    assert registry.call("book_visit", {"serial": PART}, Caller("a", request="r1")).ok
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert seen == ["begun"]
    assert [line["status"] for line in lines] == ["begun", "ok"]
    assert {(line["request"], line["arguments"]["serial"]) for line in lines} == {("r1", PART)}


def test_a_write_that_cannot_be_recorded_is_not_made(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.raises(OperatorError, match="audit of tool calls cannot be written"):
        book(calls, AuditFile(tmp_path)).call("book_visit", {"serial": PART}, Caller("a"))
    assert not calls


def test_a_write_whose_end_cannot_be_recorded_is_told(caplog: pytest.LogCaptureFixture) -> None:
    records: list[str] = []

    def full(record: AuditRecord) -> None:
        if record.status != "begun":
            raise OperatorError("the disk is full")
        records.append(record.status)

    calls: list[str] = []
    made = book(calls, full).call("book_visit", {"serial": PART}, Caller("a"))
    assert (made.ok, made.text, records) == (True, "Visit V-1 is booked.", ["begun"])
    assert "recorded as begun only: the disk is full" in caplog.text


def test_a_refused_write_was_never_begun() -> None:
    records: list[AuditRecord] = []
    book([], records.append).call("book_visit", {"serial": 3}, Caller("a"))
    assert [record.status for record in records] == ["invalid"]


# --- limits -----------------------------------------------------------------------------------


def test_a_part_spends_from_the_whole_and_has_no_more() -> None:
    whole = Limits(Allowance(steps=3, seconds=100))
    part = Limits(Allowance(steps=5, seconds=10), whole=whole)
    part.spend(Usage(calls=2))
    assert whole.usage.calls == 2
    assert part.rest().steps == 1
    assert 9 < (part.left() or 0) <= 10
    whole.spend(Usage(calls=1))
    with pytest.raises(LimitReached, match="3 of 3"):
        part.check()


def test_a_requests_own_limits_hold_within_the_configured_ones() -> None:
    def agent(question: str, *, request: Request | None = None) -> Answer:
        assert request is not None
        request.limits.run("the model", FOR_EVER.wait)
        return Answer("never", abstained=False)

    started = time.perf_counter()
    request = Request(limits=Limits(Allowance(seconds=1)))
    answer = Bounded(agent, Allowance(seconds=600), reply="Sorry.")("?", request=request)
    assert time.perf_counter() - started < 30
    assert answer.problem.startswith("timeout: the model: no answer within")


def test_what_hangs_outside_every_step_leaves_what_was_kept() -> None:
    def agent(question: str, *, request: Request | None = None) -> Answer:
        assert request is not None
        request.limits.spend(Usage(calls=1))
        request.kept.answer = Answer("18 Nm", abstained=False, problem="failed: records")
        FOR_EVER.wait()
        return Answer("never", abstained=False)

    answer = Bounded(agent, Allowance(seconds=1), reply="Sorry.")("?")
    assert (answer.text, answer.abstained) == ("18 Nm", False)
    assert "no answer within" in answer.problem
    assert "failed: records" in answer.problem
    assert answer.usage.calls == 1


def test_who_waits_is_left_a_share_of_the_time() -> None:
    def hangs(question: str, *, request: Request | None = None) -> Answer:
        FOR_EVER.wait()
        return Answer("never", abstained=False)

    request = Request(limits=Limits(Allowance(seconds=60)))
    started = time.perf_counter()
    found = ask(Specialist("slow", "hangs", hangs), "?", request, reply="Sorry.", share=1 / 30)
    assert time.perf_counter() - started < 30
    assert "slow: no answer within 2 seconds" in found.answer.problem
    assert not found.useful


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_a_step_cannot_end_the_process(seconds: float | None) -> None:
    def agent(question: str, *, request: Request | None = None) -> Answer:
        raise SystemExit(3)

    answer = Bounded(agent, Allowance(seconds=seconds), reply="Sorry.")("?")
    assert answer.problem == "failed: the request ended with SystemExit: 3"


# --- texts and spans --------------------------------------------------------------------------


def test_a_lone_surrogate_is_sent_and_written() -> None:
    assert encodable({"a": ["x\ud800", ("y", 3)]}) == {"a": ["x\ufffd", ("y", 3)]}
    asked: list[str] = []

    def agent(question: str, *, request: Request | None = None) -> Answer:
        asked.append(question)
        return Answer("18 Nm \udfff", abstained=False)

    assert Bounded(agent, Allowance(), reply="Sorry.")("How tight\ud800?").text == "18 Nm \ufffd"
    assert asked == ["How tight\ufffd?"]


def test_a_recorded_span_is_marked_by_a_result_and_by_an_error() -> None:
    tracer = RecordingTracer()

    def broken() -> None:
        with tracer.span("outer", "AGENT", {}), tracer.span("inner", "TOOL", {}) as inner:
            inner.failed("timeout: it hung")
            raise ValueError("no")

    with pytest.raises(ValueError):
        broken()
    assert tracer.failures == {"outer": "ValueError: no", "inner": "ValueError: no"}
    assert [span.parent for span in tracer.spans] == ["", "outer"]


@pytest.mark.filterwarnings("default")  # MLflow warns itself, and as an error it records nothing
def test_mlflow_is_told_what_failed_with_every_character(tmp_path: Path) -> None:
    tracer = MlflowTracer(f"sqlite:///{tmp_path}/mlflow.db", "failures")
    mlflow = tracer.connect()
    with tracer.span("request", "AGENT", {"question": "a\ud800"}) as span:
        span.outputs({"answer": "\udfff"})
        span.failed("failed: the model is down")
    (kept,) = mlflow.get_trace(span.trace_id).data.spans
    assert (kept.status.status_code.value, kept.status.description) == (
        "ERROR",
        "failed: the model is down",
    )
    assert kept.inputs == {"question": "a\ufffd"}


@pytest.mark.filterwarnings("default")
def test_a_store_of_traces_that_is_gone_costs_only_the_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    tracer = MlflowTracer(f"sqlite:///{tmp_path}/file/mlflow.db", "failures")
    for _ in range(2):
        with tracer.span("request", "AGENT", {}) as span:
            assert span.trace_id == ""
    assert tracer.headers() == {}
    assert caplog.text.count("no traces for 30 s") == 1


# --- the application --------------------------------------------------------------------------


def wired(state: Path, seconds: int) -> App:
    places = {"paths.state": str(state), "memory.uri": f"sqlite:///{state}/memory.db"}
    limits = {"models.mode": "scripted", "agent.limits.seconds": str(seconds)}
    made = build(load_config(overrides=places | limits))
    made.__dict__["tracer"] = RecordingTracer()
    return made


@pytest.fixture
def app(tmp_path: Path) -> App:
    return wired(tmp_path, 600)


@pytest.mark.parametrize("kind", ["chain", "tools", "router", "supervisor", "prompt", "llm"])
def test_every_kind_states_its_failures(app: App, kind: str) -> None:
    def down(messages: Any) -> str:
        raise ConnectionError("refused")

    from agentops_ref.records import Chunk, Hit

    page = Chunk("a#1", "a.pdf", "0" * 12, 1, "18 Nm", "A", 0, {})
    app.__dict__["chat"] = ScriptedChat(script=down)
    app.__dict__["search"] = lambda query, **_: [Hit(page, 1.0)]
    answer = app.agent_of(kind)("How tight?")
    assert answer.abstained
    assert "the model failed: ConnectionError: refused" in answer.problem
    assert app.tracer.failures["request"] == answer.problem  # type: ignore[attr-defined]


def test_an_index_that_is_not_there_is_stated(app: App) -> None:
    answer = app.agent_of("chain")("How tight?")
    assert answer.abstained
    assert answer.problem == "failed: the index holds nothing: run a sync"


def test_a_conversations_store_that_is_not_a_database_is_stated(app: App, tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    file.write_text("this is no database, and long enough to be read as a header" * 20)

    def agent(question: str, *, request: Request | None = None) -> Answer:
        return Answer("18 Nm", abstained=False)

    with closing(app.memory):
        answer = app.memory.conversation(agent)("How tight?", thread="t")
    assert answer.abstained
    assert "memory at" in answer.problem
    assert "not a database" in answer.problem


def test_a_conversation_goes_on_when_its_store_is_free_again(app: App, tmp_path: Path) -> None:
    held: list[sqlite3.Connection] = []

    def agent(question: str, *, request: Request | None = None) -> Answer:
        if not held:
            file = tmp_path / "memory.db"
            held.append(sqlite3.connect(file, isolation_level=None, check_same_thread=False))
            held[0].execute("BEGIN EXCLUSIVE")
        return Answer("18 Nm", abstained=False)

    hurried = wired(tmp_path, 4)
    with closing(app.memory), closing(hurried.memory):
        _ = hurried.memory.threads.saver
        first = hurried.memory.conversation(agent)("How tight?", thread="t", message="m1")
        assert first.text == "18 Nm"
        assert "keeping this turn" in first.problem
        held[0].close()
        talk = app.memory.conversation(agent)
        again = talk("How tight?", thread="t", message="m1")
        assert (again.text, again.problem) == ("18 Nm", "")
        assert len(talk.threads.read("t").messages) == 2


@pytest.mark.filterwarnings("default")
def test_a_served_specialist_states_its_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from agentops_ref.apps.cli.main import cli

    served: list[Any] = []
    monkeypatch.setattr(
        "agentops_ref.ops.serving.application", lambda agent, **_: served.append(agent)
    )
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    given = ["--set", "models.mode=scripted", "--set", f"paths.state={tmp_path}", "--port", "9"]
    done = CliRunner().invoke(cli, ["agents", "serve", "knowledge", *given])
    assert done.exit_code == 0, done.output
    (agent,) = served
    answer = agent("How tight?", request=Request(limits=Limits(Allowance(steps=0))))
    assert answer.abstained
    assert answer.problem == "limit: the request's steps are used up: 0 of 0"
