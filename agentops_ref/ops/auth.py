"""Who may ask a served agent: the HTTP side of authentication. Taught in chapter 7.

A request without a token, or with a wrong one, is told so as RFC 6750 has it, and where to get one
as RFC 9728 has it. Nothing of the request's body is read before.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentops_ref.agents.auth.tokens import TokenRefused, Verifier
from agentops_ref.agents.identity import Identity
from agentops_ref.errors import AccessError, AgentOpsError

if TYPE_CHECKING:
    from agentops_ref.wiring import App

log = logging.getLogger(__name__)
_WHO: ContextVar[Identity | None] = ContextVar("who asks", default=None)

RESOURCE = "/.well-known/oauth-protected-resource"
OPEN = ("/health",)


def who_asks() -> Identity | None:
    """Return who sent the HTTP request that is being answered; None where nobody has to log in."""
    return _WHO.get()


class Gate:
    """Lets requests pass that bring a good token, for enough, of somebody who may ask.

    Parameters
    ----------
    verifier
        For tokens whose audience is this service.
    scope
        What a token must have been given for.
    demand
        Raises `AccessError` for those who may not ask this agent; see `Permissions.demand`.
    """

    def __init__(
        self, verifier: Verifier, *, scope: str, demand: Callable[[Identity], None]
    ) -> None:
        self.verifier, self.scope, self.demand = verifier, scope, demand
        parts = urlsplit(verifier.audience)
        self._metadata_path = RESOURCE + parts.path
        self._metadata_url = f"{parts.scheme}://{parts.netloc}{self._metadata_path}"

    def guard(self, app: Any) -> Any:
        """Return the ASGI application behind this gate."""

        async def guarded(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] in OPEN:
                await app(scope, receive, send)
            elif scope["path"] in (RESOURCE, self._metadata_path):
                await _answer(send, 200, self.metadata())
            else:
                identity = await self._admitted(scope, send)
                if identity is not None:
                    held = _WHO.set(identity)
                    try:
                        await app(_without_token(scope), receive, send)
                    finally:
                        _WHO.reset(held)

        return guarded

    def metadata(self) -> dict[str, Any]:
        """Return what a client needs to know to get a token (RFC 9728)."""
        return {
            "resource": self.verifier.audience,
            "authorization_servers": [self.verifier.issuer],
            "scopes_supported": [self.scope],
            "bearer_methods_supported": ["header"],
        }

    async def _admitted(self, scope: MutableMapping[str, Any], send: Any) -> Identity | None:
        """Return who asks; None once the request was refused."""
        try:
            # In a thread: the keys may have to be fetched.
            identity = await asyncio.to_thread(self.verifier.verify, _bearer(scope))
        except TokenRefused as error:
            log.warning("refused at %s: %s", scope["path"], error.reason)
            kind = "" if error.reason == "missing" else "invalid_token"
            await self._refuse(send, 401, kind, str(error))
            return None
        except AgentOpsError as error:
            log.error("tokens cannot be verified: %s", error)
            await _answer(send, 503, {"error": "tokens cannot be verified now"})
            return None
        try:
            if self.scope not in identity.scopes:
                raise AccessError(f"the token was not given for '{self.scope}'")
            self.demand(identity)
        except AccessError as error:
            log.warning("refused at %s: %s", scope["path"], error)
            await self._refuse(send, 403, "insufficient_scope", str(error))
            return None
        return identity

    async def _refuse(self, send: Any, status: int, kind: str, why: str) -> None:
        said = {
            "error": kind,
            "error_description": why.replace('"', "'").replace("\\", "/") if kind else "",
            "scope": self.scope,
            "resource_metadata": self._metadata_url,
        }
        challenge = ", ".join(f'{name}="{value}"' for name, value in said.items() if value)
        body = {"error": kind or "missing_token", "error_description": why}
        await _answer(send, status, body, (b"www-authenticate", f"Bearer {challenge}".encode()))


def _bearer(scope: MutableMapping[str, Any]) -> str:
    sent = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    if not sent:
        raise TokenRefused("missing", "no token was sent: Authorization: Bearer ...")
    kind, _, token = sent[0].decode("latin-1").partition(" ")
    if len(sent) > 1 or kind.lower() != "bearer" or not token.strip():
        raise TokenRefused("malformed", "expected one header Authorization: Bearer ...")
    return str(token.strip())


def _without_token(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the request without its token: nothing behind the gate needs it, or may pass it on."""
    kept = [(n, v) for n, v in scope["headers"] if n.lower() != b"authorization"]
    return {**scope, "headers": kept}


async def _answer(send: Any, status: int, body: Any, *headers: tuple[bytes, bytes]) -> None:
    data = json.dumps(body).encode()
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    start += [(b"cache-control", b"no-store"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": data})


def gate_of(app: App, name: str, url: str) -> Gate | None:
    """Return the gate of an agent that is served at ``url``; None where nobody has to log in."""
    permissions = app.permissions
    if permissions is None:
        return None
    auth = app.config.auth
    return Gate(
        app.verifier(url.rstrip("/"), once=auth.once),
        scope=auth.scope,
        demand=lambda identity: permissions.demand(identity, name),
    )
