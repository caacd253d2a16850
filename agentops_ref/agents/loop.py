"""An agent in plain Python: the model chooses tools until it answers or runs out of steps.

Taught in chapters 1 and 5. The loop is bounded, every step is a span, and whatever a tool does is a
result that the model can read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.chain import UsageOf, format_context, generate, says, who_answered
from agentops_ref.agents.citations import Draft, cite, strip_markers
from agentops_ref.agents.prompts import Prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools.documents import Excerpts
from agentops_ref.agents.tools.registry import Registry
from agentops_ref.agents.tools.spec import Caller, ToolResult
from agentops_ref.errors import ModelError
from agentops_ref.records import Answer, Hit, Step, Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SAME = "this was called before; answer from the result above"


class ToolLoop:
    """Model → tool → model → … → answer, with the tools that ``name`` may use.

    With ``look_first`` the first step is a tool's: a small model may otherwise answer from nothing.
    """

    def __init__(
        self,
        *,
        name: str,
        registry: Registry,
        model: BaseChatModel,
        prompt: Prompt,
        usage_of: UsageOf,
        context_chars: int,
        min_support: float,
        max_steps: int,
        look_first: bool = False,
        tracer: Tracer | None = None,
    ) -> None:
        self.name, self.registry, self.model, self.prompt = name, registry, model, prompt
        self.usage_of, self.context_chars, self.min_support = usage_of, context_chars, min_support
        self.max_steps, self.look_first = max_steps, look_first
        self.tracer = tracer or NoTracer()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        tools = _Tools(self, request)
        offered = [spec.as_function() for spec in self.registry.specs(self.name)]
        model: Any = self.model.bind_tools(offered)
        first = self.model.bind_tools(offered, tool_choice="any") if self.look_first else model
        messages = self.prompt.messages(question="\n".join([question, *tools.known]))
        usage, name, text, problem = Usage(), "", "", ""
        with self.tracer.span(self.name, "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            for step in range(self.max_steps):
                try:
                    reply, spent = generate(
                        model if step else first,
                        messages,
                        self.usage_of,
                        self.tracer,
                        request.limits,
                    )
                except ModelError as error:
                    problem = f"failed: {error}"
                    break
                usage, name = usage + spent, who_answered(reply)
                if not reply.tool_calls:
                    text = reply.text.strip()
                    break
                messages.append(reply)
                messages.extend(tools.call(call) for call in reply.tool_calls)
            else:
                problem = f"limit: no answer after {self.max_steps} model calls"
            abstained = not text or says(text, self.prompt.abstain)
            if abstained and tools.done:
                # What was done is done: code says so where the model does not.
                text, abstained = "\n".join(tools.done), False
            shown = tools.shown
            answer = Answer(
                text=self.prompt.reply if abstained else strip_markers(text),
                abstained=abstained,
                citations=()
                if abstained
                else cite(Draft(text), shown, min_support=self.min_support),
                hits=tuple(shown),
                usage=usage,
                seconds=time.perf_counter() - started,
                model=name,
                trace_id=span.trace_id,
                steps=tuple(tools.steps),
                problem=problem,
            )
            span.outputs({"answer": answer.text, "abstained": abstained, "problem": problem})
        return answer


class _Tools:
    """The calls of one run: what was shown, what was done."""

    def __init__(self, loop: ToolLoop, request: Request) -> None:
        self._loop, self._request = loop, request
        self._caller = Caller(
            loop.name,
            tenant=request.tenant,
            user=request.user,
            request=request.id,
            thread=request.thread,
            filters=request.filters,
        )
        self._made: set[str] = set()
        specs = loop.registry.specs(loop.name)
        self._writes = {spec.name for spec in specs if spec.effect == "write"}
        told, known = format_context(request.known if loop.prompt.known else ())
        self.known = [loop.prompt.known, told] if known else []
        """What is known of those whom the question concerns, as lines of the prompt."""
        self.shown: list[Hit] = list(known)
        self.steps: list[Step] = []
        self.done: list[str] = []
        """What was written, as the tools tell it."""

    def call(self, call: Mapping[str, Any]) -> Any:
        """Run one call. A call made before is not run again: its result is in the messages."""
        from langchain_core.messages import ToolMessage

        name, arguments = str(call["name"]), call["args"]
        given = json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
        if (same := f"{name} {given}") in self._made:
            self.steps.append(Step(self._loop.name, name, given, status="repeated", detail=SAME))
            return ToolMessage(SAME, tool_call_id=call["id"], name=name)
        self._made.add(same)
        result = self._loop.registry.call(name, arguments, self._caller, self._request.limits)
        detail = "" if result.ok else result.text
        if result.ok and name in self._writes:
            self.done.append(f"{name}: {result.text}")
        self.steps.append(Step(self._loop.name, name, given, result.status, result.seconds, detail))
        return ToolMessage(self._told(result), tool_call_id=call["id"], name=name)

    def _told(self, result: ToolResult) -> str:
        if not isinstance(result.value, Excerpts):
            return result.text
        limit, start = self._loop.context_chars, len(self.shown) + 1
        text, hits = result.value.numbered(limit, start=start)
        self.shown.extend(hits)
        return text
