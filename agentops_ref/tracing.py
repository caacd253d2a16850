"""Traces: MLflow spans with tokens and cost per model call, and a tree for the terminal.

Taught in chapter 9. Nothing here imports MLflow before a trace is really wanted: it costs
seconds, and syncing or searching needs none. A store that is locked or gone costs a request its
trace and a few seconds, never its answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from agentops_ref.errors import encodable, printable, reason
from agentops_ref.records import Usage
from agentops_ref.secret import scrub

log = logging.getLogger(__name__)
PAUSE = 30.0
"""Seconds without traces, after the store let somebody wait longer than that."""

SQLITE = "sqlite:///"

SpanKind = Literal["AGENT", "CHAIN", "RETRIEVER", "CHAT_MODEL", "TOOL", "PARSER", "GUARDRAIL"]


class Span(Protocol):
    """What a traced block may do with its span."""

    def outputs(self, value: Any) -> None: ...

    def usage(self, usage: Usage, *, model: str) -> None: ...

    def failed(self, why: str) -> None:
        """Mark what was done as failed, where the failure is a result and not an error."""
        ...

    def done(self) -> None:
        """Note the time: what still happens while the span is open is not part of its duration."""
        ...

    @property
    def trace_id(self) -> str: ...


class Tracer(Protocol):
    """Opens spans. `NoTracer` records nothing; `MlflowTracer` writes to a tracking store."""

    def span(
        self, name: str, kind: SpanKind, inputs: Mapping[str, Any]
    ) -> Any: ...  # a context manager that gives a Span

    def headers(self) -> Mapping[str, str]:
        """HTTP headers that put what the called service does below the open span."""
        ...


class _NoSpan:
    trace_id = ""

    def outputs(self, value: Any) -> None:
        pass

    def usage(self, usage: Usage, *, model: str) -> None:
        pass

    def failed(self, why: str) -> None:
        pass

    def done(self) -> None:
        pass


class NoTracer:
    """A tracer for tests and for callers that want no traces."""

    @contextmanager
    def span(self, name: str, kind: SpanKind, inputs: Mapping[str, Any]) -> Iterator[Span]:
        yield _NoSpan()

    def headers(self) -> Mapping[str, str]:
        return {}


Mask = Callable[[Any], Any]
"""Returns what may be kept of an input or an output: the same value with placeholders."""


def _as_it_is(value: Any) -> Any:
    return value


class _MlflowSpan:
    def __init__(self, span: Any, mask: Mask) -> None:
        self._span, self._mask, self.ended = span, mask, 0

    @property
    def trace_id(self) -> str:
        return str(self._span.trace_id)

    def outputs(self, value: Any) -> None:
        self._span.set_outputs(encodable(self._mask(value)))

    def failed(self, why: str) -> None:
        from mlflow.entities import SpanStatus, SpanStatusCode

        told = str(self._mask(printable(why)))
        self._span.set_status(SpanStatus(SpanStatusCode.ERROR, told[:500]))

    def done(self) -> None:
        self.ended = time.time_ns()

    def usage(self, usage: Usage, *, model: str) -> None:
        self._span.set_attribute("mlflow.llm.model", model)
        self._span.set_attribute(
            "mlflow.chat.tokenUsage",
            {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "total_tokens": usage.tokens,
            },
        )
        self._span.set_attribute("agentops.live_seconds", usage.live_seconds)
        # Explicit, so that MLflow needs no price list from the network.
        self._span.set_attribute(
            "mlflow.llm.cost",
            {"input_cost": 0.0, "output_cost": 0.0, "total_cost": usage.cost},
        )


class MlflowTracer:
    """Writes traces to an MLflow tracking store; connects on the first span.

    Parameters
    ----------
    mask
        What it leaves of inputs and outputs is all that is written, and all that is exported.
    patience
        Seconds that a request waits for the store: to connect, and at its end for its spans.
    """

    def __init__(
        self, uri: str, experiment: str, *, mask: Mask = _as_it_is, patience: float = 3.0
    ) -> None:
        self.uri, self.experiment, self.mask, self.patience = uri, experiment, mask, patience
        self._connected = False
        self._connecting, self._off_until = threading.Lock(), 0.0

    def connect(self) -> Any:
        """Point MLflow to the store and the experiment; return the module."""
        mlflow = _mlflow()
        if not self._connected or mlflow.get_tracking_uri() != self.uri:
            with self._connecting:
                _prepare_sqlite(self.uri)
                mlflow.set_tracking_uri(self.uri)
                mlflow.set_registry_uri(self.uri)
                told = logging.getLogger("mlflow.tracking.fluent")
                level = told.level
                told.setLevel(logging.WARNING)  # that an experiment is new, is no news to a user
                try:
                    self._place_artifacts(mlflow)
                    mlflow.set_experiment(self.experiment)
                finally:
                    told.setLevel(level)
                _guard_spans(mlflow)
                self._connected = True
        return mlflow

    def _place_artifacts(self, mlflow: Any) -> None:
        """Have a new experiment's artifacts beside its SQLite store, not in the current folder."""
        if not self.uri.startswith(SQLITE) or mlflow.get_experiment_by_name(self.experiment):
            return
        place = Path(self.uri.removeprefix(SQLITE)).absolute().with_name("artifacts")
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):  # another process made it meanwhile
            mlflow.create_experiment(self.experiment, artifact_location=place.as_uri())

    @contextmanager
    def span(self, name: str, kind: SpanKind, inputs: Mapping[str, Any]) -> Iterator[Span]:
        mlflow = self._ready()
        if mlflow is None:
            yield _NoSpan()
            return
        writer, outermost = _WRITER.get(), False
        if writer is None:
            writer, outermost = _Writer(), True
        within = _WRITER.set(writer)
        end: Callable[..., None] = _nothing
        made: _MlflowSpan | None = None
        try:
            # A root's name is noted with the trace at once, before `without_secrets` sees it.
            with mlflow.start_span(name=scrub(name), span_type=kind) as span:
                # To end a span is to write it, which may take as long as the store is locked.
                end, span.end = span.end, _nothing
                span.set_inputs(encodable(self.mask(dict(inputs))))
                made = _MlflowSpan(span, self.mask)
                yield made
        finally:
            _WRITER.reset(within)
            ended = made.ended if made and made.ended else time.time_ns()
            writer.give(partial(copy_context().run, end, end_time_ns=ended))
            if outermost and not self._off() and not writer.wait(self.patience):
                self._pause(f"it took more than {self.patience:g} s to write")

    def headers(self) -> Mapping[str, str]:
        mlflow = self._ready()
        if mlflow is None or mlflow.get_current_active_span() is None:
            return {}
        made: dict[str, str] = mlflow.tracing.get_tracing_context_headers_for_http_request()
        return made

    def _ready(self) -> Any:
        """Return MLflow, connected; None while there is no store to write to."""
        if self._off():
            return None
        mlflow = _mlflow()
        if self._connected and mlflow.get_tracking_uri() == self.uri:
            return mlflow
        failed: list[Exception] = []
        _import_store(self.uri)  # seconds that are no sign of a store that is locked

        def connect() -> None:
            try:
                self.connect()
            except Exception as error:  # whatever a database or a network raises
                failed.append(error)

        thread = threading.Thread(target=connect, name="agentops tracking", daemon=True)
        thread.start()
        thread.join(self.patience)
        if thread.is_alive() or failed:
            self._pause(reason(failed[0]) if failed else f"no answer within {self.patience:g} s")
            return None
        return mlflow

    def _off(self) -> bool:
        return time.monotonic() < self._off_until

    def _pause(self, why: str) -> None:
        self._off_until = time.monotonic() + PAUSE
        log.warning("no traces for %g s, the tracking store cannot be used: %s", PAUSE, why)


class _Writer:
    """Ends the spans of one request in a thread of its own, in order."""

    def __init__(self) -> None:
        self._guard, self._runs = threading.Lock(), False
        self._waiting: deque[Callable[[], None]] = deque()

    def give(self, work: Callable[[], None]) -> None:
        with self._guard:
            self._waiting.append(work)
            if self._runs:
                return
            self._runs = True
        threading.Thread(target=self._work, name="agentops traces", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait until all that was given is done; say whether it is."""
        done = threading.Event()
        self.give(done.set)
        return done.wait(seconds)

    def _work(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    self._runs = False
                    return
                work = self._waiting.popleft()
            try:
                work()
            except Exception as error:
                log.debug("a span was not written: %s", error)


_WRITER: ContextVar[_Writer | None] = ContextVar("agentops_traces", default=None)


def _mlflow() -> Any:
    with warnings.catch_warnings():
        # Its progress bars look for widgets that a page of a book does not have.
        warnings.filterwarnings("ignore", message="IProgress not found")
        # The first span imports this, and a warning in there would cost it its trace where
        # warnings are errors.
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred")
        import mlflow
        import mlflow.pyfunc

    return mlflow


def _import_store(uri: str) -> None:
    """Import what MLflow imports, and make what we make, before it opens such a store."""
    if "://" in uri and not uri.startswith("http"):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    with contextlib.suppress(OSError):  # connecting says it again
        _prepare_sqlite(uri)


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _guard_spans(mlflow: Any) -> None:
    """Have every span of this process scrubbed when it ends, MLflow's own ones included."""
    from mlflow.tracing.config import get_config

    others = [one for one in get_config().span_processors if one is not without_secrets]
    mlflow.tracing.configure(span_processors=[*others, without_secrets])  # what they add as well


def without_secrets(span: Any) -> None:
    """Take secrets out of a span's name, attributes, events (exceptions) and status.

    It is kept and exported as it is then: in the tracking store and by OpenTelemetry.
    """
    from opentelemetry.sdk.trace import Event
    from opentelemetry.trace import Status

    # Not by MLflow's own methods: there is none to change an event, and what is in here are the
    # texts as they will be written, whatever the objects were that they were made of.
    held = span._span
    if (name := scrub(held.name)) is not held.name:
        held.update_name(name)
    for key, value in dict(held.attributes or {}).items():
        if (clean := scrub(value)) is not value:
            held.set_attribute(key, clean)
    for at, event in enumerate(held.events):
        was = dict(event.attributes or {})
        if (clean := scrub(was)) is not was:
            held._events._dq[at] = Event(event.name, clean, event.timestamp)
    if held.status.description and (why := scrub(held.status.description)) != (
        held.status.description
    ):
        held._status = Status(held.status.status_code, why)


def _prepare_sqlite(uri: str) -> None:
    """Give a new SQLite store its tables by copying a template: 0.1 s instead of 5 s.

    The template is made once per MLflow version in the user's cache folder.
    """
    if not uri.startswith(SQLITE):
        return
    target = Path(uri.removeprefix(SQLITE))
    if target.exists():
        return
    import mlflow
    import platformdirs

    target.parent.mkdir(parents=True, exist_ok=True)
    cache = Path(platformdirs.user_cache_dir("agentops-ref"))
    template = cache / f"mlflow-{mlflow.__version__}.db"
    if not template.exists():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder) / "fresh.db"
            store: Any = SqlAlchemyStore
            store(f"{SQLITE}{fresh}", folder).engine.dispose()
            os.replace(fresh, template)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    shutil.copyfile(template, partial)
    os.replace(partial, target)


@dataclass(frozen=True, slots=True)
class SpanLine:
    """One line of a trace drawn as a tree."""

    depth: int
    name: str
    kind: str
    seconds: float
    input_tokens: int
    output_tokens: int
    cost: float
    """US dollars."""
    note: str = ""
    live_seconds: float = 0.0
    """Time of a model call when it was live; ``seconds`` is that of this run."""


def trace_lines(trace: Any) -> list[SpanLine]:
    """Flatten an MLflow trace into lines, parents before children, in order of start."""
    children: dict[str | None, list[Any]] = {}
    known = {span.span_id for span in trace.data.spans}
    for span in sorted(trace.data.spans, key=lambda s: s.start_time_ns):
        parent = span.parent_id if span.parent_id in known else None
        children.setdefault(parent, []).append(span)
    lines: list[SpanLine] = []

    def walk(parent: str | None, depth: int) -> None:
        for span in children.get(parent, []):
            tokens = span.get_attribute("mlflow.chat.tokenUsage") or {}
            cost = span.get_attribute("mlflow.llm.cost") or {}
            lines.append(
                SpanLine(
                    depth,
                    span.name,
                    str(span.span_type),
                    (span.end_time_ns - span.start_time_ns) / 1e9,
                    int(tokens.get("input_tokens", 0)),
                    int(tokens.get("output_tokens", 0)),
                    float(cost.get("total_cost", 0.0)),
                    str(span.get_attribute("mlflow.llm.model") or ""),
                    float(span.get_attribute("agentops.live_seconds") or 0.0),
                )
            )
            walk(span.span_id, depth + 1)

    walk(None, 0)
    return lines
