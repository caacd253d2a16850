"""Tools of MCP servers, over streamable HTTP or a process's standard input and output.

Taught in chapter 6. Over HTTP each call opens its own session, so that a server may be restarted at
any time and the next call finds the new one. A process is started with the first call, kept, and
started again when it was lost.

A server's words are content: its description is cut to one paragraph, its version is the digest of
name, description and schema (so that a pinned one cannot change unseen), and what it does not
declare as read-only counts as a write.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentops_ref.agents.tools import background
from agentops_ref.agents.tools.spec import Caller, ToolSpec
from agentops_ref.errors import (
    AgentOpsError,
    ConfigError,
    MissingExtra,
    ModelError,
    TransientError,
    nearest,
)
from agentops_ref.secret import resolved, secret_of
from agentops_ref.settings import McpServerConfig

if TYPE_CHECKING:
    from agentops_ref.agents.auth.client import TokenClient

T = TypeVar("T")
Open = Callable[[Caller | None], AbstractAsyncContextManager[Any]]
"""Opens an initialised ``mcp.ClientSession`` on behalf of a caller, or of nobody for the list."""

DESCRIPTION = 300
"""Characters of a description that are kept."""


class McpSource:
    """The tools behind MCP sessions.

    Parameters
    ----------
    name
        What errors call it.
    session
        Opens a session; see `over_http` and `Kept`.
    wanted
        Names of the tools to take; none is all.
    prefix
        Put before their names.
    timeout
        Seconds for listing the tools, and for a call of each.
    more
        Further fields of each `ToolSpec`.
    """

    def __init__(
        self,
        name: str,
        session: Open,
        *,
        wanted: Sequence[str] = (),
        prefix: str = "",
        timeout: float = 10.0,
        **more: Any,
    ) -> None:
        self.name, self._session, self._timeout = name, session, timeout
        self._wanted, self._prefix, self._more = wanted, prefix, {"timeout": timeout, **more}

    def tools(self) -> list[McpTool]:
        """Return the server's tools.

        Raises
        ------
        TransientError
            It cannot be reached.
        ConfigError
            It has no tool of a wanted name.
        """
        listed = {tool.name: tool for tool in self._run(self._list, None, self._timeout)}
        for name in self._wanted:
            if name not in listed:
                raise ConfigError(f"{self.name} has no tool '{name}'{nearest(name, tuple(listed))}")
        return [
            McpTool(self, listed[name], self._spec(listed[name]))
            for name in (self._wanted or listed)
        ]

    def call(self, tool: str, arguments: Mapping[str, Any], caller: Caller, seconds: float) -> Any:
        """Call one tool; return ``mcp.types.CallToolResult``."""

        from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest

        # Not `session.call_tool`: it lists the server's tools again for each new session, and
        # refuses a result that is not what the server's own schema says.
        params = CallToolRequestParams(name=tool, arguments=dict(arguments))
        request = ClientRequest(CallToolRequest(params=params))

        async def ask(session: Any) -> Any:
            return await session.send_request(request, CallToolResult)

        return self._run(ask, caller, seconds)

    def _run(self, ask: Callable[[Any], Awaitable[T]], caller: Caller | None, seconds: float) -> T:
        async def work() -> T:
            async with self._session(caller) as session:
                return await ask(session)

        try:
            return background.run(work(), seconds)
        except (AgentOpsError, TimeoutError):
            raise
        except Exception as error:
            first = _first(error)
            if isinstance(first, AgentOpsError | TimeoutError):
                raise first from error
            text = " ".join(str(first).split())[:200]
            raise TransientError(
                f"{self.name} cannot be used: {text or type(first).__name__}"
            ) from (error)

    @staticmethod
    async def _list(session: Any) -> list[Any]:
        from mcp.types import PaginatedRequestParams

        found, cursor = [], None
        while True:
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            found.extend(page.tools)
            if not (cursor := page.nextCursor):
                return found

    def _spec(self, tool: Any) -> ToolSpec:
        about = " ".join((tool.description or tool.name).split("\n\n")[0].split())[:DESCRIPTION]
        whole = json.dumps([tool.name, tool.description, tool.inputSchema], sort_keys=True)
        reads = tool.annotations is not None and tool.annotations.readOnlyHint is True
        return ToolSpec(
            f"{self._prefix}{tool.name}",
            about,
            tool.inputSchema,
            version=hashlib.sha256(whole.encode()).hexdigest()[:12],
            effect="read" if reads else "write",
            **self._more,
        )


class McpTool:
    """One tool of a server."""

    def __init__(self, source: McpSource, tool: Any, spec: ToolSpec) -> None:
        self._source, self._name, self.spec = source, tool.name, spec

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        """Return the structured result if there is one, else the text.

        Raises
        ------
        ModelError
            The tool says that it failed.
        TransientError
            The server cannot be reached.
        """
        result = self._source.call(self._name, arguments, caller, self.spec.timeout)
        text = "\n".join(_text(block) for block in result.content)
        if result.isError:
            raise ModelError(text or "it did not say why")
        structured = result.structuredContent
        if structured is None:
            return text
        # What is no object travels as the one field "result".
        return structured["result"] if structured.keys() == {"result"} else structured


def source_of(
    server: McpServerConfig,
    *,
    tokens: TokenClient | None = None,
    logins: Path | None = None,
    **more: Any,
) -> McpSource:
    """Return the source that a section of ``tools.servers`` describes.

    Parameters
    ----------
    tokens, logins
        As in `build_registry`; needed by some kinds of ``auth``.
    """
    if server.url:
        session = over_http(server, tokens=tokens, logins=logins)
    else:
        session = Kept(over_process(server))
    return McpSource(server.name, session, wanted=server.tools, prefix=server.prefix, **more)


def over_http(
    server: McpServerConfig,
    *,
    timeout: float = 30.0,
    tokens: TokenClient | None = None,
    logins: Path | None = None,
) -> Open:
    """Return what opens a session over streamable HTTP, with the caller's tenant in a header.

    Whoever asks is never shown to the server by their own token: it was not made for it.
    """
    shown = server.token_env
    if server.auth and server.auth.kind == "bearer":
        shown = server.auth.token_env
    known: list[Any] = []

    @asynccontextmanager
    async def open_(caller: Caller | None) -> AsyncIterator[Any]:
        headers = headers_of(server.name, server.headers, shown)
        if server.tenant_header and caller is not None:
            headers[server.tenant_header] = caller.tenant
        connection = {
            "transport": "streamable_http",
            "url": server.url,
            "headers": headers,
            "timeout": timedelta(seconds=timeout),
            "httpx_client_factory": _http_client,
        }
        if server.auth and server.auth.kind != "bearer":
            from agentops_ref.agents.tools.mcp_auth import access_to

            if not known:
                known.append(access_to(server, tokens=tokens, logins=logins))
            connection["auth"] = auth = known[0](caller)
            await auth.ready()  # here a refusal is an error that says why; in a session it is lost
        async with _session(server.name, connection) as session:
            yield session

    return open_


def over_process(server: McpServerConfig) -> Open:
    """Return what starts a process and opens a session over its standard input and output."""
    program, *args = server.command
    # The MCP library's own choice of variables (PATH, HOME, ...) and ours.

    def open_(caller: Caller | None) -> AbstractAsyncContextManager[Any]:
        more = resolved(server.env, f"{server.name}: env")
        env = {**_default_environment(), **more} if more else None
        connection = {"transport": "stdio", "command": program, "args": args, "env": env}
        return _session(server.name, connection)

    return open_


def headers_of(name: str, headers: Mapping[str, str], token_env: str | None) -> dict[str, str]:
    """Return a request's headers, with the bearer token and ``${env:...}`` from the environment.

    Raises
    ------
    OperatorError
        The variable is not set.
    """
    made: dict[str, str] = resolved(dict(headers), f"{name}: headers")
    if token_env:
        made["Authorization"] = f"Bearer {secret_of(token_env, f'{name}: token').reveal()}"
    return made


class Kept:
    """One session for all calls; opened with the first, and again after it was lost."""

    def __init__(self, session: Open) -> None:
        self._open = session
        self._holder: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Any] | None = None
        self._over: asyncio.Event | None = None

    @asynccontextmanager
    async def __call__(self, caller: Caller | None) -> AsyncIterator[Any]:
        if self._holder is None or self._holder.done():
            self._over = asyncio.Event()
            self._ready = asyncio.get_running_loop().create_future()
            self._holder = asyncio.create_task(self._hold(self._ready, self._over))
        ready, over = self._ready, self._over
        assert ready is not None
        assert over is not None
        try:
            yield await asyncio.shield(ready)
        except BaseException:  # lost, or silent for too long: the next call starts anew
            over.set()
            self._holder = None
            raise

    async def _hold(self, ready: asyncio.Future[Any], over: asyncio.Event) -> None:
        """Keep a session open in a task of its own: it must be closed where it was opened."""
        try:
            async with self._open(None) as session:
                ready.set_result(session)
                await over.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
                ready.exception()  # seen, even if nobody waits any more
                return
            if isinstance(error, asyncio.CancelledError):
                raise


@asynccontextmanager
async def _session(name: str, connection: Mapping[str, Any]) -> AsyncIterator[Any]:
    try:
        from langchain_mcp_adapters.client import MultiServerMCPClient
    except ImportError:
        raise MissingExtra("langchain-mcp-adapters", "mcp") from None

    client = MultiServerMCPClient({name: dict(connection)})  # type: ignore[dict-item]
    async with client.session(name) as session:
        yield session


def _http_client(headers: Any = None, timeout: Any = None, auth: Any = None) -> Any:
    """Return a client that shares its certificates: reading them takes 50 ms, in each session."""
    import httpx

    return httpx.AsyncClient(headers=headers, timeout=timeout, auth=auth, verify=_certificates())


@cache
def _certificates() -> Any:
    import httpx

    return httpx.create_ssl_context()


def _default_environment() -> dict[str, str]:
    from mcp.client.stdio import get_default_environment

    return get_default_environment()


def _text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    return f"[{getattr(block, 'mimeType', None) or block.type}, left out]"


def _first(error: BaseException) -> BaseException:
    """Return what really happened: task groups wrap it, often more than once."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
