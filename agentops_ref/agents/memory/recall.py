"""Which facts an agent is shown with a question. Taught in chapter 6.

A fact arrives as an excerpt does: numbered, with who said it and when, and an answer that uses it
cites it. So it is information to an agent, never an instruction, and it is looked up anew for each
question: what was forgotten, has ended or is another tenant's is not in the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentops_ref.agents.memory.facts import FactStore, as_hit
from agentops_ref.agents.request import Request
from agentops_ref.records import Hit, Step

Concerned = Callable[[str, str], Sequence[str]]
"""(question, tenant) → further subjects: those whom the question names in some way."""


def nobody(question: str, tenant: str) -> Sequence[str]:
    """Name no further subject."""
    return ()


class Recall:
    """Finds the facts that are near in meaning to a question, about those whom it concerns.

    Parameters
    ----------
    k
        Facts at most.
    chars
        Characters of all of them; one that does not fit is left out, never cut.
    min_score
        Cosine, -1..1, below which a fact is not near.
    concerned
        Chooses subjects by code, beside those of the request.
    """

    def __init__(
        self,
        facts: FactStore,
        *,
        k: int,
        chars: int,
        min_score: float,
        concerned: Concerned = nobody,
    ) -> None:
        self._facts, self._concerned = facts, concerned
        self._k, self._chars, self._min_score = k, chars, min_score

    def __call__(self, question: str, request: Request) -> tuple[Hit, ...]:
        """Return facts as excerpts, nearest first; the store notes in which conversation."""
        if self._k < 1:
            return ()
        named = self._concerned(question, request.tenant)
        subjects = list(dict.fromkeys([*request.subjects, *named]))
        found = [
            one
            for one in self._facts.search(
                question, tenant=request.tenant, subjects=subjects, k=self._k
            )
            if one.score >= self._min_score
        ]
        fitting, left = [], self._chars
        for one in found:
            chunk = as_hit(one).chunk
            size = len(f"{chunk.context}: {chunk.text}")
            if size <= left:
                fitting.append(one)
                left -= size
        there = self._facts.shown([one.fact for one in fitting], thread=request.thread)
        return tuple(as_hit(one) for one in fitting if one.fact.id in there)


def recalled_step(known: Sequence[Hit]) -> Step:
    """Return the step that says which facts an agent was shown."""
    named = [hit.chunk.document.removeprefix("memory/").rpartition("/") for hit in known]
    by: dict[str, list[str]] = {}
    for subject, _, attribute in named:
        by.setdefault(subject, []).append(attribute)
    told = "; ".join(f"{subject}: {', '.join(names)}" for subject, names in by.items())
    return Step("memory", "recall", told)
