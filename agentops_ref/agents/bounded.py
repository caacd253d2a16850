"""An agent that always answers, and in time: what every architecture is wrapped in.

Taught in chapter 5. A failure is an answer that says so; what was found before it is in it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.limits import Allowance, LimitReached
from agentops_ref.agents.request import Kept, Request
from agentops_ref.errors import (
    AgentOpsError,
    ConfigError,
    DeveloperError,
    NotRecorded,
    encodable,
    printable,
)
from agentops_ref.plain import answer_data
from agentops_ref.records import Answer
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent

log = logging.getLogger(__name__)
OURS = (ConfigError, DeveloperError, NotRecorded)
"""Errors of whoever set the system up; nobody is served by an answer in their place."""
RESERVE = 0.05
"""Share of a request's time in which nothing is waited for: what was found is stated then."""
AT_LEAST = 0.5
"""Seconds of it, but no more than a quarter of the time."""


def working(seconds: float | None) -> float | None:
    """Return how much of a time is worked in; the rest is for stating what was found."""
    if not seconds:
        return seconds
    return seconds - max(RESERVE * seconds, min(AT_LEAST, seconds / 4))


def stated(error: BaseException, reply: str, kept: Kept | None = None, **more: Any) -> Answer:
    """Return what there is of an answer when an error ends the work; it says what failed."""
    status = "failed"
    if isinstance(error, LimitReached | TimeoutError):
        status = "limit" if getattr(error, "limit", "seconds") != "seconds" else "timeout"
    problem = f"{status}: {printable(str(error)) or type(error).__name__}"
    if kept is None or kept.answer is None:
        return Answer(text=reply, abstained=True, problem=problem, **more)
    before = kept.answer.problem
    return replace(kept.answer, problem=f"{problem}; {before}" if before else problem, **more)


class Bounded:
    """An agent that always answers, and within what a request is allowed.

    Whatever goes wrong inside becomes an `Answer` whose ``problem`` says what it was, so that a
    caller who waits gets a statement and not an error; what was found until then is in it. Mistakes
    in the set-up (`OURS`) are raised. A request that brings limits is held to those as well.
    """

    def __init__(
        self,
        agent: Agent,
        allowance: Allowance,
        *,
        reply: str,
        tracer: Tracer | None = None,
        name: str = "request",
    ) -> None:
        self.agent, self.allowance, self.reply = agent, allowance, reply
        self.tracer, self.name = tracer or NoTracer(), name

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        question = encodable(question)
        with self.tracer.span(self.name, "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            outer = (request or Request()).within(self.allowance)
            left = outer.limits.left()
            inner = outer.within(Allowance(seconds=working(left)))
            try:
                answer = outer.limits.run(
                    f"the {self.name}", lambda: self.agent(question, request=inner)
                )
            except OURS:
                raise
            except Exception as error:
                if not isinstance(error, AgentOpsError):
                    log.exception("an agent failed")  # a bug: its place is worth seeing
                waiting = inner.limits.doing or inner.kept.at or inner.limits.late
                told = not waiting or str(error).startswith(f"{waiting}:")
                if isinstance(error, LimitReached) and not told:
                    error = LimitReached(error.limit, f"{waiting}: {error}")
                answer = stated(error, self.reply, inner.kept, usage=inner.limits.usage)
            answer = replace(
                answer,
                text=encodable(answer.text),
                problem=encodable(answer.problem),
                seconds=time.perf_counter() - started,
                trace_id=span.trace_id,
            )
            span.outputs(answer_data(answer))  # whole: a trace can be scored as the answer itself
            if answer.problem:
                span.failed(answer.problem)
        return answer
