"""What goes with a question: on whose behalf it is asked, and what may be used to answer it.

Taught in chapters 5 and 7. It comes from the code around an agent, never from a model, and is
handed on unchanged from agent to agent and, over HTTP, from process to process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import uuid4

from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.records import Chunk, Hit

_PLAIN = ("tenant", "desk", "user", "thread", "subjects", "id")


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
    id: str = field(default_factory=lambda: uuid4().hex)

    def as_json(self) -> dict[str, Any]:
        """Return what another process needs to know; of the limits, what is left."""
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
            There is a key that nobody knows.
        """
        given = dict(value)
        limits = Limits(Allowance(**given.pop("limits", None) or {}))
        known = [dict(hit) for hit in given.pop("known", ())]
        given["known"] = tuple(Hit(Chunk(**hit.pop("chunk")), **hit) for hit in known)
        given["subjects"] = tuple(given.pop("subjects", ()))
        return cls(limits=limits, **given)

    def within(self, allowance: Allowance) -> Request:
        """Return the request with limits of its own."""
        return replace(self, limits=Limits(allowance))
