"""What can be made to fail, and how: each failure with the words in which it must be told."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agentops_ref.apps.failures.bench import UNTIL, Act, Bench
from agentops_ref.errors import OperatorError

Inject = Callable[[Bench], None]


class Failure(NamedTuple):
    """A failure of one part."""

    name: str
    part: str
    """What it is injected into; see `agentops_ref.apps.failures.bench.PARTS`."""
    inject: Inject
    told: str = ""
    """Regular expression that the answer's problem must match; empty for one that harms nobody."""
    span: str = ""
    """Name of a span that must be marked as failed."""


class Unspeakable:
    """A result that no text can be made of."""

    def __str__(self) -> str:
        raise ValueError("nobody can write this down")

    __repr__ = __str__


# --- what a broken part does -----------------------------------------------------------------


def _raises(part: str, error: Callable[[], BaseException]) -> Inject:
    def act(healthy: Callable[[], Any]) -> Any:
        raise error()

    return _acts(part, act)


def _says(part: str, value: Any) -> Inject:
    return _acts(part, lambda healthy: value)


def _hangs(part: str) -> Inject:
    """Put in something that does nothing, for as long as anybody waits."""

    def inject(bench: Bench) -> None:
        def act(healthy: Callable[[], Any]) -> Any:
            bench.over.wait()
            return healthy()

        bench.acts[part] = act

    return inject


def _acts(part: str, act: Act) -> Inject:
    def inject(bench: Bench) -> None:
        bench.acts[part] = act

    return inject


# --- real servers, files and locks -----------------------------------------------------------


def _mcp_killed(bench: Bench) -> None:
    """Kill the server when the model has chosen its tool."""
    assert bench.mcp is not None
    killed = bench.mcp

    def act(healthy: Callable[[], Any]) -> Any:
        killed.kill()
        return healthy()

    bench.acts["model" if bench.architecture == "tools" else "calls"] = act


def _mcp_restarted(bench: Bench) -> None:
    """Kill the server when the model has chosen its tool, and start it again on its port."""
    assert bench.mcp is not None
    killed, restarted = bench.mcp, threading.Event()

    def act(healthy: Callable[[], Any]) -> Any:
        if not restarted.is_set():
            killed.kill()
            _ = bench.processes.start("mcp", killed.port).url
            restarted.set()
        return healthy()

    bench.acts["model" if bench.architecture == "tools" else "calls"] = act
    bench.seconds = max(bench.seconds, 60.0)  # that a process starts anew is not the agent's time


def _endpoint_killed(bench: Bench) -> None:
    """Kill the endpoint's process while it works on its task."""
    process = bench.processes.take("agent")
    bench.urls["knowledge"] = process.url
    timer = threading.Timer(bench.seconds / 4, process.kill)
    timer.daemon = True

    def act(healthy: Callable[[], Any]) -> Any:
        if not timer.is_alive() and not timer.finished.is_set():
            timer.start()
        return healthy()

    bench.acts["decider"] = act


def _endpoint(answer: Callable[[Bench], Any]) -> Inject:
    """Put a server in the place of the endpoint; None as an answer hangs up."""

    def inject(bench: Bench) -> None:
        from agentops_ref.apps.loopback import JsonService

        bench.urls["knowledge"] = bench.around.enter_context(
            JsonService(lambda asked: answer(bench))
        ).url

    return inject


def _endpoint_gone(bench: Bench) -> None:
    bench.urls["knowledge"] = "http://127.0.0.1:9"


def _endpoint_hangs(bench: Bench) -> Any:
    bench.over.wait()


def _store_locked(bench: Bench) -> None:
    """Let another connection hold the write lock from the moment in which the model answers."""

    def act(healthy: Callable[[], Any]) -> Any:
        _lock(bench, str(bench.store))
        return healthy()

    bench.acts["model"] = act


def _store_gone(bench: Bench) -> None:
    def act(healthy: Callable[[], Any]) -> Any:
        for file in bench.folder.glob(f"{bench.store.name}*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        return healthy()

    bench.acts["model"] = act


def _audit_unwritable(bench: Bench) -> None:
    bench.audit.mkdir()


def _traces_locked(bench: Bench) -> None:
    from agentops_ref.tracing import MlflowTracer

    file = bench.folder / "mlflow.db"
    tracer = MlflowTracer(f"sqlite:///{file}", "failures")
    tracer.connect()
    bench.around.callback(_settled)
    _lock(bench, str(file))
    bench.tracer = tracer


def _settled() -> None:
    """Wait for the spans that could not be written while the store was locked."""
    for thread in threading.enumerate():
        if thread.name == "agentops traces":
            thread.join(60)


def _lock(bench: Bench, file: str) -> None:
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    bench.around.callback(holder.close)


def _half(text: str) -> str:
    return text[: len(text) // 2]


_FORM = '{"excerpt": 1, "quote": "Flare nut", "answer": "18 Nm."}'
_HUGE = "words " * 1_700_000
_DOWN: Mapping[str, Callable[[], BaseException]] = {
    "model": lambda: ConnectionError("the model's server refused"),
    "search": lambda: OperatorError("the index at _build/index is not there: run a sync"),
    "tool": lambda: OSError("port 5432 refused"),
}

FAILURES: tuple[Failure, ...] = (
    Failure(
        "model down", "model", _raises("model", _DOWN["model"]), "model failed.*refused", "generate"
    ),
    Failure(
        "model hangs", "model", _hangs("model"), "(model|knowledge).*: no answer within", "generate"
    ),
    Failure(
        "model ends the process",
        "model",
        _raises("model", lambda: SystemExit(3)),
        "model ended with SystemExit",
        "generate",
    ),
    Failure("model says nothing", "model", _says("model", ""), "model said nothing"),
    Failure("model says half a form", "form", _says("model", _half(_FORM)), "cannot be read"),
    Failure(
        "model says 10 MB", "model", _says("model", _HUGE), "model said 10200000 char", "generate"
    ),
    Failure(
        "model says no character",
        "model",
        _says("model", "\ud800\x00\x1b[2J \udfff"[:3]),
        "cannot be read",
    ),
    Failure(
        "decider down",
        "decider",
        _raises("decider", _DOWN["model"]),
        "model failed.*refused",
        "generate",
    ),
    Failure("decider hangs", "decider", _hangs("decider"), "model: no answer within", "generate"),
    Failure(
        "search finds no index",
        "search",
        _raises("search", _DOWN["search"]),
        "index at .* is not there",
        "retrieve",
    ),
    Failure("search hangs", "search", _hangs("search"), "search: no answer within", "retrieve"),
    Failure(
        "tool raises",
        "tool",
        _raises("tool", _DOWN["tool"]),
        "find_installation.*5432 refused",
        "find_installation",
    ),
    Failure(
        "tool ends the process",
        "tool",
        _raises("tool", lambda: SystemExit(3)),
        "find_installation.*SystemExit",
        "find_installation",
    ),
    Failure(
        "tool hangs", "tool", _hangs("tool"), "find_installation: no answer", "find_installation"
    ),
    Failure("tool gives 10 MB", "tool", _says("tool", f"{UNTIL} " * 2_000_000)),
    Failure(
        "tool gives no text",
        "tool",
        _says("tool", Unspeakable()),
        "find_installation.*nobody can write",
        "find_installation",
    ),
    Failure(
        "MCP server killed",
        "mcp",
        _mcp_killed,
        "warranty_until.*warranties cannot be used",
        "warranty_until",
    ),
    Failure("MCP server restarted", "mcp", _mcp_restarted),
    Failure(
        "model down after a write",
        "write",
        _raises("after a write", _DOWN["model"]),
        "model failed.*refused",
        "generate",
    ),
    Failure(
        "audit unwritable",
        "audit",
        _audit_unwritable,
        "audit of tool calls cannot be written",
        "find_installation",
    ),
    Failure(
        "endpoint gone", "endpoint", _endpoint_gone, "knowledge.*no agent answers", "knowledge"
    ),
    Failure("endpoint killed", "endpoint", _endpoint_killed, "knowledge.*127.0.0.1", "knowledge"),
    Failure(
        "endpoint hangs",
        "endpoint",
        _endpoint(_endpoint_hangs),
        "knowledge.*(in time|no answer)",
        "knowledge",
    ),
    Failure(
        "endpoint says garbage",
        "endpoint",
        _endpoint(lambda _: (200, "<html>")),
        "knowledge.*expected JSON",
        "knowledge",
    ),
    Failure(
        "endpoint refuses",
        "endpoint",
        _endpoint(lambda _: (500, "out of memory")),
        "knowledge.*HTTP 500: out of memory",
        "knowledge",
    ),
    Failure(
        "memory locked",
        "memory",
        _store_locked,
        "keeping this turn|turn was not kept",
        "conversation",
    ),
    Failure(
        "memory gone", "memory", _store_gone, "turn was not kept: memory at .*gone", "conversation"
    ),
    Failure("traces locked", "traces", _traces_locked),
)
"""In the order of the parts."""
