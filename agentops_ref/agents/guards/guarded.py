"""An agent between guards. Taught in chapter 7."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from agentops_ref.agents.chain import Agent
from agentops_ref.agents.guards.checks import Guards
from agentops_ref.agents.guards.decision import Context, Decision
from agentops_ref.agents.request import Kept, Request
from agentops_ref.records import Answer, Hit

Hold = Callable[[str, str | None, Request, Sequence[str]], str]
"""Question, answer, request and what was found → the record of what a person has to decide."""


class _Kept(Kept):
    """Where an agent puts what it has so far: a part of an answer is guarded as the whole is."""

    def __init__(self, outer: Kept, given_out: Callable[[Answer], Answer]) -> None:
        self._outer, self._given_out = outer, given_out

    @property
    def answer(self) -> Answer | None:
        return self._outer.answer

    @answer.setter
    def answer(self, answer: Answer | None) -> None:
        self._outer.answer = None if answer is None else self._given_out(answer)

    @property
    def at(self) -> str:
        return self._outer.at

    @at.setter
    def at(self, at: str) -> None:
        self._outer.at = at


class Guarded:
    """Asks an agent what may be asked, and gives out what may be said.

    Whatever is stopped is an `Answer` that says so; its ``problem`` begins with "block" or "ask".
    Where a person is asked, `Answer.waiting` names the record of it.

    Parameters
    ----------
    user, answer, ask
        What is told of a question and of an answer that were stopped, and where a person is to
        decide.
    writes
        Returns the tools that change something; what was done before a stop is told.
    hold
        Puts a question, or the answer to it, before a person; None: nobody is there to be asked.
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
        hold: Hold | None = None,
    ) -> None:
        self.agent, self.guards, self._writes, self._hold = agent, guards, writes, hold
        self._told = {"user": user, "answer": answer, "ask": ask}

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        asked = self.guards.check(question, "user", Context(request, question))
        if asked.stopped:
            refused = self._refused(asked, self._told["user"], Answer("", abstained=True))
            return self._held(refused, asked, question, None, request)
        known = tuple(self.guards.sifted(request.known, Context(request, question)))

        def given_out(answer: Answer) -> Answer:
            return self._given_out(answer, question, request, known)

        kept = _Kept(request.kept, given_out)
        answer = self.agent(asked.text, request=replace(request, known=known, kept=kept))
        return self._given_out(answer, question, request, known, whole=True)

    def _given_out(
        self,
        answer: Answer,
        question: str,
        request: Request,
        known: Sequence[Hit],
        *,
        whole: bool = False,
    ) -> Answer:
        """Return an answer as it may be said; nobody is asked about what is not ``whole`` yet."""
        if answer.abstained:
            return answer
        shown = [f"{hit.chunk.context}\n{hit.chunk.text}" for hit in (*answer.hits, *known)]
        shown += [step.result for step in answer.steps if step.result]
        said = self.guards.check(answer.text, "answer", Context(request, question, tuple(shown)))
        if said.stopped:
            refused = self._refused(said, self._told["answer"], answer)
            return self._held(refused, said, question, answer.text, request) if whole else refused
        return answer if said.verdict == "pass" else replace(answer, text=said.text)

    def _held(
        self, refused: Answer, why: Decision, question: str, answer: str | None, request: Request
    ) -> Answer:
        if why.verdict != "ask" or self._hold is None:
            return refused
        record = self._hold(question, answer, request, why.reasons)
        return replace(refused, waiting=(*refused.waiting, record))

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
