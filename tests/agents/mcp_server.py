"""An MCP server for tests, run as a process: ``python -m tests.agents.mcp_server PORT | stdio``."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.dependencies import get_http_headers

server = FastMCP("for-tests")


@server.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int) -> int:
    """Adds two numbers.

    At length: this paragraph is not for a model's prompt.
    """
    return a + b


@server.tool(annotations={"readOnlyHint": True})
def rows(count: int) -> list[dict[str, Any]]:
    """Gives rows."""
    return [{"number": number} for number in range(count)]


@server.tool
def tenant() -> str:
    """Says for whom it was called."""
    return get_http_headers().get("x-tenant", "nobody")


@server.tool(annotations={"readOnlyHint": True})
def sleep(seconds: float) -> str:
    """Sleeps."""
    time.sleep(seconds)
    return "slept"


@server.tool
def fail() -> str:
    """Fails."""
    raise ValueError("the pump is broken")


@server.tool(annotations={"readOnlyHint": True})
def process() -> int:
    """Gives its process's number."""
    return os.getpid()


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run(show_banner=False)
    else:
        server.run(
            "http",
            host="127.0.0.1",
            port=int(sys.argv[1]),
            show_banner=False,
            stateless_http=True,
            log_level="error",
        )
