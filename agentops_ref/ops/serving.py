"""An agent as an endpoint: an MLflow ResponsesAgent behind MLflow's own agent server.

Taught in chapters 5 and 10. ``POST /invocations`` answers, ``GET /health`` says that it can. With a
`Gate` in front (chapter 7) only those are answered who bring a token, as those whom it names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.remote import answer_json
from agentops_ref.agents.request import Request
from agentops_ref.ops.auth import Gate, who_asks
from agentops_ref.secret import scrub

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent


def responses_agent(agent: Agent) -> Any:
    """Return an agent as an `mlflow.pyfunc.ResponsesAgent`."""
    from mlflow.pyfunc.model import ResponsesAgent
    from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse
    from mlflow.types.responses_helpers import OutputItem

    class Served(ResponsesAgent):
        def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:  # type: ignore[override]
            given = Request.of_json((request.custom_inputs or {}).get("request") or {})
            if (identity := who_asks()) is not None:
                given = given.of(identity)  # whatever tenant and user the body names
            answer = scrub(agent(question_of(request), request=given))
            item = self.create_text_output_item(answer.text, answer.trace_id or "answer")
            return ResponsesAgentResponse(
                output=[OutputItem(**item)],
                custom_outputs={"answer": answer_json(answer)},
            )

    return Served()


def question_of(request: Any) -> str:
    """Return the newest message's text. What came before it is the caller's to keep."""
    content = request.input[-1].content
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content or () if part)


def application(agent: Agent, *, gate: Gate | None = None) -> Any:
    """Return the ASGI application that serves an agent; one in a process.

    A call that brings a ``traceparent`` is traced as part of the caller's trace, once ``gate`` has
    let it pass.
    """
    from mlflow.genai.agent_server import AgentServer, invoke
    from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse

    served = responses_agent(agent)
    server: Any = AgentServer("ResponsesAgent")

    @invoke()
    async def answer(request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        # In a thread: while one request waits for the model, the next is taken, and so is /health.
        return await asyncio.to_thread(served.predict, request)

    joined = _Joined(server.app)
    return joined if gate is None else gate.guard(joined)


class _Joined:
    """Puts what a request does below the span of its caller."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        from mlflow.tracing import set_tracing_context_from_http_request_headers

        headers = {k.decode().lower(): v.decode() for k, v in scope.get("headers") or ()}
        if "traceparent" not in headers:
            await self.app(scope, receive, send)
            return
        with set_tracing_context_from_http_request_headers(headers):
            await self.app(scope, receive, send)
