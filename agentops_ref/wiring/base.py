"""What every part has: the configuration, and where traces and runs go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentops_ref.config import Config
from agentops_ref.tracing import MlflowTracer, SpanLine, trace_lines

if TYPE_CHECKING:
    from agentops_ref.agents.guards import Masker

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
        tracking = self.config.tracking
        return MlflowTracer(uri, tracking.experiment, mask=self.mask, patience=tracking.seconds)

    @cached_property
    def masker(self) -> Masker | None:
        """Puts placeholders in place of personal data, as `tracking.mask` says; None is nothing."""
        from agentops_ref.agents.guards.personal import Finder, Masker, Patterns, Presidio

        how = self.config.tracking.mask
        if how == "none":
            return None
        find: Finder = Patterns(self.people)
        if how == "presidio":
            options = self.config.guards.checks["pii"].options
            find = Presidio(self.people, score=options["score"], keep=options["keep"])
        return Masker(find)

    def mask(self, value: Any) -> Any:
        """Return what traces and the audit may keep of a value."""
        return value if self.masker is None else self.masker.masked(value)

    def people(self) -> Iterable[str]:
        """Return the names of known people."""
        return ()

    def trace(self, trace_id: str) -> list[SpanLine]:
        """Return a trace's tree, one line a span, with time, tokens and cost."""
        return trace_lines(self.tracer.connect().get_trace(trace_id))
