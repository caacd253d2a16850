"""Real processes that can be killed: an MCP server, and an agent behind an endpoint.

``python -m agentops_ref.apps.failures.processes mcp | agent PORT``. Both are started without
waiting, since each imports for seconds.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Literal, Self

from agentops_ref.errors import OperatorError

Kind = Literal["mcp", "agent"]
TOOL = "warranty_until"
SECONDS = 120.0
"""For a process to listen, on a machine that is busy with others."""


class Served:
    """One process; ``url`` waits until it listens."""

    def __init__(self, kind: Kind, port: int | None = None) -> None:
        self.kind: Kind = kind
        self.port = port or _free_port()
        command = [sys.executable, "-m", __name__, kind, str(self.port)]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    address = f"http://127.0.0.1:{self.port}"
                    return f"{address}/mcp" if self.kind == "mcp" else address
            time.sleep(0.05)
        raise OperatorError(f"the {self.kind} process does not listen on {self.port}")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


class Processes:
    """Processes that are started when they are first wanted, and ended at the end."""

    def __init__(self) -> None:
        self._spare: dict[str, Served] = {}
        self._all: list[Served] = []
        self._guard = threading.Lock()

    def start(self, kind: Kind, port: int | None = None) -> Served:
        """Start one, and do not wait for it."""
        made = Served(kind, port)
        with self._guard:
            self._all.append(made)
        return made

    def ahead(self, kind: Kind) -> None:
        """Start one that `take` will give away."""
        self._spare[kind] = self.start(kind)

    def take(self, kind: Kind) -> Served:
        """Return one that nobody else uses."""
        with self._guard:
            spare = self._spare.pop(kind, None)
        return spare or self.start(kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._all:
            one.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _mcp(port: int) -> None:
    from fastmcp import FastMCP

    server = FastMCP("warranties")

    @server.tool(name=TOOL, annotations={"readOnlyHint": True})
    def warranty_until(serial: str, seconds: float = 0.0) -> str:
        """Says until when a unit is under warranty, after some seconds."""
        time.sleep(seconds)
        return "The warranty ends in 2029."

    server.run(
        "http",
        host="127.0.0.1",
        port=port,
        show_banner=False,
        stateless_http=True,
        log_level="critical",
    )


def _agent(port: int) -> None:
    """Serve an agent that works until it is killed, as far as any caller can tell."""
    import uvicorn

    from agentops_ref.ops.serving import application
    from agentops_ref.records import Answer

    def agent(question: str, *, request: Any = None) -> Answer:
        time.sleep(SECONDS)
        return Answer("It never says this.", abstained=False)

    uvicorn.run(application(agent), port=port, log_level="critical")


def _ends_with_its_parent() -> None:
    sys.stdin.read()  # until whoever started this closes it, or is no more
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_ends_with_its_parent, daemon=True).start()
    {"mcp": _mcp, "agent": _agent}[sys.argv[1]](int(sys.argv[2]))
