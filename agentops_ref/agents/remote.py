"""An agent behind an endpoint: called as if it ran here. Taught in chapter 5.

The endpoint speaks MLflow's ResponsesAgent protocol (the shape of OpenAI's Responses API), so any
such agent can be a specialist. One of ours also takes what is left of the request's limits and
gives its whole `Answer` back; of a foreign one the text is all that there is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from agentops_ref.agents.limits import Limits
from agentops_ref.agents.request import Request
from agentops_ref.errors import ModelError, OperatorError, TransientError, encodable
from agentops_ref.records import Answer
from agentops_ref.tracing import NoTracer, Tracer

PATH = "/invocations"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One agent that was started."""

    name: str
    url: str
    pid: int
    born: float
    """When the process began; tells it from a later one that has the same number."""
    log: str
    """File with what it printed."""


def started(folder: Path) -> dict[str, Endpoint]:
    """Return what was started and not ended, by name.

    Whether it still runs, `agentops_ref.ops.endpoints.state` says.
    """
    found = {}
    for file in sorted(folder.glob("*.json")):
        try:
            one = Endpoint(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue  # half written, or removed meanwhile
        found[one.name] = one
    return found


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain JSON values."""
    made: dict[str, Any] = _adapter().dump_python(answer, mode="json")
    return made


def answer_of(value: Any) -> Answer:
    """Read what `answer_json` wrote.

    Raises
    ------
    ModelError
        It is not such an answer.
    """
    try:
        made: Answer = _adapter().validate_python(value)
    except ValueError as error:
        raise ModelError(f"expected an answer, got {str(value)[:120]!r}: {error}") from error
    return made


class RemoteAgent:
    """Asks the agent at ``url``, with this request's limits and inside its trace.

    Raises when it is called
    ------------------------
    TransientError
        It cannot be reached, is busy, or does not answer in time.
    OperatorError
        It refuses the call, or failed itself.
    ModelError
        What it answered is not a response.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        connect_seconds: float,
        headers: Mapping[str, str] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.name, self.url = name, url.rstrip("/")
        self.connect_seconds, self.headers = connect_seconds, dict(headers or {})
        self.tracer = tracer or NoTracer()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        limits = request.limits
        body = {
            "input": [{"role": "user", "content": question}],
            "custom_inputs": {"request": request.as_json()},
        }
        with self.tracer.span(self.name, "AGENT", {"question": question, "url": self.url}) as span:
            started = time.perf_counter()
            answer = _read(self.name, encodable(self._post(encodable(body), limits)))
            limits.spend(answer.usage)
            span.outputs({"answer": answer.text, "problem": answer.problem})
            if answer.problem:
                span.failed(answer.problem)
            return replace(answer, seconds=time.perf_counter() - started, trace_id=span.trace_id)

    def _post(self, body: Mapping[str, Any], limits: Limits) -> Any:
        import httpx

        left = limits.left()
        wait = httpx.Timeout(left, connect=_least(left, self.connect_seconds))
        headers = {**self.headers, **self.tracer.headers()}
        try:
            reply = httpx.post(self.url + PATH, json=body, headers=headers, timeout=wait)
        except httpx.ConnectError as error:
            raise TransientError(f"no agent answers at {self.url}: {error}") from error
        except httpx.TimeoutException as error:
            raise TransientError(f"{self.url} did not answer in time") from error
        except httpx.HTTPError as error:
            raise TransientError(f"{self.url}: {error}") from error
        if reply.status_code in (429, 502, 503, 504):
            raise TransientError(f"{self.url} is busy: HTTP {reply.status_code}")
        if reply.status_code >= 400:
            raise OperatorError(f"{self.url}: HTTP {reply.status_code}: {reply.text[:200]}")
        try:
            return reply.json()
        except ValueError as error:
            raise ModelError(f"{self.url}: expected JSON, got {reply.text[:80]!r}") from error


def _read(name: str, reply: Any) -> Answer:
    if not isinstance(reply, dict):
        raise ModelError(f"{name}: expected a response, got {str(reply)[:80]!r}")
    ours = (reply.get("custom_outputs") or {}).get("answer")
    if ours is not None:
        return answer_of(ours)
    try:
        texts = [
            part["text"]
            for item in reply["output"]
            for part in item.get("content") or ()
            if part.get("type") == "output_text"
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"{name}: expected a response, got {str(reply)[:80]!r}") from error
    if not texts:
        raise ModelError(f"{name}: the response holds no text")
    return Answer("\n".join(texts), abstained=False, model=str(reply.get("model") or name))


def _least(left: float | None, most: float) -> float:
    return most if left is None else min(left, most)
