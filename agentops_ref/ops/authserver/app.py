"""The development server's pages and endpoints over HTTP."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from agentops_ref.ops.authserver.grants import Grants
from agentops_ref.ops.authserver.rules import Asked, OAuthError

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
HIDDEN = (
    *("response_type", "client_id", "redirect_uri", "state", "scope", "resource"),
    *("code_challenge", "code_challenge_method"),
)
LONGEST = 65_536

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>Log in (development)</title><h1>Who are you?</h1>
<p>This server is for development: choose any of its made-up people.</p>
<p><b>{client}</b> asks for <b>{scope}</b> at <b>{resource}</b>.</p>
<form method="post" action="/authorize">{hidden}{users}
<button name="user" value="">Refuse</button></form></html>"""


def dev_application(grants: Grants) -> Any:
    """Return the ASGI application."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
    from starlette.routing import Route

    async def metadata(request: Request) -> Response:
        return JSONResponse(metadata_of(grants))

    async def jwks(request: Request) -> Response:
        return JSONResponse(grants.keys.public(), headers={"Cache-Control": "max-age=60"})

    async def authorize(request: Request) -> Response:
        given = dict(request.query_params) if request.method == "GET" else await _form(request)
        try:
            asked = grants.asked(given)
        except OAuthError as error:
            if error.status != 302:  # to whom it would go back cannot be believed
                return HTMLResponse(f"<p>{html.escape(str(error))}</p>", 400, NO_STORE)
            return _back(given["redirect_uri"], _told(error), given.get("state", ""))
        user = given.get("user") if request.method == "POST" else grants.auth.dev.approve
        if user is None:
            return HTMLResponse(_page(grants, asked, given), headers=_PAGE_HEADERS)
        try:
            if not user:
                raise OAuthError("access_denied", "the person refused")
            code = grants.agreed(asked, user)
        except OAuthError as error:
            return _back(asked.redirect, _told(error), asked.state)
        return _back(asked.redirect, {"code": code}, asked.state)

    def _back(redirect: str, told: dict[str, str], state: str) -> Response:
        told = {**told, "iss": grants.auth.issuer, **({"state": state} if state else {})}
        mark = "&" if "?" in redirect else "?"
        return RedirectResponse(f"{redirect}{mark}{urlencode(told)}", 302, NO_STORE)

    async def token(request: Request) -> Response:
        form = await _form(request)
        return JSONResponse(grants.token(form, *_client(request, form)), headers=NO_STORE)

    async def revoke(request: Request) -> Response:
        form = await _form(request)
        grants.revoke(form, *_client(request, form))
        return Response(status_code=200, headers=NO_STORE)

    async def register(request: Request) -> Response:
        try:
            wanted = json.loads(await _body(request))
        except ValueError:
            raise OAuthError("invalid_client_metadata", "expected JSON") from None
        if not isinstance(wanted, dict):
            raise OAuthError("invalid_client_metadata", "expected an object")
        return JSONResponse(grants.register(wanted), 201, NO_STORE)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, OAuthError)
        more = {"WWW-Authenticate": 'Basic realm="clients"'} if error.status == 401 else {}
        status = error.status if error.status != 302 else 400
        return JSONResponse(_told(error), status, {**NO_STORE, **more})

    routes = [
        Route("/.well-known/oauth-authorization-server", metadata),
        Route("/.well-known/openid-configuration", metadata),
        Route("/jwks", jwks),
        Route("/authorize", authorize, methods=["GET", "POST"]),
        Route("/token", token, methods=["POST"]),
        Route("/revoke", revoke, methods=["POST"]),
        Route("/register", register, methods=["POST"]),
    ]
    # A page elsewhere must not reach this server under a name of its own (DNS rebinding).
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    return Starlette(routes=routes, middleware=[hosts], exception_handlers={OAuthError: refused})


_PAGE_HEADERS = {
    **NO_STORE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


def metadata_of(grants: Grants) -> dict[str, Any]:
    """Return what the server says of itself (RFC 8414)."""
    issuer = grants.auth.issuer.rstrip("/")
    ways = ["none", "client_secret_basic", "client_secret_post"]
    return {
        "issuer": grants.auth.issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "registration_endpoint": f"{issuer}/register",
        "revocation_endpoint": f"{issuer}/revoke",
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ways,
        "revocation_endpoint_auth_methods_supported": ways,
        "scopes_supported": sorted({s for c in grants.auth.dev.clients.values() for s in c.scopes}),
        "authorization_response_iss_parameter_supported": True,
    }


async def _body(request: Any) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise OAuthError("invalid_request", "the request is too long", 413)
    return bytes(body)


async def _form(request: Any) -> dict[str, str]:
    """Return a form's fields; one that comes twice could mean two things, and is refused."""
    try:
        pairs = parse_qsl((await _body(request)).decode(), keep_blank_values=True)
    except ValueError:
        raise OAuthError("invalid_request", "expected a form in UTF-8") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a field stands twice in the request")
    return form


def _client(request: Any, form: dict[str, str]) -> tuple[str, str]:
    """Return a client's name and secret, from the header or the form."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        raise OAuthError("invalid_client", "the header Authorization cannot be read", 401) from None
    return unquote(name), unquote(secret)


def _told(error: OAuthError) -> dict[str, str]:
    return {"error": error.error, "error_description": str(error)}


def _page(grants: Grants, asked: Asked, given: dict[str, str]) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(given[name])}">'
        for name in HIDDEN
        if name in given
    )
    users = "".join(
        f'<p><button name="user" value="{html.escape(name)}">{html.escape(name)}</button> '
        f"{html.escape(', '.join(one.roles))} at {html.escape(one.tenant)}</p>"
        for name, one in grants.users.items()
    )
    return PAGE.format(
        client=html.escape(asked.client),
        scope=html.escape(" ".join(asked.scopes)),
        resource=html.escape(asked.resource),
        hidden=hidden,
        users=users,
    )
