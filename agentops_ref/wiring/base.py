"""What every part has: the configuration, and where traces and runs go."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from agentops_ref.config import Config
from agentops_ref.tracing import MlflowTracer, SpanLine, trace_lines

Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""


class Base:
    """The configuration and the tracer."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def tracer(self) -> MlflowTracer:
        """Where traces and evaluation runs go."""
        uri, prefix = self.config.tracking.uri, "sqlite:///"
        if uri.startswith(prefix):
            uri = f"{prefix}{self.config.path(uri.removeprefix(prefix))}"
        return MlflowTracer(uri, self.config.tracking.experiment)

    def trace(self, trace_id: str) -> list[SpanLine]:
        """Return a trace's tree, one line a span, with time, tokens and cost."""
        return trace_lines(self.tracer.connect().get_trace(trace_id))
