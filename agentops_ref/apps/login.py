"""The development server and its tokens, for the command line, chapters and tests.

Taught in chapter 7. `of_user` is a browser and a person in one: it sends the login page's form,
reads the code from the redirect, and exchanges it with PKCE.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from agentops_ref.agents.auth.keys import metadata_of
from agentops_ref.errors import AccessError, ConfigError, OperatorError, TransientError, nearest
from agentops_ref.secret import Secret, secret_of
from agentops_ref.settings_auth import AuthConfig, is_loopback

CLIENT = "cli"
BACK = "http://127.0.0.1:0/callback"
"""Where the code is sent; nobody listens there, since it is read from the redirect."""


def of_user(auth: AuthConfig, user: str, resource: str, scope: str = "") -> Secret:
    """Return an access token of a user of the development server.

    Raises
    ------
    ConfigError
        There is no such user.
    AccessError
        The server refuses.
    TransientError
        It does not answer.
    """
    import httpx

    if user not in auth.dev.users:
        raise ConfigError(f"auth.dev.users: no '{user}'{nearest(user, tuple(auth.dev.users))}")
    server = metadata_of(auth.issuer)
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": BACK,
        "state": state,
        "scope": scope,
        "resource": resource,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    asked = {name: value for name, value in asked.items() if value}
    code = agree(server["authorization_endpoint"], asked, user, state)
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": verifier,
        "resource": resource,
    }
    try:
        reply = httpx.post(server["token_endpoint"], data=form, timeout=10)
    except httpx.HTTPError as error:
        raise TransientError(f"{auth.issuer} does not answer: {error}") from error
    found = reply.json()
    if reply.status_code != 200:
        raise AccessError(f"{auth.issuer} gives no token: {_why(found)}")
    return Secret(str(found["access_token"]))


def agree(address: str, asked: dict[str, str], user: str, state: str) -> str:
    """Choose a user on the login page, as a person would; return the code it leads to."""
    import httpx

    try:
        reply = httpx.post(address, data={**asked, "user": user}, timeout=10)
    except httpx.HTTPError as error:
        raise TransientError(f"{address} does not answer: {error}") from error
    if reply.status_code != 302:
        raise AccessError(f"{address}: HTTP {reply.status_code}: {reply.text[:200]}")
    told = {n: v[0] for n, v in parse_qs(urlsplit(reply.headers["location"]).query).items()}
    if "code" not in told:
        raise AccessError(f"the login was refused: {_why(told)}")
    if told.get("state") != state:
        raise AccessError("the login returned with another state: somebody interfered")
    return told["code"]


def of_client(auth: AuthConfig, client: str, resource: str, scope: str = "") -> Secret:
    """Return an access token of a client itself; its secret is in the variable that names it."""
    from agentops_ref.agents.auth.client import TokenClient

    known = {name: one.secret_env for name, one in auth.dev.clients.items() if one.secret_env}
    known[auth.client.id] = auth.client.secret_env
    if client not in known:
        raise ConfigError(
            f"auth.dev.clients: no '{client}' with a secret{nearest(client, tuple(known))}"
        )
    made = TokenClient(auth.issuer, client, lambda: secret_of(known[client], f"client {client}"))
    return made.own(resource, tuple(scope.split()))


def _why(found: Any) -> str:
    return f"{found.get('error', '?')}: {found.get('error_description', '')}"


# --- the server -------------------------------------------------------------------------------


def serve_dev(
    auth: AuthConfig,
    keys: Path,
    *,
    host: str | None = None,
    port: int | None = None,
    rotate: bool = False,
    ready: Callable[[str], None] = lambda issuer: None,
) -> None:
    """Serve the development server until it is interrupted; ``ready`` is told the issuer.

    Raises
    ------
    ConfigError
        It would listen beyond this machine.
    OperatorError
        The port cannot be had.
    """
    server, sock, issuer = _server(auth, keys, host, port, rotate)
    with sock:
        ready(issuer)
        server.run(sockets=[sock])


@contextmanager
def dev_server(auth: AuthConfig, keys: Path) -> Iterator[str]:
    """Have the development server on a free port for a while; gives its issuer."""
    server, sock, issuer = _server(auth, keys, "127.0.0.1", 0, False)
    with sock:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        try:
            yield issuer
        finally:
            server.should_exit = True
            thread.join(10)


def _server(
    auth: AuthConfig, keys: Path, host: str | None, port: int | None, rotate: bool
) -> tuple[Any, socket.socket, str]:
    import uvicorn

    from agentops_ref.ops.authserver import Grants, SigningKeys, dev_application

    parts = urlsplit(auth.issuer)
    listen = host or parts.hostname or "127.0.0.1"
    if not is_loopback(listen):
        raise ConfigError(
            f"the development server lets anybody be anybody: it listens on this machine only "
            f"(127.0.0.1, ::1, localhost), not on {listen}"
        )
    sock = socket.socket(socket.AF_INET6 if ":" in listen else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wanted = (parts.port or 8950) if port is None else port
    try:
        sock.bind((listen, wanted))
    except OSError as error:
        sock.close()
        raise OperatorError(
            f"{listen}:{wanted} cannot be served: {error.strerror}; choose another with --port"
        ) from error
    sock.listen()
    issuer = auth.issuer
    if host is not None or port is not None:
        shown = f"[{listen}]" if ":" in listen else listen
        issuer = urlunsplit(("http", f"{shown}:{sock.getsockname()[1]}", "", "", ""))
    signing = SigningKeys(keys)
    if rotate:
        signing.rotate()
    app = dev_application(Grants(auth.model_copy(update={"issuer": issuer}), signing))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    return uvicorn.Server(config), sock, issuer
