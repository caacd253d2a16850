"""Who asks: verifiers, permissions and onward tokens, as the section ``auth:`` says.

With ``auth.required: false`` nothing of this is made.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.errors import AccessError
from agentops_ref.wiring.base import Base

if TYPE_CHECKING:
    from agentops_ref.agents.auth import Keys, Permissions, Verifier
    from agentops_ref.agents.auth.client import TokenClient
    from agentops_ref.agents.identity import Identity
    from agentops_ref.agents.request import Request
    from agentops_ref.secret import Secret


class Auth(Base):
    """What is needed to know who asks, and to ask others on their behalf."""

    @cached_property
    def permissions(self) -> Permissions | None:
        """What each role opens; None where nobody has to log in."""
        from agentops_ref.agents.auth import Permissions

        auth = self.config.auth
        if not auth.required:
            return None
        return Permissions(
            tools={role: one.tools for role, one in auth.roles.items()},
            agents={role: one.agents for role, one in auth.roles.items()},
        )

    @cached_property
    def keys(self) -> Keys:
        """The authorization server's public keys."""
        from agentops_ref.agents.auth import Keys

        auth = self.config.auth
        if auth.jwks is None:
            return Keys.of_issuer(auth.issuer)
        place = str(auth.jwks)
        return Keys(place if "://" in place else self.config.path(Path(place)))

    def verifier(
        self, audience: str | None = None, *, once: bool = False, tenant_required: bool = True
    ) -> Verifier:
        """Return what verifies tokens for an audience; by default for ``auth.audience``."""
        from agentops_ref.agents.auth import Verifier

        auth = self.config.auth
        return Verifier(
            self.keys,
            issuer=auth.issuer,
            audience=audience or auth.audience,
            algorithms=auth.algorithms,
            leeway=auth.leeway,
            once=once,
            tenant=auth.claims.tenant,
            roles=auth.claims.roles,
            tenant_required=tenant_required,
        )

    @cached_property
    def tokens(self) -> TokenClient | None:
        """Gets tokens for the next hop; None where nobody has to log in."""
        from agentops_ref.agents.auth.client import TokenClient
        from agentops_ref.secret import secret_of

        auth = self.config.auth
        if not auth.required:
            return None
        return TokenClient(
            auth.issuer,
            auth.client.id,
            lambda: secret_of(auth.client.secret_env, "auth.client.secret_env"),
            keep=not auth.once,
        )

    def onward(self, name: str, audience: str, request: Request) -> Secret:
        """Return a token for the endpoint of an agent, on behalf of whoever asks."""
        auth = self.config.auth
        if self.tokens is None or request.identity is None:
            raise AccessError(f"{name} needs to know who asks: send a token")
        return self.tokens.exchanged(
            request.identity, audience, auth.onward.get(name, [auth.scope])
        )

    @cached_property
    def identity(self) -> Identity:
        """Whoever uses the command line or a notebook, by the token in ``auth.token_env``.

        Raises
        ------
        AccessError
            There is none, or it does not count.
        """
        variable = self.config.auth.token_env
        token = os.environ.get(variable, "")
        if not token:
            raise AccessError(
                f"auth.required: nobody has logged in: set {variable}, for example to what "
                "`agentops auth token --user NAME` prints"
            )
        found = self.verifier().verify(token)
        if self.config.auth.scope not in found.scopes:
            raise AccessError(f"the token in {variable} lacks the scope {self.config.auth.scope}")
        return found
