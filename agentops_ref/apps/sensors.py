"""Our own MCP server: the sensor readings of the running case's heat pumps.

Taught in chapter 6. It reads the Delta table through the same guarded queries as everybody else.
For whom it reads stands in a header that the calling registry sets; a model never sees it. So the
server must only be reachable for callers that may be believed: on loopback, or with a bearer token.
With `auth.required` it is a protected resource of OAuth (chapter 7): it says where tokens for it
are given out, takes no others, and reads for the tenant that the token names, whatever the header
says.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from agentops_ref.agents.auth import TokenRefused, Verifier
from agentops_ref.agents.tools.records import RecordQuery
from agentops_ref.agents.tools.sensors import Count, End, Sensors, Serial, Start
from agentops_ref.agents.tools.spec import Caller
from agentops_ref.errors import MissingExtra, OperatorError

log = logging.getLogger(__name__)
SCOPE = "sensors"


def sensor_server(
    query: RecordQuery,
    *,
    tenant_header: str,
    token: str | None = None,
    verifier: Verifier | None = None,
    scope: str = SCOPE,
) -> Any:
    """Return the FastMCP server; ``run(transport="http", host=..., port=...)`` serves it.

    Parameters
    ----------
    query
        Runs one SELECT over the tables with named parameters.
    tenant_header
        Header in which a caller says for which tenant it asks; without it there are no rows.
    token
        Bearer token that callers must send; None asks for none.
    verifier
        Judges the OAuth tokens that callers must send instead; its audience is this server.
    scope
        What such a token must have been given for.
    """
    try:
        from fastmcp import FastMCP
        from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
        from fastmcp.server.dependencies import get_access_token, get_http_headers
    except ImportError:
        raise MissingExtra("fastmcp", "mcp") from None

    auth: Any = None
    if verifier is not None:
        auth = _protection(verifier, scope)
    elif token:
        auth = StaticTokenVerifier({token: {"client_id": "agents", "scopes": []}})
    server = FastMCP("fjordvarm-sensors", auth=auth)

    sensors = Sensors(query)

    def caller() -> Caller:
        if verifier is not None:
            given = get_access_token()
            claims = given.claims if given is not None else {}
            return Caller("mcp", tenant=claims.get("tenant", ""), user=claims.get("subject", ""))
        return Caller("mcp", tenant=get_http_headers().get(tenant_header.lower(), ""))

    @server.tool(annotations={"readOnlyHint": True})
    def latest_readings(serial: Serial, count: Count = 1) -> list[dict[str, Any]]:
        """Newest sensor readings of one unit: temperatures, power, compressor speed."""
        return sensors.latest_readings(serial, caller(), count)

    @server.tool(annotations={"readOnlyHint": True})
    def summarise_readings(serial: Serial, start: Start, end: End) -> dict[str, Any]:
        """Averages of one unit's sensor readings over a period."""
        return sensors.summarise_readings(serial, start, end, caller())

    return server


def _protection(verifier: Verifier, scope: str) -> Any:
    """Return FastMCP's side of it: the resource's metadata (RFC 9728), and our verifier."""
    from fastmcp.server.auth import RemoteAuthProvider, TokenVerifier
    from fastmcp.server.auth.auth import AccessToken
    from pydantic import AnyHttpUrl

    parts = urlsplit(verifier.audience)

    class Ours(TokenVerifier):
        async def verify_token(self, token: str) -> AccessToken | None:
            try:
                found = await asyncio.to_thread(verifier.verify, token)
            except TokenRefused as error:
                log.warning("refused: %s", error.reason)
                return None
            return AccessToken(
                token=token,
                client_id=found.client or found.subject,
                scopes=list(found.scopes),
                resource=verifier.audience,
                claims={"tenant": found.tenant, "subject": found.subject},
            )

    return RemoteAuthProvider(
        token_verifier=Ours(required_scopes=[scope]),
        authorization_servers=[AnyHttpUrl(verifier.issuer)],
        base_url=f"{parts.scheme}://{parts.netloc}",
        resource_name="Fjordvarm's sensor readings",
    )


def serve(
    server: Callable[[str], Any], *, host: str, port: int, ready: Callable[[str], None]
) -> None:
    """Serve over streamable HTTP until interrupted; ``ready`` is told the address.

    ``server`` makes the server for the address at which it will be reached.

    No session is kept between requests, so that a client notices nothing of a restart.

    Raises
    ------
    OperatorError
        The port cannot be had.
    """
    import uvicorn

    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with sock:
        try:
            sock.bind((host, port))
        except OSError as error:
            raise OperatorError(
                f"{host}:{port} cannot be served: {error.strerror}; choose another with --port, or "
                "0 for a free one"
            ) from error
        sock.listen()  # who connects from now on is answered as soon as the server runs
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{sock.getsockname()[1]}/mcp"
        app = server(url).http_app(path="/mcp", stateless_http=True)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        ready(url)
        uvicorn.Server(config).run(sockets=[sock])
