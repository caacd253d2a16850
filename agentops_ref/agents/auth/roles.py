"""What a role opens: tools and agents. Taught in chapter 7.

Least privilege is an intersection: a tool is called when its agent may call it *and* the caller's
roles may. Which roles those are stands in YAML (``auth.roles``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentops_ref.errors import AccessError

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent
    from agentops_ref.agents.identity import Identity
    from agentops_ref.agents.request import Request
    from agentops_ref.records import Answer

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Role → what it may call or ask; "*" is everything. What is not named is not allowed."""

    tools: Mapping[str, Sequence[str]]
    agents: Mapping[str, Sequence[str]]

    def may_ask(self, identity: Identity | None, agent: str) -> bool:
        """Whether one of the caller's roles may ask an agent; nobody has no roles."""
        roles = () if identity is None else identity.roles
        return any({agent, EVERYTHING} & set(self.agents.get(role, ())) for role in roles)

    def demand(self, identity: Identity | None, agent: str) -> None:
        """Pass those who may ask an agent.

        Raises
        ------
        AccessError
            Nobody has logged in, or no role of theirs opens it.
        """
        if identity is None:
            raise AccessError(f"{agent} needs to know who asks: send a token")
        if not self.may_ask(identity, agent):
            roles = ", ".join(identity.roles) or "no role"
            raise AccessError(f"{identity.subject} ({roles}) may not ask {agent}")


class RoleGated:
    """An agent that answers those only whose roles open it."""

    def __init__(self, agent: Agent, name: str, permissions: Permissions) -> None:
        self.agent, self.name, self.permissions = agent, name, permissions

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        self.permissions.demand(request.identity if request else None, self.name)
        return self.agent(question, request=request)
