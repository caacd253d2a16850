"""Our MCP server in a process of its own, which a chapter starts, kills and starts again."""

from __future__ import annotations

import atexit
import re
import subprocess
import sys
from collections.abc import Sequence

from agentops_ref.errors import OperatorError


class SensorProcess:
    """``agentops tools serve`` in a child, from its first word on; ends with this process at last.

    Parameters
    ----------
    settings
        What is set with ``--set``.
    port
        0 takes a free one.

    Raises
    ------
    OperatorError
        It ended before it served.
    """

    def __init__(self, settings: Sequence[str] = (), *, port: int = 0) -> None:
        command = [sys.executable, "-m", "agentops_ref.apps.cli", "tools", "serve"]
        command += ["--port", str(port), *(f"--set={one}" for one in settings)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        atexit.register(self.kill)
        assert self._process.stderr is not None
        told = []
        for line in self._process.stderr:
            told.append(line)
            if found := re.search(r"serving .* at (http://\S+:(\d+)/\S*)", line):
                self.url, self.port = found[1], int(found[2])
                return
        raise OperatorError(f"the sensor server ended: {''.join(told)[-300:]}")

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def kill(self) -> None:
        """End it with SIGKILL, as a machine that fails would; nothing if it has ended."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
