"""An agent in plain Python: the model chooses tools until it answers or runs out of steps.

Taught in chapter 1. The loop is bounded, every step is a span, and a tool that raises gives the
model a message instead of ending the conversation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.chain import Search, UsageOf, generate, says, who_answered
from agentops_ref.agents.citations import Draft, cite, strip_markers
from agentops_ref.agents.limits import Limits
from agentops_ref.agents.prompts import Prompt
from agentops_ref.agents.tools import DocumentSearch
from agentops_ref.errors import ModelError
from agentops_ref.records import Answer, Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool


class ToolLoop:
    """Model → tool → model → … → answer."""

    def __init__(
        self,
        *,
        search: Search,
        tools: Callable[[], Sequence[BaseTool]],
        model: BaseChatModel,
        prompt: Prompt,
        usage_of: UsageOf,
        context_chars: int,
        min_support: float,
        max_steps: int,
        tracer: Tracer | None = None,
    ) -> None:
        self.search, self.tools, self.model, self.prompt = search, tools, model, prompt
        self.usage_of, self.context_chars, self.min_support = usage_of, context_chars, min_support
        self.max_steps = max_steps
        self.tracer = tracer or NoTracer()

    def __call__(
        self,
        question: str,
        *,
        filters: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
    ) -> Answer:
        limits = limits or Limits()
        documents = DocumentSearch(self.search, context_chars=self.context_chars, filters=filters)
        tools = {tool.name: tool for tool in (documents.as_tool(), *self.tools())}
        model = self.model.bind_tools(list(tools.values()))
        messages = self.prompt.messages(question=question)
        usage, name, text = Usage(), "", ""
        made: set[str] = set()
        with self.tracer.span("agent", "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            for _ in range(self.max_steps):
                try:
                    reply, spent = generate(model, messages, self.usage_of, self.tracer, limits)
                except ModelError as error:
                    text = ""
                    span.outputs({"error": str(error)})
                    break
                usage, name, text = usage + spent, who_answered(reply), reply.text.strip()
                if not reply.tool_calls:
                    break
                messages.append(reply)
                messages.extend(self._call(tools, call, made) for call in reply.tool_calls)
                text = ""
            abstained = not text or says(text, self.prompt.abstain)
            answer = Answer(
                text=self.prompt.reply if abstained else strip_markers(text),
                abstained=abstained,
                citations=()
                if abstained
                else cite(Draft(text), documents.shown, min_support=self.min_support),
                hits=tuple(documents.shown),
                usage=usage,
                seconds=time.perf_counter() - started,
                model=name,
                trace_id=span.trace_id,
            )
            span.outputs({"answer": answer.text, "abstained": abstained})
        return answer

    def _call(self, tools: Mapping[str, BaseTool], call: Mapping[str, Any], made: set[str]) -> Any:
        """Run one call. A call made before is not run again: its result is in the messages."""
        from langchain_core.messages import ToolMessage

        same = json.dumps([call["name"], call["args"]], sort_keys=True, default=str)
        with self.tracer.span(str(call["name"]), "TOOL", dict(call["args"])) as span:
            tool = tools.get(call["name"])
            if same in made:
                result = "this was called before; answer from the result above"
            elif tool is None:
                result = f"unknown tool {call['name']}; known: {', '.join(tools)}"
            else:
                try:
                    result = str(tool.invoke(call["args"]))
                except Exception as error:  # what a tool raises is an answer to the model
                    result = f"the tool failed: {error}"
            made.add(same)
            span.outputs(result)
        return ToolMessage(result, tool_call_id=call["id"], name=call["name"])
