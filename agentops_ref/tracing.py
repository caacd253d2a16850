"""Traces: MLflow spans with tokens and cost per model call, and a tree for the terminal.

Taught in chapter 9. Nothing here imports MLflow before a trace is really wanted: it costs
seconds, and syncing or searching needs none.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from agentops_ref.records import Usage

SpanKind = Literal["AGENT", "CHAIN", "RETRIEVER", "CHAT_MODEL", "TOOL", "PARSER", "GUARDRAIL"]


class Span(Protocol):
    """What a traced block may do with its span."""

    def outputs(self, value: Any) -> None: ...

    def usage(self, usage: Usage, *, model: str) -> None: ...

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
        self._span, self._mask = span, mask

    @property
    def trace_id(self) -> str:
        return str(self._span.trace_id)

    def outputs(self, value: Any) -> None:
        self._span.set_outputs(self._mask(value))

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

    What `mask` leaves of inputs and outputs is all that is written, and all that is exported.
    """

    def __init__(self, uri: str, experiment: str, *, mask: Mask = _as_it_is) -> None:
        self.uri, self.experiment, self.mask = uri, experiment, mask
        self._connected = False

    def connect(self) -> Any:
        """Point MLflow to the store and the experiment; return the module."""
        with warnings.catch_warnings():
            # Its progress bars look for widgets that a page of a book does not have.
            warnings.filterwarnings("ignore", message="IProgress not found")
            import mlflow

        if not self._connected or mlflow.get_tracking_uri() != self.uri:
            _prepare_sqlite(self.uri)
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            told = logging.getLogger("mlflow.tracking.fluent")
            level = told.level
            told.setLevel(logging.WARNING)  # that an experiment is new, is no news to a user
            mlflow.set_experiment(self.experiment)
            told.setLevel(level)
            self._connected = True
        return mlflow

    @contextmanager
    def span(self, name: str, kind: SpanKind, inputs: Mapping[str, Any]) -> Iterator[Span]:
        mlflow = self.connect()
        with mlflow.start_span(name=name, span_type=kind) as span:
            span.set_inputs(self.mask(dict(inputs)))
            yield _MlflowSpan(span, self.mask)

    def headers(self) -> Mapping[str, str]:
        mlflow = self.connect()
        if mlflow.get_current_active_span() is None:
            return {}
        made: dict[str, str] = mlflow.tracing.get_tracing_context_headers_for_http_request()
        return made


def _prepare_sqlite(uri: str) -> None:
    """Give a new SQLite store its tables by copying a template: 0.1 s instead of 5 s.

    The template is made once per MLflow version in the user's cache folder.
    """
    prefix = "sqlite:///"
    if not uri.startswith(prefix):
        return
    target = Path(uri[len(prefix) :])
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
            store(f"{prefix}{fresh}", folder).engine.dispose()
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
