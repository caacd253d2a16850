"""An agent behind HTTP, in a process of its own: as if it ran here; each failure told apart."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.agents.remote import RemoteAgent, answer_json, answer_of
from agentops_ref.agents.request import Request
from agentops_ref.errors import ModelError, OperatorError, TransientError
from agentops_ref.ops import endpoints
from agentops_ref.records import Answer, Chunk, Citation, Hit, Step, Usage
from agentops_ref.tracing import MlflowTracer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def tracer(place: Path) -> MlflowTracer:
    made = MlflowTracer(f"sqlite:///{place}/mlflow.db", "served")
    made.connect()
    return made


@pytest.fixture(scope="module")
def url(place: Path, tracer: MlflowTracer) -> Iterator[str]:
    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "tests.ops.served", str(port), tracer.uri]

    folder = place / "agents"
    (one,) = endpoints.up(folder, {"served": command}, host="127.0.0.1", port=0, seconds=120)
    yield one.url
    endpoints.down(folder)


def remote(url: str, **more: Any) -> RemoteAgent:
    return RemoteAgent("records", url, connect_seconds=2, **more)


def test_an_answer_comes_back_whole_and_the_request_arrives_whole(url: str) -> None:
    limits = Limits(Allowance(seconds=60, steps=3))
    request = Request(limits=limits, tenant="torvik", filters={"kind": "manuals"})
    answer = remote(url)("hello", request=request)
    assert answer.text == "torvik 3 {'kind': 'manuals'}"
    assert answer.citations == (Citation("a.pdf", "0" * 12, 3, "18 Nm"),)
    assert answer.steps == (Step("served", "look", "{}"),)
    assert limits.usage == Usage(5, 2, 0.1, 1)


@pytest.mark.filterwarnings("default")  # MLflow warns itself, and as an error it records nothing
def test_what_is_done_there_is_part_of_the_trace_here(url: str, tracer: MlflowTracer) -> None:
    import mlflow

    with tracer.span("root", "AGENT", {}) as span:
        remote(url, tracer=tracer)("hello")
    mlflow.flush_trace_async_logging()
    parents: dict[str, str] = {}
    for _ in range(50):  # the other process writes its spans when they end
        found: Any = mlflow.get_trace(span.trace_id)
        names = {one.span_id: one.name for one in found.data.spans}
        parents = {one.name: names.get(one.parent_id, "") for one in found.data.spans}
        if "inner" in parents:
            break
        time.sleep(0.1)
    assert parents["records"] == "root"
    assert parents["answer"] == "records"  # MLflow's server, in the other process
    assert "inner" in parents


def test_one_that_is_slow_ends_at_the_requests_deadline(url: str) -> None:
    started = time.perf_counter()
    with pytest.raises(TransientError, match="did not answer in time"):
        remote(url)("sleep 30", request=Request(limits=Limits(Allowance(seconds=1))))
    assert time.perf_counter() - started < 10


def test_while_one_request_waits_another_is_answered(url: str) -> None:
    slow = threading.Thread(target=lambda: remote(url)("sleep 3"))
    slow.start()
    started = time.perf_counter()
    remote(url)("hello")
    assert time.perf_counter() - started < 2.5
    slow.join()


def test_what_it_raises_is_told(url: str) -> None:
    with pytest.raises(OperatorError, match=r"HTTP 500.*no such thing"):
        remote(url)("raise no such thing")


def test_one_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(TransientError, match="no agent answers at"):
        remote("http://127.0.0.1:9")("hello")


@pytest.fixture
def foreign() -> Iterator[tuple[str, dict[str, Any]]]:
    """A server that answers whatever a test wants."""
    said: dict[str, Any] = {"status": 200, "body": b"{}"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(said["status"])
            self.send_header("Content-Length", str(len(said["body"])))
            self.end_headers()
            self.wfile.write(said["body"])

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", said
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_foreign_agent_of_the_protocol_is_understood(foreign: Any) -> None:
    address, said = foreign
    text = {"type": "output_text", "text": "18 Nm"}
    said["body"] = json.dumps({"output": [{"type": "message", "content": [text]}]}).encode()
    assert remote(address)("?").text == "18 Nm"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (200, b"<html>", ModelError, "expected JSON"),
        (200, b"[]", ModelError, "expected a response"),
        (200, b'{"output": 3}', ModelError, "expected a response"),
        (200, b'{"output": []}', ModelError, "holds no text"),
        (200, b'{"custom_outputs": {"answer": {"text": 3}}}', ModelError, "expected an answer"),
        (503, b"", TransientError, "busy: HTTP 503"),
        (401, b"who are you", OperatorError, "HTTP 401: who are you"),
    ],
)
def test_garbage_and_refusals_are_told_apart(
    foreign: Any, status: int, body: bytes, kind: type[Exception], message: str
) -> None:
    address, said = foreign
    said.update(status=status, body=body)
    with pytest.raises(kind, match=message):
        remote(address)("?")


def test_an_answer_is_the_same_after_a_journey_as_json() -> None:
    chunk = Chunk("a#1", "a.pdf", "0" * 12, 1, "18 Nm", "A › B", 3, {"kind": "manuals"})
    answer = Answer(
        "18 Nm",
        abstained=False,
        citations=(Citation("a.pdf", "0" * 12, None, "18 Nm"),),
        hits=(Hit(chunk, 0.5, 1, None),),
        usage=Usage(1, 2, 0.5, 1, 0.25),
        steps=(Step("a", "b", "c", "failed", 0.5, "why"),),
        problem="limit: steps",
    )
    assert answer_of(json.loads(json.dumps(answer_json(answer)))) == answer
