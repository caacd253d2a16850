"""What goes with a question: on whose behalf it is asked, and what may be used to answer it.

Taught in chapters 5 and 7. It comes from the code around an agent, never from a model, and is
handed on unchanged from agent to agent and, over HTTP, from process to process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import uuid4

from agentops_ref.agents.identity import Identity
from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.records import Answer, Chunk, Hit


class Kept:
    """What there is already of an answer that is still being worked on.

    Whoever waits for it takes this where the work is given up, so that nothing found is lost.
    """

    answer: Answer | None = None
    at: str = ""
    """What the work is waiting for, where it is none of the steps that `Limits` names."""


_PLAIN = ("tenant", "desk", "user", "thread", "subjects", "asked", "id")


@dataclass(frozen=True, slots=True)
class Request:
    """One question's surroundings, the same for all that work on it."""

    limits: Limits = field(default_factory=Limits)
    """What may still be used, shared by all."""
    filters: Mapping[str, Any] | None = None
    """What every search is restricted to; see `agentops_ref.etl.search`."""
    tenant: str = ""
    """Whose private rows and documents may be read; without one, none."""
    desk: bool = False
    """Whether it is the maker's own support desk's, which reads the documents of all tenants."""
    user: str = ""
    thread: str = ""
    """The conversation that the question belongs to; empty for a single one."""
    subjects: tuple[str, ...] = ()
    """Whom it is about, for example "customer C1001"; what is known of them may be shown."""
    known: tuple[Hit, ...] = ()
    """Facts of long-term memory, which an agent shows to its model as it shows excerpts."""
    asked: str = ""
    """What the user said, word for word, in this conversation; a question that is handed on, or
    made to stand alone, may be a model's words."""
    approved: bool = False
    """Whether a person has let the question pass: guards that would ask one about it do not."""
    id: str = field(default_factory=lambda: uuid4().hex)
    kept: Kept = field(default_factory=Kept, compare=False)
    """Where an agent puts what it has, before it goes on."""
    identity: Identity | None = field(default=None, repr=False)
    """Who asks, where somebody has logged in; tenant and user are theirs then."""

    def of(self, identity: Identity) -> Request:
        """Return the request as one of this identity, whatever tenant, user or desk it named."""
        return replace(
            self, identity=identity, tenant=identity.tenant, user=identity.subject, desk=False
        )

    def as_json(self) -> dict[str, Any]:
        """Return what another process needs to know; of the limits, what is left.

        Not the identity: the other process gets a token of its own for it.
        """
        return {
            "limits": asdict(self.limits.rest()),
            "filters": None if self.filters is None else dict(self.filters),
            "known": [asdict(hit) for hit in self.known],
            **{name: getattr(self, name) for name in _PLAIN},
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Request:
        """Read what `as_json` wrote; its clock starts anew.

        Raises
        ------
        TypeError
            There is a key that nobody knows, an identity, which only a token can state, or that a
            person approved, which only the record of it can.
        """
        given = dict(value)
        if "identity" in given:
            raise TypeError("a request's JSON holds no identity: send a token")
        if odd := sorted(given.keys() - {*_PLAIN, "limits", "filters", "known"}):
            raise TypeError(f"a request's JSON holds no {', '.join(odd)}")
        limits = Limits(Allowance(**given.pop("limits", None) or {}))
        known = [dict(hit) for hit in given.pop("known", ())]
        given["known"] = tuple(Hit(Chunk(**hit.pop("chunk")), **hit) for hit in known)
        given["subjects"] = tuple(given.pop("subjects", ()))
        return cls(limits=limits, **given)

    def within(self, allowance: Allowance) -> Request:
        """Return the request of a part of the work: with limits of its own within these."""
        return replace(self, limits=Limits(allowance, whole=self.limits), kept=Kept())
