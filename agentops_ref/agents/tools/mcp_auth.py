"""How MCP servers are shown that we may call them: OAuth 2.1, as MCP's authorization says it.

Taught in chapter 7. The flow itself (what a 401 points to, the protected resource's metadata, the
authorization server's, registration, PKCE, refreshing) is the MCP library's. Here is what it is run
for: a token that is there before a session is opened, kept, and renewed by one caller at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import httpx
from mcp.client.auth import (
    OAuthClientProvider,
    OAuthFlowError,
    OAuthRegistrationError,
    OAuthTokenError,
)
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import (
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)

from agentops_ref.agents.auth.client import TokenClient
from agentops_ref.agents.tools.spec import Caller
from agentops_ref.errors import ConfigError, OperatorError, TransientError
from agentops_ref.secret import Secret, secret_of
from agentops_ref.settings import McpServerConfig

Redirect = Callable[[str], Awaitable[None]]
Callback = Callable[[], Awaitable[tuple[str, str | None]]]

PING = {"jsonrpc": "2.0", "id": "token", "method": "ping"}
HEADERS = {"Accept": "application/json, text/event-stream"}
PAST = 1.0
"""An expiry that is over; 0 would mean that none is known."""


class Access(Protocol):
    """What gives requests their token; an ``httpx.Auth``."""

    async def ready(self) -> None:
        """Have a token, or raise the reason why there is none."""
        ...


def access_to(
    server: McpServerConfig, *, tokens: TokenClient | None, logins: Path | None
) -> Callable[[Caller | None], Access]:
    """Return what gives a caller's requests to a server their token.

    Raises
    ------
    ConfigError
        The configuration lacks what this kind of access needs.
    """
    auth = server.auth
    assert auth is not None
    if auth.kind == "exchange":
        if tokens is None:
            raise ConfigError(f"tools.servers: {server.name}: exchange needs auth.required: true")
        return lambda caller: Exchanged(server, tokens, caller)
    if auth.kind == "client_credentials":
        login = Login(server, _service(server))
    else:
        login = Login(server, person(server, *_nobody(server.name)), file_of(server, logins))
    return lambda caller: login


class Exchanged(httpx.Auth):
    """A token on behalf of whoever asks; of ourselves, without rights, where nobody does."""

    def __init__(self, server: McpServerConfig, tokens: TokenClient, caller: Caller | None) -> None:
        self._url, self._tokens, self._caller = str(server.url), tokens, caller
        self._scope = tuple((server.auth.scope or "").split()) if server.auth else ()

    def _token(self) -> Secret:
        if self._caller is None or self._caller.identity is None:
            return self._tokens.own(self._url, self._scope)
        return self._tokens.exchanged(self._caller.identity, self._url, self._scope)

    async def ready(self) -> None:
        await asyncio.to_thread(self._token)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await asyncio.to_thread(self._token)
        request.headers["Authorization"] = f"Bearer {token.reveal()}"
        yield request


class Login(httpx.Auth):
    """A token that the MCP library's OAuth flow got, for all calls of one server.

    The flow is run on a request of its own, behind the library's lock; so calls do not wait for
    each other, and a refresh token, which counts once, is used once.

    Parameters
    ----------
    file
        Where a login is kept; without it, a token is only held in memory.
    anew
        Whether what the file holds is not looked at.
    """

    def __init__(
        self,
        server: McpServerConfig,
        provider: OAuthClientProvider,
        file: Path | None = None,
        *,
        anew: bool = False,
    ) -> None:
        self._name, self._url, self._file = server.name, str(server.url), file
        self._provider, self._context = provider, provider.context
        self._read = file is None or anew

    @property
    def until(self) -> float | None:
        """When the token ends, in seconds since 1970; None if nobody said."""
        return self._context.token_expiry_time

    async def ready(self) -> None:
        await self._token()

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self._token()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            fresh = await self._token(refused=token)
            request.headers["Authorization"] = f"Bearer {fresh}"
            yield request

    async def _token(self, refused: str | None = None) -> str:
        if not self._read:
            self._restore()
        held = self._context.current_tokens
        if refused is not None and held and held.access_token == refused:
            self._context.token_expiry_time = PAST
        if not self._context.is_token_valid() or held is None:
            await self._flow()
        held = self._context.current_tokens
        return held.access_token if held else ""

    async def _flow(self) -> None:
        """Send a request whose only purpose is what the library does when it is refused."""
        try:
            async with httpx.AsyncClient(auth=self._provider, headers=HEADERS) as client:
                reply = await client.post(self._url, json=PING)
        except (OAuthFlowError, OAuthRegistrationError, OAuthTokenError) as error:
            raise OperatorError(f"{self._name}: no token: {error}") from error
        except httpx.HTTPError as error:
            raise TransientError(f"{self._name} cannot be used: {error}") from error
        if reply.status_code in (401, 403):
            raise OperatorError(
                f"{self._name} refuses its authorization server's token: HTTP {reply.status_code}"
            )
        self._save()

    # --- what outlives the process ---------------------------------------------------------

    def _restore(self) -> None:
        assert self._file is not None
        self._read = True
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._read = False  # somebody may log in meanwhile
            raise OperatorError(
                f"{self._name}: somebody has to log in: {_how(self._name)}"
            ) from None
        except (OSError, ValueError) as error:
            raise OperatorError(
                f"{self._file}: {error}; log in again: {_how(self._name)}"
            ) from None
        context = self._context
        self._provider._initialized = True  # what it would load is set here
        context.current_tokens = OAuthToken.model_validate(kept["tokens"])
        context.client_info = OAuthClientInformationFull.model_validate(kept["client"])
        context.oauth_metadata = OAuthMetadata.model_validate(kept["server"])
        context.protected_resource_metadata = ProtectedResourceMetadata.model_validate(
            kept["resource"]
        )
        context.auth_server_url = kept["issuer"]
        context.token_expiry_time = kept["until"]

    def _save(self) -> None:
        context = self._context
        if self._file is None or context.current_tokens is None:
            return
        assert context.client_info is not None
        kept = {
            "tokens": context.current_tokens.model_dump(mode="json"),
            "client": context.client_info.model_dump(mode="json"),
            "server": context.oauth_metadata and context.oauth_metadata.model_dump(mode="json"),
            "resource": context.protected_resource_metadata
            and context.protected_resource_metadata.model_dump(mode="json"),
            "issuer": context.auth_server_url,
            "until": context.token_expiry_time,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._file.with_suffix(f".{os.getpid()}.part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(kept), encoding="utf-8")
        part.replace(self._file)


class _Nothing:
    """The library's storage; what it keeps, `Login` keeps."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        pass

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        pass


def file_of(server: McpServerConfig, logins: Path | None) -> Path | None:
    """Return where a login at a server is kept."""
    return None if logins is None else logins / f"mcp-{server.name}.json"


def _service(server: McpServerConfig) -> OAuthClientProvider:
    auth = server.auth
    assert auth is not None
    secret = secret_of(str(auth.client_secret_env), f"{server.name}: client_secret_env")
    return ClientCredentialsOAuthProvider(
        str(server.url),
        _Nothing(),
        client_id=str(auth.client_id),
        client_secret=secret.reveal(),
        scopes=auth.scope,
        issuer=auth.issuer,
    )


def person(server: McpServerConfig, redirect: Redirect, callback: Callback) -> OAuthClientProvider:
    """Return the library's flow for a person; ``callback`` waits for what they agreed to."""
    auth = server.auth
    assert auth is not None
    back = f"http://127.0.0.1:{auth.redirect_port}/callback"
    provider = OAuthClientProvider(
        str(server.url),
        OAuthClientMetadata.model_validate(
            {
                "client_name": "agentops",
                "redirect_uris": [back],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
                "scope": auth.scope,
            }
        ),
        _Nothing(),
        redirect,
        callback,
        timeout=auth.seconds,
    )
    if auth.client_id:
        provider.context.client_info = OAuthClientInformationFull.model_validate(
            {
                "client_id": auth.client_id,
                "redirect_uris": [back],
                "token_endpoint_auth_method": "none",
            }
        )
        provider._initialized = True
    return provider


def _how(name: str) -> str:
    return f"agentops auth login {name}"


def _nobody(name: str) -> tuple[Redirect, Callback]:
    """Return what stands for a person where there is none."""

    async def refuse(*_: object) -> Any:
        raise OperatorError(f"{name}: somebody has to log in: {_how(name)}")

    return refuse, refuse
