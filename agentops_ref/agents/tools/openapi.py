"""Operations of an HTTP service as tools, from its OpenAPI document.

Taught in chapter 6. FastMCP turns the document into an MCP server within this process (references,
parameters in path, query and body), so that such tools are called as those of any MCP server are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from agentops_ref.agents.tools.mcp import McpSource
from agentops_ref.agents.tools.spec import Caller
from agentops_ref.errors import MissingExtra
from agentops_ref.settings import OpenApiConfig

_TENANT: ContextVar[str] = ContextVar("tenant", default="")


def openapi_source(
    service: OpenApiConfig, *, base: Path, timeout: float = 10.0, **more: Any
) -> McpSource:
    """Return the source that a section of ``tools.openapi`` describes.

    Parameters
    ----------
    base
        The folder from which a relative path of the document starts.
    """
    server: list[Any] = []

    @asynccontextmanager
    async def open_(caller: Caller | None) -> AsyncIterator[Any]:
        try:
            from fastmcp import Client
        except ImportError:
            raise MissingExtra("fastmcp", "mcp") from None

        if not server:
            server.append(_server(service, await _document(service, base, timeout), timeout))
        _TENANT.set(caller.tenant if caller else "")
        async with Client(server[0]) as client:
            yield client.session

    return McpSource(
        service.name,
        open_,
        wanted=service.tools,
        prefix=service.prefix,
        timeout=timeout,
        **more,
    )
