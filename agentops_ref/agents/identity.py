"""Who asks: an identity that a verified token stated, and that travels with the request.

Taught in chapter 7. It is made from a token and from nothing else (`agents.auth.Verifier`); no body
of a request, no model and no tool can change it. Where nobody logs in there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agentops_ref.secret import Secret


@dataclass(frozen=True, slots=True)
class Identity:
    """Whoever asks, and how far they may reach."""

    subject: str
    tenant: str
    """Whose private rows may be read; empty for a service that acts for nobody and reads none."""
    roles: tuple[str, ...] = ()
    """What they are; ``auth.roles`` says which tools and agents that opens."""
    scopes: tuple[str, ...] = ()
    """What this token was given for."""
    client: str = ""
    """The program that they use."""
    token: Secret | None = field(default=None, repr=False, compare=False)
    """The token itself. It is exchanged for one for the next hop and never sent on."""
