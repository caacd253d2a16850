"""A sync in a process of its own that is killed at a chosen point, for chapter 3.

``SIGKILL`` cannot be caught: no handler, no ``finally`` and no ``atexit`` of the child runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agentops_ref.errors import DeveloperError
from agentops_ref.records import SyncReport

POINTS = ("parse", "embed", "before commit", "after commit", "after index")
"""Where a sync can be killed, in the order of its work."""


def killed_sync(docs: Path | str, index: Path | str, point: str) -> None:
    """Sync ``docs`` into a LanceDB index in a child process that dies at ``point``.

    Raises
    ------
    DeveloperError
        The point is not one of `POINTS`, or the child ended in another way.
    """
    if point not in POINTS:
        raise DeveloperError(f"no point '{point}'; known: {', '.join(POINTS)}")
    command = [sys.executable, "-m", __name__, str(docs), str(index), point]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != -signal.SIGKILL:
        raise DeveloperError(f"the child was to be killed at '{point}': {done.stderr[-500:]}")


def plain_sync(
    docs: Path | str, index: Path | str, *, observe: Callable[[str], None] | None = None
) -> SyncReport:
    """Sync with real parsers and chunks, and vectors that cost nothing."""
    from agentops_ref.etl import FolderSource, LanceSink, sync
    from agentops_ref.settings import DeletionConfig
    from agentops_ref.testing import hash_stages

    look = observe or (lambda name: None)

    def progress(stage: str, done: int, total: int) -> None:
        if 2 * done >= total:  # half-way through a stage, or at its end
            look(stage)

    return sync(
        FolderSource(docs),
        LanceSink(index, observe=look),
        hash_stages(),
        DeletionConfig(listings=1, max_share=1.0),
        progress=progress,
    )


def _die_at(point: str, name: str) -> None:
    if name == point:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    plain_sync(sys.argv[1], sys.argv[2], observe=partial(_die_at, sys.argv[3]))
