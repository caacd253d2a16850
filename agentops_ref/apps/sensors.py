"""Our own MCP server: the sensor readings of the running case's heat pumps.

Taught in chapter 6. It reads the Delta table through the same guarded queries as everybody else.
For whom it reads stands in a header that the calling registry sets; a model never sees it. So the
server must only be reachable for callers that may be believed: on loopback, or with a bearer token.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from agentops_ref.agents.tools.records import RecordQuery
from agentops_ref.errors import MissingExtra, OperatorError

MOST = 24
"""Readings that one call returns."""

LATEST = """
select r.measured_at, r.outdoor_c, r.flow_c, r.return_c, r.power_w, r.compressor_hz
from sensor_readings r
where r.tenant = $tenant and upper(r.serial_number) = upper(trim($serial))
order by r.measured_at desc limit $count
"""
SUMMARY = """
select count(*) as readings, min(r.measured_at) as first, max(r.measured_at) as last,
       round(avg(r.outdoor_c), 1) as outdoor_c, round(avg(r.flow_c), 1) as flow_c,
       round(avg(r.flow_c - r.return_c), 1) as spread_c,
       round(avg(r.power_w)) as power_w, max(r.compressor_hz) as highest_hz
from sensor_readings r
where r.tenant = $tenant and upper(r.serial_number) = upper(trim($serial))
  and cast(r.measured_at as timestamptz) >= cast($start as timestamptz)
  and cast(r.measured_at as timestamptz) < cast($end as timestamptz)
"""

Serial = Annotated[str, Field(description="serial number", min_length=2, max_length=100)]


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

    def rows(sql: str, serial: str, **values: Any) -> list[dict[str, Any]]:
        tenant = get_http_headers().get(tenant_header.lower(), "")
        found = query(sql, {"tenant": tenant, "serial": serial, **values})
        return [{name: _plain(value) for name, value in row.items()} for row in found]

    @server.tool(annotations={"readOnlyHint": True})
    def latest_readings(
        serial: Serial, count: Annotated[int, Field(ge=1, le=MOST)] = 3
    ) -> list[dict[str, Any]]:
        """Newest sensor readings of one unit: temperatures, power, compressor speed."""
        return rows(LATEST, serial, count=count)

    @server.tool(annotations={"readOnlyHint": True})
    def summarise_readings(
        serial: Serial,
        start: Annotated[datetime, Field(description="YYYY-MM-DD")],
        end: Annotated[datetime, Field(description="YYYY-MM-DD, not included")],
    ) -> dict[str, Any]:
        """Averages of one unit's sensor readings over a period."""
        (summary,) = rows(SUMMARY, serial, start=start, end=end)
        return summary

    return server


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


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
