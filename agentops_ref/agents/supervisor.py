"""A supervisor over specialists, as a LangGraph graph: decide → specialists → decide → … → finish.

Taught in chapter 5. The model splits a question into tasks and says who works on each; it is asked
again where it wants to go on from what was found, or where a task found nothing. Code decides when
to stop: a task that was handed over before is not handed over again, a specialist that failed or
found nothing is no longer offered, and the tasks are counted, so the loop ends whatever the model
says. The answer is what was found, one finding after the other: a model that was to join two
findings was seen to add to them.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from agentops_ref.agents.bounded import OURS
from agentops_ref.agents.chain import UsageOf, generate
from agentops_ref.agents.limits import LimitReached
from agentops_ref.agents.prompts import Prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.specialists import (
    Finding,
    Specialist,
    ask,
    form,
    one_of,
    read_form,
    record,
    step_of,
    told,
)
from agentops_ref.errors import AgentOpsError
from agentops_ref.records import Answer, Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.runtime import Runtime


class State(TypedDict, total=False):
    """What goes from node to node."""

    question: str
    findings: Annotated[list[Finding], operator.add]
    usage: Annotated[Usage, operator.add]
    """Of the supervisor's own calls."""
    tasks: list[tuple[str, str]]
    """(specialist, what it is asked) that come next."""
    more: bool
    """Whether the model wants to go on from what these find."""
    begun: int
    """How many findings there were when it decided."""
    problem: str
    """Which limit ended the work; empty otherwise."""
    answer: Answer


class Supervisor:
    """Decides round by round who works on a question, and joins what they found."""

    def __init__(
        self,
        specialists: Sequence[Specialist],
        *,
        model: BaseChatModel,
        prompt: Prompt,
        usage_of: UsageOf,
        max_tasks: int,
        tracer: Tracer | None = None,
        name: str = "supervisor",
    ) -> None:
        self.specialists = {one.name: one for one in specialists}
        self.model, self.prompt, self.usage_of = model, prompt, usage_of
        self.max_tasks, self.name = max_tasks, name
        self.tracer = tracer or NoTracer()
        self.graph = self._build()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        with self.tracer.span(self.name, "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            state: State = {"question": question, "findings": [], "usage": Usage()}
            steps = 2 * self.max_tasks + 4  # nodes, which our own limits end before
            done = self.graph.invoke(state, {"recursion_limit": steps}, context=request)
            answer: Answer = replace(
                done["answer"],
                seconds=time.perf_counter() - started,
                trace_id=span.trace_id,
            )
            span.outputs({"answer": answer.text, "problem": answer.problem})
            if answer.problem:
                span.failed(answer.problem)
        return answer

    def _build(self) -> Any:
        from langgraph.graph import END, START, StateGraph

        graph: Any = StateGraph(State, context_schema=Request)
        graph.add_node("decide", self._decide, destinations=(*self.specialists, "finish"))
        for one in self.specialists.values():
            after = tuple(name for name in self.specialists if name != one.name)
            ends = (*after, "decide", "finish")
            graph.add_node(one.name, partial(self._work, one), destinations=ends)
        graph.add_node("finish", self._finish)
        graph.add_edge(START, "decide")
        graph.add_edge("finish", END)
        return graph.compile()

    # --- nodes ----------------------------------------------------------------------------

    def _decide(self, state: State, runtime: Runtime[Request]) -> Any:
        from langgraph.types import Command

        findings, limits = state["findings"], runtime.context.limits
        offered, left = self._offered(findings), self.max_tasks - len(findings)
        messages = self.prompt.messages(
            question=state["question"],
            specialists=told({name: self.specialists[name] for name in offered}),
            findings="\n".join(f"- {f.task} {f.agent}: {f.answer.text}" for f in findings)
            or "none",
        )
        model = self.model.bind(response_format=_form(offered, left))
        try:
            reply, usage = generate(model, messages, self.usage_of, self.tracer, limits)
        except LimitReached as error:
            return Command(goto="finish", update={"problem": f"limit: {error}"})
        except OURS:
            raise
        except AgentOpsError as error:
            return Command(goto="finish", update={"problem": f"no decision: {error}"})
        done = {(finding.agent, finding.task.lower()) for finding in findings}
        decided = read_form(reply.text)
        tasks = _tasks(decided, offered, done, state["question"])[:left]
        if tasks:
            more = decided.get("more") is True
            update = {"usage": usage, "tasks": tasks, "more": more, "begun": len(findings)}
            return Command(goto=tasks[0][0], update=update)
        finished = findings and decided.get("tasks") is not None
        why = "" if finished else f"no decision: {reply.text[:80]}"
        return Command(goto="finish", update={"usage": usage, "problem": why})

    def _offered(self, findings: Sequence[Finding]) -> list[str]:
        """Return who may be asked: one that failed would fail again, one that has nothing also."""
        last = {finding.agent: finding for finding in findings}
        return [n for n in self.specialists if n not in last or last[n].whole]

    def _work(self, one: Specialist, state: State, runtime: Runtime[Request]) -> Any:
        from langgraph.types import Command

        (_, task), *rest = state["tasks"]
        request = runtime.context
        try:
            # Those that wait are left their share of the time, should this one hang.
            share = 1 / (1 + len(rest))
            found = ask(one, task, request, reply=self.prompt.reply, share=share)
        except LimitReached as error:
            return Command(goto="finish", update={"problem": f"limit: {error}"})
        findings = [*state["findings"], found]
        request.kept.answer = self._joined(findings, state["usage"])
        offered = self._offered(findings)
        rest = [(name, task) for name, task in rest if name in offered]
        update = {"findings": [found], "tasks": rest}
        if rest:
            return Command(goto=rest[0][0], update=update)
        missing = not all(finding.whole for finding in findings[state["begun"] :])
        goes_on = (state["more"] or missing) and offered and len(findings) < self.max_tasks
        return Command(goto="decide" if goes_on else "finish", update=update)

    def _finish(self, state: State) -> State:
        answer = self._joined(state["findings"], state["usage"], state.get("problem", ""))
        return {"answer": answer}

    def _joined(self, findings: Sequence[Finding], usage: Usage, problem: str = "") -> Answer:
        useful = [finding for finding in findings if finding.useful]
        problems = [f"{f.agent} {f.answer.problem}" for f in findings if f.answer.problem]
        problems += [problem] if problem else []
        return Answer(
            text="\n".join(dict.fromkeys(f.answer.text for f in useful)) or self.prompt.reply,
            abstained=not useful,
            citations=tuple(dict.fromkeys(c for f in useful for c in f.answer.citations)),
            hits=tuple(hit for finding in useful for hit in finding.answer.hits),
            usage=sum((finding.answer.usage for finding in findings), usage),
            model=useful[0].answer.model if useful else "",
            steps=tuple(s for f in findings for s in (step_of(f, "supervisor"), *f.answer.steps)),
            problem="; ".join(problems),
            waiting=tuple(dict.fromkeys(id_ for f in useful for id_ in f.answer.waiting)),
        )


def _form(names: Sequence[str], most: int) -> dict[str, Any]:
    """Return the response format of a decision."""
    task = record({"agent": one_of(names), "task": {"type": "string"}})
    tasks = {"type": "array", "items": task, "maxItems": most}
    return form("decision", {"tasks": tasks, "more": {"type": "boolean"}})


def _tasks(
    decided: Mapping[str, Any],
    offered: Sequence[str],
    done: Iterable[tuple[str, str]],
    question: str,
) -> list[tuple[str, str]]:
    """Return the tasks of a decision that can be handed over, each once."""
    given, seen, found = decided.get("tasks"), set(done), []
    for one in given if isinstance(given, list) else ():
        if not isinstance(one, dict) or one.get("agent") not in offered:
            continue
        name, task = str(one["agent"]), str(one.get("task") or "").strip() or question
        if (name, task.lower()) not in seen:
            seen.add((name, task.lower()))
            found.append((name, task))
    return found
