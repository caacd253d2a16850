"""A person logs in at an MCP server, with a browser on this machine. Taught in chapter 7."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agentops_ref.agents.tools.mcp_auth import Login, file_of, person
from agentops_ref.errors import OperatorError
from agentops_ref.settings import McpServerConfig


async def log_in(server: McpServerConfig, logins: Path, browse: Callable[[str], None]) -> float:
    """Log in at a server, and keep what was granted; return the seconds for which it counts.

    Parameters
    ----------
    browse
        Is given the address where a person agrees; what it redirects to is waited for.

    Raises
    ------
    OperatorError
        It was refused, or nobody agreed in time.
    """
    auth = server.auth
    assert auth is not None
    answered: asyncio.Future[tuple[str, str | None]] = asyncio.get_running_loop().create_future()
    file = file_of(server, logins)
    assert file is not None

    async def redirect(url: str) -> None:
        await asyncio.to_thread(browse, url)

    async def callback() -> tuple[str, str | None]:
        try:
            return await asyncio.wait_for(answered, auth.seconds)
        except TimeoutError:
            raise OperatorError(
                f"{server.name}: nobody logged in within {auth.seconds:g} s"
            ) from None

    listening = await asyncio.start_server(_listener(answered), "127.0.0.1", auth.redirect_port)
    async with listening:
        login = Login(server, person(server, redirect, callback), file, anew=True)
        await login.ready()
    return 0.0 if login.until is None else login.until - time.time()


def _listener(answered: asyncio.Future[tuple[str, str | None]]) -> Any:
    """Return what takes the browser's return, and shows that it may be closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode("latin-1").split(" ")
        parts = urlsplit(line[1] if len(line) > 1 else "")
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        said = "Done: you may close this page."
        if parts.path != "/callback" or answered.done():
            said = "Nothing is waited for here."
        elif "code" in given:
            answered.set_result((given["code"], given.get("state")))
        else:
            why = given.get("error_description") or given.get("error") or "no code"
            answered.set_exception(OperatorError(f"the login was refused: {why[:200]}"))
            said = "The login was refused."
        body = said.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    return serve
