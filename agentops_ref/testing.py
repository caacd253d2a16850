"""Fakes that tests use, ours and yours: no weights, no recordings, no network.

``models.mode: scripted`` wires them; or make them by hand::

    >>> from agentops_ref.testing import ScriptedChat
    >>> ScriptedChat(replies=["18 Nm [1]"]).invoke("What torque?").text
    '18 Nm [1]'
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import reason
from agentops_ref.models.scripted import HashEmbeddings, ScriptedChat, ScriptedOcr

if TYPE_CHECKING:
    from agentops_ref.etl import Stages


def hash_stages(
    *,
    dimensions: int = 64,
    target_chars: int = 600,
    max_chars: int = 900,
    cache: Path | str | None = None,
) -> Stages:
    """Return real parsers and chunks with `HashEmbeddings`, and without OCR."""
    from agentops_ref.etl import default_stages
    from agentops_ref.settings import ChunkConfig

    embeddings = HashEmbeddings(dimensions)
    return default_stages(
        ocr=None,
        ocr_recipe="none",
        embeddings=embeddings,
        embedding_recipe=embeddings.recipe,
        chunk=ChunkConfig(target_chars=target_chars, max_chars=max_chars),
        cache=cache,
    )


@dataclass
class RecordedSpan:
    """One span, as `RecordingTracer` keeps it."""

    name: str
    kind: str
    parent: str
    """Name of the span around it; empty for the outermost."""
    failure: str = ""
    """Why it is marked as failed; empty where it is not."""
    output: Any = None
    trace_id: str = "recorded"

    def outputs(self, value: Any) -> None:
        """Keep what came of it."""
        self.output = value

    def usage(self, usage: Any, *, model: str) -> None:
        """Nothing is counted."""

    def failed(self, why: str) -> None:
        """Mark it as failed."""
        self.failure = why

    def done(self) -> None:
        """Nothing is timed."""


class RecordingTracer:
    """Keeps spans in a list, in the order in which they began."""

    def __init__(self) -> None:
        self.spans: list[RecordedSpan] = []
        self._guard = threading.Lock()

    @contextmanager
    def span(self, name: str, kind: str, inputs: Mapping[str, Any]) -> Iterator[RecordedSpan]:
        """Open a span; an error that leaves it marks it as failed."""
        made = RecordedSpan(name, kind, _OPEN.get())
        with self._guard:
            self.spans.append(made)
        within = _OPEN.set(name)
        try:
            yield made
        except BaseException as error:
            made.failure = reason(error)
            raise
        finally:
            _OPEN.reset(within)

    def headers(self) -> Mapping[str, str]:
        """Return none: nothing is written that another process could join."""
        return {}

    @property
    def failures(self) -> dict[str, str]:
        """Span → why it is marked as failed."""
        return {span.name: span.failure for span in self.spans if span.failure}


_OPEN: ContextVar[str] = ContextVar("agentops_recorded_span", default="")

__all__ = [
    "HashEmbeddings",
    "RecordedSpan",
    "RecordingTracer",
    "ScriptedChat",
    "ScriptedOcr",
    "hash_stages",
]
