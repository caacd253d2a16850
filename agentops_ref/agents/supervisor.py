"""A supervisor over specialists, as a LangGraph graph: decide → a specialist → decide → … → finish.

Taught in chapter 5. The model decides who works next; code decides when to stop. A task that was
handed over before is not handed over again, a specialist that failed or found nothing is no longer
offered, and the rounds are counted, so the loop ends whatever the model says. What was found until
then is answered.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from agentops_ref.agents.chain import UsageOf, generate, who_answered
from agentops_ref.agents.limits import LimitReached
from agentops_ref.agents.prompts import Prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.specialists import (
    Finding,
    Specialist,
    ask,
    choice_schema,
    read_choice,
    step_of,
    told,
)
from agentops_ref.errors import DeveloperError, ModelError
from agentops_ref.records import Answer, Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.runtime import Runtime

DONE = "answer"
"""What the model names in place of a specialist when the findings are enough."""


class State(TypedDict, total=False):
    """What goes from node to node."""

    question: str
    findings: Annotated[list[Finding], operator.add]
    usage: Annotated[Usage, operator.add]
    """Of the supervisor's own calls."""
    parts: int
    """How many parts the question has, as the first decision named them."""
    task: str
    """What the specialist that comes next is asked."""
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
        combine: Prompt,
        usage_of: UsageOf,
        max_rounds: int,
        tracer: Tracer | None = None,
        name: str = "supervisor",
    ) -> None:
        self.specialists = {one.name: one for one in specialists}
        if DONE in self.specialists:
            raise DeveloperError(f"a specialist cannot be named '{DONE}': that ends the work")
        self.model, self.prompt, self.combine = model, prompt, combine
        self.usage_of, self.max_rounds, self.name = usage_of, max_rounds, name
        self.tracer = tracer or NoTracer()
        self.graph = self._build()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        with self.tracer.span(self.name, "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            state: State = {"question": question, "findings": [], "usage": Usage()}
            steps = 2 * self.max_rounds + 4  # nodes, which our own limits end before
            done = self.graph.invoke(state, {"recursion_limit": steps}, context=request)
            answer: Answer = replace(
                done["answer"],
                seconds=time.perf_counter() - started,
                trace_id=span.trace_id,
            )
            span.outputs({"answer": answer.text, "problem": answer.problem})
        return answer

    def _build(self) -> Any:
        from langgraph.graph import END, START, StateGraph

        graph: Any = StateGraph(State, context_schema=Request)
        graph.add_node("decide", self._decide, destinations=(*self.specialists, "finish"))
        for one in self.specialists.values():
            graph.add_node(one.name, partial(self._work, one), destinations=("decide", "finish"))
        graph.add_node("finish", self._finish)
        graph.add_edge(START, "decide")
        graph.add_edge("finish", END)
        return graph.compile()

    # --- nodes ----------------------------------------------------------------------------

    def _decide(self, state: State, runtime: Runtime[Request]) -> Any:
        from langgraph.types import Command

        findings, limits = state["findings"], runtime.context.limits
        offered = self._offered(findings)
        if not offered or len(findings) >= self.max_rounds:
            return Command(goto="finish")
        # A small model forgets the second half of a question: it may not end before it handed out
        # as many tasks as it named parts at first.
        names = [*offered, DONE] if len(findings) >= state.get("parts", 1) else offered
        messages = self.prompt.messages(
            question=state["question"],
            specialists=told({name: self.specialists[name] for name in offered}),
            findings="\n".join(f"- {f.task} {f.agent}: {f.answer.text}" for f in findings)
            or "none",
        )
        # What is missing comes first: a model that has written it down chooses better.
        missing = {"type": "array", "items": {"type": "string"}, "maxItems": self.max_rounds}
        form = choice_schema(names, first={"missing": missing}, last=["task"])
        try:
            model = self.model.bind(response_format=form)
            reply, usage = generate(model, messages, self.usage_of, self.tracer, limits)
        except LimitReached as error:
            return Command(goto="finish", update={"problem": f"limit: {error}"})
        except ModelError as error:
            return Command(goto="finish", update={"problem": f"no decision: {error}"})
        chosen = read_choice(reply.text)
        name = chosen.get("agent")
        task = str(chosen.get("task") or "").strip() or state["question"]
        spent: State = {"usage": usage}
        named = chosen.get("missing")
        if not findings and isinstance(named, list):
            spent["parts"] = len(named)
        if name == DONE and findings:
            return Command(goto="finish", update=spent)
        if name not in offered:
            why = f"no decision: {reply.text[:80]}"
            return Command(goto="finish", update={**spent, "problem": why})
        if any((f.agent, f.task.lower()) == (name, task.lower()) for f in findings):
            return Command(goto="finish", update=spent)  # it would find the same again
        return Command(goto=name, update={**spent, "task": task})

    def _offered(self, findings: Sequence[Finding]) -> list[str]:
        """Return who may be asked: one that failed would fail again, one that has nothing also."""
        last = {finding.agent: finding for finding in findings}
        return [n for n in self.specialists if n not in last or last[n].useful]

    def _work(self, one: Specialist, state: State, runtime: Runtime[Request]) -> Any:
        from langgraph.types import Command

        try:
            found = ask(one, state["task"], runtime.context, reply=self.prompt.reply)
        except LimitReached as error:
            return Command(goto="finish", update={"problem": f"limit: {error}"})
        return Command(goto="decide", update={"findings": [found]})

    def _finish(self, state: State, runtime: Runtime[Request]) -> State:
        findings, usage = state["findings"], state["usage"]
        useful = [finding for finding in findings if finding.useful]
        problems = [f"{f.agent} {f.answer.problem}" for f in findings if f.answer.problem]
        problems += [state["problem"]] if state.get("problem") else []
        texts = list(dict.fromkeys(finding.answer.text for finding in useful))
        text, model = "\n".join(texts), useful[0].answer.model if useful else ""
        if len(texts) > 1:
            listed = "\n".join(f"- {one}" for one in texts)
            messages = self.combine.messages(question=state["question"], findings=listed)
            try:
                reply, spent = generate(
                    self.model, messages, self.usage_of, self.tracer, runtime.context.limits
                )
                usage, text, model = usage + spent, reply.text.strip() or text, who_answered(reply)
            except (LimitReached, ModelError) as error:  # the findings stand as they are
                problems.append(f"not joined: {error}")
        answer = Answer(
            text=text or self.prompt.reply,
            abstained=not useful,
            citations=tuple(dict.fromkeys(c for f in useful for c in f.answer.citations)),
            hits=tuple(hit for finding in useful for hit in finding.answer.hits),
            usage=sum((finding.answer.usage for finding in findings), usage),
            model=model,
            steps=tuple(s for f in findings for s in (step_of(f, "supervisor"), *f.answer.steps)),
            problem="; ".join(problems),
        )
        return {"answer": answer}
