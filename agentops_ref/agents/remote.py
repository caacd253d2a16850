"""An agent behind an endpoint: called as if it ran here. Taught in chapter 5.

The endpoint speaks MLflow's ResponsesAgent protocol (the shape of OpenAI's Responses API), so any
such agent can be a specialist. One of ours also takes what is left of the request's limits and
gives its whole `Answer` back; of a foreign one the text is all that there is.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from agentops_ref.agents.limits import Limits
from agentops_ref.agents.request import Request
from agentops_ref.errors import (
    AccessError,
    ModelError,
    OperatorError,
    TransientError,
    encodable,
)
from agentops_ref.records import Answer
from agentops_ref.secret import Secret
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

    Where ``token`` is given, it returns a token for this endpoint on behalf of whoever asks.

    Raises when it is called
    ------------------------
    TransientError
        It cannot be reached, is busy, or does not answer in time.
    OperatorError
        It refuses the call, or failed itself.
    ModelError
        What it answered is not a response.
    AccessError
        There is no token for it, or it refuses the one that there is.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        connect_seconds: float,
        headers: Mapping[str, str] | None = None,
        token: Callable[[Request], Secret] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.name, self.url = name, url.rstrip("/")
        self.connect_seconds, self.headers = connect_seconds, dict(headers or {})
        self.token, self.tracer = token, tracer or NoTracer()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        limits = request.limits
        body = {
            "input": [{"role": "user", "content": question}],
            "custom_inputs": {"request": request.as_json()},
        }
        with self.tracer.span(self.name, "AGENT", {"question": question, "url": self.url}) as span:
            started = time.perf_counter()
            token = self.token(request) if self.token else None
            answer = _read(self.name, encodable(self._post(encodable(body), limits, token)))
            limits.spend(answer.usage)
            span.outputs({"answer": answer.text, "problem": answer.problem})
            if answer.problem:
                span.failed(answer.problem)
            return replace(answer, seconds=time.perf_counter() - started, trace_id=span.trace_id)

    def _post(self, body: Mapping[str, Any], limits: Limits, token: Secret | None) -> Any:
        import httpx

        left = limits.left()
        wait = httpx.Timeout(left, connect=_least(left, self.connect_seconds))
        headers = {**self.headers, **self.tracer.headers()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
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
        if reply.status_code in (401, 403) and self.token is not None:
            why = _challenge(reply.headers.get("www-authenticate", ""))
            raise AccessError(f"{self.name} refuses the request: {why}")
        if reply.status_code >= 400:
            raise OperatorError(f"{self.url}: HTTP {reply.status_code}: {reply.text[:200]}")
        try:
            return reply.json()
        except ValueError as error:
            raise ModelError(f"{self.url}: expected JSON, got {reply.text[:80]!r}") from error


def _challenge(header: str) -> str:
    """Return why a token was refused, as `WWW-Authenticate` says it (RFC 6750)."""
    found = re.search(r'error_description="([^"]*)"', header)
    return found[1] if found else "it wants a token"


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
