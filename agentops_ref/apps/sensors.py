"""Our own MCP server: the sensor readings of the running case's heat pumps.

Taught in chapter 6. It reads the Delta table through the same guarded queries as everybody else.
For whom it reads stands in a header that the calling registry sets; a model never sees it. So the
server must only be reachable for callers that may be believed: on loopback, or with a bearer token.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from agentops_ref.agents.tools.records import RecordQuery
from agentops_ref.agents.tools.sensors import Count, End, Sensors, Serial, Start
from agentops_ref.agents.tools.spec import Caller
from agentops_ref.errors import MissingExtra, OperatorError


def sensor_server(query: RecordQuery, *, tenant_header: str, token: str | None = None) -> Any:
    """Return the FastMCP server; ``run(transport="http", host=..., port=...)`` serves it.

    Parameters
    ----------
    query
        Runs one SELECT over the tables with named parameters.
    tenant_header
        Header in which a caller says for which tenant it asks; without it there are no rows.
    token
        Bearer token that callers must send; None asks for none.
    """
    try:
        from fastmcp import FastMCP
        from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
        from fastmcp.server.dependencies import get_http_headers
    except ImportError:
        raise MissingExtra("fastmcp", "mcp") from None

    auth = StaticTokenVerifier({token: {"client_id": "agents", "scopes": []}}) if token else None
    server = FastMCP("fjordvarm-sensors", auth=auth)

    sensors = Sensors(query)

    def caller() -> Caller:
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


def serve(server: Any, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve over streamable HTTP until interrupted; ``ready`` is told the address.

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
        app = server.http_app(path="/mcp", stateless_http=True)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        ready(f"http://{shown}:{sock.getsockname()[1]}/mcp")
        uvicorn.Server(config).run(sockets=[sock])
