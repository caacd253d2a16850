"""Prompts that an optimiser writes: the configured chain as what it tries them on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from agentops_ref.records import Answer, Case
from agentops_ref.wiring.evaluation import Evaluation

if TYPE_CHECKING:
    from agentops_ref.agents.prompts import Prompt
    from agentops_ref.evals.optimising import Candidate, Example, Optimised
    from agentops_ref.evals.scorers import Scorer
    from agentops_ref.wiring.base import Progress


class Optimising(Evaluation):
    """See `agentops_ref.evals.optimising`."""

    def rewrite_instructions(
        self, cases: Sequence[Case], optimiser: Any, *, progress: Progress | None = None
    ) -> Optimised:
        """Let one of MLflow's optimisers rewrite the instructions of the chain's prompt.

        It is judged by the first scorer. `agentops_ref.evals.optimising.OWN_MODEL` as its
        ``reflection_model`` is the configured chat model.
        """
        from agentops_ref.evals.optimising import rewrite_instructions, speaking

        self.tracer.connect()
        with speaking(self._say):
            return rewrite_instructions(
                self._start,
                cases,
                self._attempt(progress),
                self._scorer,
                optimiser,
                name=f"{self.config.tracking.experiment}-chain",
            )

    def choose_examples(
        self,
        cases: Sequence[Case],
        *,
        candidates: int,
        most: int,
        seed: int,
        progress: Progress | None = None,
    ) -> Optimised:
        """Let DSPy choose the examples of the chain's prompt, judged by the first scorer."""
        from agentops_ref.evals.optimising import choose_examples

        return choose_examples(
            self._start,
            cases,
            self._attempt(progress),
            self._scorer,
            candidates=candidates,
            most=most,
            seed=seed,
        )

    def prompt_with(self, candidate: Candidate) -> Prompt:
        """Return the chain's prompt with what an optimiser changed of it."""
        from agentops_ref.agents.prompts import excerpts_with_questions

        prompt: Prompt = self.prompt_of("chain")
        if candidate.examples is None:
            return prompt.revised(candidate.instructions)
        shown = excerpts_with_questions(candidate.examples, prompt.abstain)
        return prompt.revised(candidate.instructions, shown)

    @property
    def _start(self) -> Candidate:
        from agentops_ref.evals.optimising import Candidate

        return Candidate(self.prompt_of("chain").instructions)

    @property
    def _scorer(self) -> Scorer:
        return self.scorers()[0]

    def _attempt(self, progress: Progress | None) -> Any:
        """Return what answers a case with a candidate: the guarded chain, without traces.

        An optimiser shows its model the traces that it finds, and a small model's context does not
        hold them.
        """
        from agentops_ref.agents.bounded import Bounded
        from agentops_ref.agents.request import Request
        from agentops_ref.tracing import NoTracer
        from agentops_ref.wiring.agents import chain

        settings, asked = self.config.agent, 0

        @cache
        def agent(candidate: Candidate) -> Bounded:
            made = chain(self, prompt=self.prompt_with(candidate), tracer=NoTracer())
            return Bounded(self.guarded(made), self._allowance, reply=self._apology)

        def attempt(candidate: Candidate, case: Case) -> tuple[Answer, Example | None]:
            nonlocal asked
            request = Request(tenant=settings.tenant, desk=settings.desk, asked=case.question)
            answer = agent(candidate)(case.question, request=request)
            asked += 1
            if progress:
                progress("ask", asked, asked)
            return answer, _example(case, answer)

        return attempt

    def _say(self, messages: list[dict[str, str]], most: int) -> str:
        """Answer as an optimiser's model; it writes longer texts than an agent's answers."""
        room = self.config.evals.optimise.tokens
        bound = self.chat.bind(max_tokens=min(most, room) if most else room)
        return str(bound.invoke(messages).text)


def _example(case: Case, answer: Answer) -> Example | None:
    """Return an answer as an example; None where it shows none, or what is one tenant's.

    A prompt is shown to everybody: no private document may stand in it.
    """
    from agentops_ref.evals.optimising import Example

    if answer.abstained:
        return Example(case.question, "", "", answer.text)
    for citation in answer.citations[:1]:
        for hit in answer.hits:
            if citation.quote in hit.chunk.text and citation.document == hit.chunk.document:
                if hit.chunk.metadata.get("tenant"):
                    return None
                shown = f"{hit.chunk.context}: {hit.chunk.text}"
                return Example(case.question, shown, citation.quote, answer.text)
    return None
