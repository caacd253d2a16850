"""An agent between guards. Taught in chapter 7."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from agentops_ref.agents.chain import Agent
from agentops_ref.agents.guards.checks import Guards
from agentops_ref.agents.guards.decision import Context, Decision
from agentops_ref.agents.request import Request
from agentops_ref.records import Answer


class Guarded:
    """Asks an agent what may be asked, and gives out what may be said.

    Whatever is stopped is an `Answer` that says so; its ``problem`` begins with "block" or "ask".

    Parameters
    ----------
    user, answer, ask
        What is told of a question and of an answer that were stopped, and where a person is to
        decide.
    writes
        Returns the tools that change something; what was done before a stop is told.
    """

    def __init__(
        self,
        agent: Agent,
        guards: Guards,
        *,
        user: str,
        answer: str,
        ask: str,
        writes: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.agent, self.guards, self._writes = agent, guards, writes
        self._told = {"user": user, "answer": answer, "ask": ask}

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        asked = self.guards.check(question, "user", Context(request, question))
        if asked.stopped:
            return self._refused(asked, self._told["user"], Answer("", abstained=True))
        known = tuple(self.guards.sifted(request.known, Context(request, question)))
        answer = self.agent(asked.text, request=replace(request, known=known))
        if answer.abstained:
            return answer
        shown = [f"{hit.chunk.context}\n{hit.chunk.text}" for hit in (*answer.hits, *known)]
        shown += [step.result for step in answer.steps if step.result]
        said = self.guards.check(answer.text, "answer", Context(request, question, tuple(shown)))
        if said.stopped:
            return self._refused(said, self._told["answer"], answer)
        return answer if said.verdict == "pass" else replace(answer, text=said.text)

    def _refused(self, decision: Decision, told: str, answer: Answer) -> Answer:
        """Return the answer in place of one that was stopped, without what it rested on."""
        told = self._told["ask"] if decision.verdict == "ask" else told
        writes = set(self._writes()) if answer.steps else set()
        done = [step for step in answer.steps if step.action in writes and step.status == "ok"]
        if done:
            told = f"{told} Done before: {', '.join(f'{s.action} {s.input}' for s in done)}."
        return replace(
            answer,
            text=told,
            abstained=not done,
            citations=(),
            hits=(),
            steps=tuple(replace(step, result="") for step in answer.steps),
            problem=f"{decision.verdict}: {', '.join(decision.reasons)}",
        )
