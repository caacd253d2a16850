"""One question answered with tools: all that is the same whoever decides what comes next.

Taught in chapter 5. An agent subclasses `ToolAgent` and says in `solve` in which order models and
tools are called, in plain Python or with a framework. Limits, spans, tools, usage, what was shown
and the answer that is made of it belong to its `Run`.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.bounded import OURS, stated
from agentops_ref.agents.chain import (
    SILENT,
    UNREADABLE,
    UsageOf,
    format_context,
    generate,
    says,
    who_answered,
)
from agentops_ref.agents.citations import Draft, cite, strip_markers
from agentops_ref.agents.prompts import Prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools.documents import Excerpts
from agentops_ref.agents.tools.registry import Registry
from agentops_ref.agents.tools.spec import Caller, ToolResult
from agentops_ref.errors import AgentOpsError, ModelError, printable
from agentops_ref.records import Answer, Hit, Step, Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

SAME = "this was called before; answer from the result above"


class OutOfSteps(ModelError):
    """The model used up its calls without an answer."""

    def __init__(self, calls: int) -> None:
        super().__init__(f"no answer after {calls} model calls")


class ToolAgent(ABC):
    """An agent with the tools that ``name`` may use.

    Parameters
    ----------
    context_chars
        Characters of excerpts that one search shows to the model.
    min_support
        Share of an answer that an excerpt must hold to be cited without a marker.
    max_steps
        Model calls for one question.
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
        tracer: Tracer | None = None,
    ) -> None:
        self.name, self.registry, self.model, self.prompt = name, registry, model, prompt
        self.usage_of, self.context_chars, self.min_support = usage_of, context_chars, min_support
        self.max_steps, self.tracer = max_steps, tracer or NoTracer()

    @abstractmethod
    def solve(self, run: Run, question: str) -> str:
        """Return the model's answer.

        Raises
        ------
        ModelError
            There is none: `OutOfSteps`, or what the model said cannot be used.
        """

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        run, text, problem = Run(self, request or Request()), "", ""
        with self.tracer.span(self.name, "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            try:
                text = self.solve(run, question).strip()
                problem = run.problem(text)
                text = text if any(map(str.isalnum, text)) else ""
            except OutOfSteps as error:
                problem = "; ".join([f"limit: {error}", *run.failed.values()])
            except OURS:
                raise
            except AgentOpsError as error:  # what was written or found until then is kept
                problem = "; ".join([stated(error, "").problem, *run.failed.values()])
            seconds = time.perf_counter() - started
            answer = replace(run.answer(text, problem), seconds=seconds, trace_id=span.trace_id)
            span.outputs({"answer": answer.text, "abstained": answer.abstained, "problem": problem})
            if problem:
                span.failed(problem)
        return answer


class Run:
    """What is done for one question: which models and tools were called, and what they gave."""

    def __init__(self, agent: ToolAgent, request: Request) -> None:
        self._agent, self._request = agent, request
        self._caller = Caller(
            agent.name,
            tenant=request.tenant,
            desk=request.desk,
            user=request.user,
            request=request.id,
            thread=request.thread,
            filters=request.filters,
            said=request.asked,
            identity=request.identity,
        )
        specs = agent.registry.specs(agent.name, request.identity)
        self._writes = {spec.name for spec in specs if spec.effect == "write"}
        self._made: set[str] = set()
        self.offered = [spec.as_function() for spec in specs]
        """The tools, in the form in which chat models are offered them."""
        self.usage, self.model_name = Usage(), ""
        told, known = format_context(request.known if agent.prompt.known else ())
        self.known = [agent.prompt.known, told] if known else []
        """What is known of those whom the question concerns, as lines of the prompt."""
        self.shown: list[Hit] = list(known)
        self.steps: list[Step] = []
        self.done: list[str] = []
        """What was written, as the tools tell it."""
        self.waiting: dict[str, str] = {}
        """Approvals that actions wait for, by id, as the registry tells it."""
        self.failed: dict[str, str] = {}
        """Tool → what became of its last call, where that failed."""

    @cached_property
    def model(self) -> Any:
        """The chat model with the tools bound."""
        return self._agent.model.bind_tools(self.offered)

    def ask(self, messages: Sequence[BaseMessage], model: Any = None) -> AIMessage:
        """Call the model, within the request's limits; ``model`` is one that is bound otherwise.

        Raises
        ------
        LimitReached
            The request has no step left, or the model took longer than the request may.
        """
        agent = self._agent
        reply, spent = generate(
            model or self.model, messages, agent.usage_of, agent.tracer, self._request.limits
        )
        self.usage, self.model_name = self.usage + spent, who_answered(reply)
        return reply

    def call(self, call: Mapping[str, Any]) -> ToolMessage:
        """Run a tool call (name, args, id). One that was made before is not run again."""
        from langchain_core.messages import ToolMessage

        name, arguments, by = str(call["name"]), call["args"], self._agent.name
        given = json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
        if (same := f"{name} {given}") in self._made:
            self.steps.append(Step(by, name, given, status="repeated", detail=SAME))
            return ToolMessage(SAME, tool_call_id=call["id"], name=name)
        self._made.add(same)
        result = self._agent.registry.call(name, arguments, self._caller, self._request.limits)
        detail = "" if result.ok else result.text
        if result.ok and name in self._writes:
            self.done.append(f"{name}: {result.text}")
        if result.status == "waiting":
            self.waiting[str(result.value)] = f"{name}: {result.text}"
        if name in self._writes and (result.ok or result.status == "waiting"):
            self._request.kept.answer = self.answer("")
        self.failed.pop(name, None)
        if result.status in ("failed", "timeout"):
            self.failed[name] = f"{result.status}: {name}: {detail.removeprefix(f'{name}: ')}"
        told = self._told(result)
        self.steps.append(Step(by, name, given, result.status, result.seconds, detail, told))
        return ToolMessage(told, tool_call_id=call["id"], name=name)

    def _told(self, result: ToolResult) -> str:
        if not isinstance(result.value, Excerpts):
            return result.text
        limit, start = self._agent.context_chars, len(self.shown) + 1
        text, hits = result.value.numbered(limit, start=start)
        self.shown.extend(hits)
        return text

    def problem(self, text: str) -> str:
        """Return what keeps a text from being the whole answer; "" if nothing does."""
        found = list(self.failed.values())
        if not found and not any(map(str.isalnum, text)):
            found = [f"failed: {SILENT}" if not text else f"failed: {UNREADABLE}: {text[:80]}"]
        return printable("; ".join(found))

    def answer(self, text: str, problem: str = "") -> Answer:
        """Return the answer with its evidence, or the abstention that the text amounts to."""
        prompt, shown = self._agent.prompt, self.shown
        abstained = not text or says(text, prompt.abstain)
        if abstained and self.done:
            # What was done is done: code says so where the model does not.
            text, abstained = "\n".join(self.done), False
        if self.waiting:
            # Not left to the model either: it may say that it is done.
            told = list(self.waiting.values())
            text, abstained = "\n".join([*([] if abstained else [text]), *told]), False
        evidence = cite(Draft(text), shown, min_support=self._agent.min_support)
        return Answer(
            text=prompt.reply if abstained else strip_markers(text),
            abstained=abstained,
            citations=() if abstained else evidence,
            hits=tuple(shown),
            usage=self.usage,
            model=self.model_name,
            steps=tuple(self.steps),
            problem=problem,
            waiting=tuple(self.waiting),
        )
