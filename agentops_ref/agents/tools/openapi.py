"""Operations of an HTTP service as tools, from its OpenAPI document.

Taught in chapter 6. FastMCP turns the document into an MCP server within this process (references,
parameters in path, query and body), so that such tools are called as those of any MCP server are.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from agentops_ref.agents.tools.mcp import McpSource, headers_of
from agentops_ref.agents.tools.spec import Caller
from agentops_ref.errors import ConfigError, MissingExtra, OperatorError
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


async def _document(service: OpenApiConfig, base: Path, timeout: float) -> dict[str, Any]:
    """Read the OpenAPI document, JSON or YAML, from a file or a URL.

    Raises
    ------
    OperatorError
        It is not there.
    ConfigError
        It is no OpenAPI document.
    """
    import httpx
    import yaml

    if "://" in service.document:
        headers = headers_of(service.name, service.headers, service.token_env)
        async with httpx.AsyncClient(headers=headers, timeout=timeout) as client:
            response = await client.get(service.document, follow_redirects=True)
            response.raise_for_status()
            text = response.text
    else:
        try:
            text = (base / service.document).read_text(encoding="utf-8")
        except OSError as error:
            raise OperatorError(f"{base / service.document}: {error.strerror}") from error
    try:
        read = yaml.safe_load(text)  # JSON is YAML
    except yaml.YAMLError as error:
        raise ConfigError(f"{service.document}: neither JSON nor YAML: {error}") from None
    if not isinstance(read, Mapping) or "paths" not in read or "openapi" not in read:
        raise ConfigError(
            f"{service.document}: expected an OpenAPI 3 document with `openapi` and `paths`"
        )
    return dict(read)


def _server(service: OpenApiConfig, document: Mapping[str, Any], timeout: float) -> Any:
    """Return an MCP server in this process whose tools are the document's operations."""
    import httpx
    from fastmcp import FastMCP
    from fastmcp.server.providers.openapi import MCPType, RouteMap
    from mcp.types import ToolAnnotations

    servers = document.get("servers") or [{}]
    url = service.url or servers[0].get("url", "")
    if "://" not in url:
        raise ConfigError(
            f"tools.openapi: {service.name}: the document names no address of the service; set url"
        )

    async def on_behalf(request: httpx.Request) -> None:
        if service.tenant_header:
            request.headers[service.tenant_header] = _TENANT.get()

    def declare(route: Any, component: Any) -> None:
        if route.method in ("GET", "HEAD"):
            component.annotations = ToolAnnotations(readOnlyHint=True)

    # What fails is told to the model and stands in the audit; FastMCP would print it besides.
    logging.getLogger("fastmcp.server.server").setLevel(logging.CRITICAL)
    client = httpx.AsyncClient(
        base_url=url,
        headers=headers_of(service.name, service.headers, service.token_env),
        timeout=timeout,
        event_hooks={"request": [on_behalf]},
        # A connection that was kept would outlive the session of its call, and the service.
        limits=httpx.Limits(max_keepalive_connections=0),
    )
    return FastMCP.from_openapi(
        dict(document),
        client=client,
        name=service.name,
        route_maps=[RouteMap(mcp_type=MCPType.TOOL)],
        mcp_component_fn=declare,
        validate_output=False,  # what a service answers is told, whatever its document promised
    )
