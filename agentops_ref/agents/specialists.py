"""Several agents behind one: a router that chooses once, and what a supervisor shares with it.

Taught in chapter 5. A specialist is an agent with a name and a line that says what it is for; it
may run in this process or behind an endpoint, which makes no difference here.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.bounded import OURS, stated, working
from agentops_ref.agents.chain import Agent, UsageOf, generate
from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.agents.prompts import Prompt
from agentops_ref.agents.request import Request
from agentops_ref.errors import ConfigError, ModelError, nearest, reason
from agentops_ref.records import Answer, Step, Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Specialist:
    """An agent among several."""

    name: str
    purpose: str
    """One line: what it is asked. A model chooses by it."""
    agent: Agent
    timeout: float | None = None
    """Seconds after which the others go on without it; None is the request's own deadline."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one task."""

    agent: str
    task: str
    answer: Answer

    @property
    def useful(self) -> bool:
        """Whether there is something in it, if only a part."""
        return not self.answer.abstained

    @property
    def whole(self) -> bool:
        return self.useful and not self.answer.problem


def ask(
    specialist: Specialist, task: str, request: Request, *, reply: str, share: float = 1.0
) -> Finding:
    """Hand a task over; whatever the specialist raises is a finding that says so.

    It has ``share`` of what the request has left, or its own time-out if that is less, and ends a
    little before, with what it has found. What does not end by itself is left behind.

    Raises
    ------
    LimitReached
        The request is at its end; nothing was handed over.
    """
    limits = request.limits
    limits.check()
    left = limits.left()
    times = [s for s in (specialist.timeout, None if left is None else share * left) if s]
    part = min(times, default=None)
    inner = request.within(Allowance(seconds=working(part)))
    started = time.perf_counter()
    try:
        answer = limits.run(
            specialist.name, lambda: specialist.agent(task, request=inner), at_most=part
        )
    except OURS:
        raise
    except Exception as error:  # a specialist's bug must not take the others down
        log.warning("%s: %s", specialist.name, reason(error))
        spent = {"seconds": time.perf_counter() - started, "usage": inner.limits.usage}
        answer = stated(error, reply, inner.kept, **spent)
    return Finding(specialist.name, task, answer)


def step_of(finding: Finding, by: str) -> Step:
    """Return the hand-over as a step of the trajectory; ``by`` is who handed over."""
    status, _, detail = finding.answer.problem.partition(": ")
    return Step(
        by,
        finding.agent,
        finding.task,
        status=status or "ok",
        seconds=finding.answer.seconds,
        detail=detail,
    )


class Router:
    """One model call chooses a specialist, which then answers alone."""

    def __init__(
        self,
        specialists: Sequence[Specialist],
        *,
        model: BaseChatModel,
        prompt: Prompt,
        usage_of: UsageOf,
        fallback: str,
        tracer: Tracer | None = None,
    ) -> None:
        self.specialists = {one.name: one for one in specialists}
        if fallback not in self.specialists:
            known = nearest(fallback, tuple(self.specialists))
            raise ConfigError(f"agent.fallback: no specialist '{fallback}'{known}")
        self.model, self.prompt, self.usage_of = model, prompt, usage_of
        self.fallback, self.tracer = fallback, tracer or NoTracer()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        with self.tracer.span("router", "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            name, usage, why = self._choose(question, request.limits)
            found = ask(
                self.specialists[name],
                question,
                request,
                reply=self.prompt.reply,
            )
            chosen = step_of(found, "router")
            chosen = replace(chosen, detail=why or chosen.detail)
            answer = replace(
                found.answer,
                usage=usage + found.answer.usage,
                seconds=time.perf_counter() - started,
                trace_id=span.trace_id,
                steps=(chosen, *found.answer.steps),
            )
            span.outputs({"agent": name, "answer": answer.text, "problem": answer.problem})
            if answer.problem:
                span.failed(answer.problem)
        return answer

    def _choose(self, question: str, limits: Limits) -> tuple[str, Usage, str]:
        """Return (specialist, cost, why the fallback was taken)."""
        messages = self.prompt.messages(question=question, specialists=told(self.specialists))
        model = self.model.bind(
            response_format=form("choice", {"agent": one_of(list(self.specialists))})
        )
        try:
            reply, usage = generate(model, messages, self.usage_of, self.tracer, limits)
        except ModelError as error:
            return self.fallback, Usage(calls=1), f"no choice: {error}"
        name = read_form(reply.text).get("agent")
        if name not in self.specialists:
            return self.fallback, usage, f"no such specialist: {reply.text[:80]}"
        return str(name), usage, ""


def told(specialists: Mapping[str, Specialist]) -> str:
    """Return the specialists as a list for a prompt."""
    return "\n".join(f"- {one.name}: {one.purpose}" for one in specialists.values())


def form(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response format of an object with these properties, all of them required."""
    return {"type": "json_schema", "json_schema": {"name": name, "schema": record(properties)}}


def record(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def one_of(names: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of one of these names."""
    return {"type": "string", "enum": list(names)}


def read_form(text: str) -> dict[str, Any]:
    """Return what a model filled in; nothing if that is no JSON object."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
