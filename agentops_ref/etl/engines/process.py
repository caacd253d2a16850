"""A worker in a process of its own, so that a document that ends that process ends nothing else."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentops_ref.errors import OperatorError
from agentops_ref.etl.draft import Task, given_up
from agentops_ref.etl.engines import wire
from agentops_ref.etl.engines.worker import Worker

PROGRAM = "from agentops_ref.etl.engines.process import main; main()"
READY = "ready"
ENDED = "it ended the process that worked on it"
"""Stands in the reason of a document that was given up; see `is_dangerous`."""


def is_dangerous(task: Task) -> bool:
    """Whether a document is known to end processes, so that no other should go near it."""
    return task.old is not None and ENDED in task.old.error


class WorkerProcess:
    """Hands tasks to a `Worker` in another process, and starts that again if it ends.

    One by one, so that it is known at which document it ended.

    Parameters
    ----------
    parts, listed, recipe
        What a `Worker` is made with.
    deaths
        Processes that a document may end before it is quarantined.
    """

    def __init__(self, parts: bytes, listed: dict[str, Any], recipe: str, deaths: int) -> None:
        self._given = pickle.dumps((parts, listed, recipe))
        self._recipe, self._deaths = recipe, deaths
        self._process: _Process | None = None
        self._broken = ""

    def draft(self, lines: Sequence[str]) -> list[str]:
        """Return a line for each task; never raises, as `Worker.draft`.

        A process that ends before its first task is no document's fault and stops the run.
        """
        return [self._line(line) for line in lines]

    def close(self) -> None:
        """End the process; whatever it made has been returned or is in the cache."""
        self._end()

    def _line(self, line: str) -> str:
        number, task = wire.read_task(line)
        how = ""
        for _ in range(self._deaths):
            process = self._ready()
            if process is None:
                return wire.error_line(number, OperatorError(self._broken))
            if made := process.ask(f"{line}\n".encode("ascii")):
                return made
            how = self._end()
        return wire.draft_line(number, given_up(task, self._recipe, self._reason(task, how)))

    def _ready(self) -> _Process | None:
        """Return the process, a new one if it ended; None if none can be had, as `_broken` says."""
        if self._process is not None and self._process.ended:
            self._end()  # between two documents, so that it is the fault of neither
        if self._process is None and not self._broken:
            try:
                self._process = _Process()
            except OSError as error:
                self._broken = f"a worker's process cannot be started: {error}"
                return None
            if self._process.ask(self._given) != READY:
                self._broken = f"a worker's process ended before it could begin ({self._end()})"
        return self._process

    def _end(self) -> str:
        """End the process, if there is one, and return how it ended."""
        process, self._process = self._process, None
        return process.end() if process is not None else ""

    def _reason(self, task: Task, how: str) -> str:
        times = "once" if self._deaths == 1 else f"{self._deaths} times"
        return (
            f"{task.document}: {ENDED}, {times} ({how}). It needs more memory than there is, or "
            "meets a fault in native code. It is tried again when it changes; until then mend it, "
            "exclude it, or give each worker more memory with fewer etl.engine.workers"
        )


class _Process:
    """A process that runs `main`."""

    def __init__(self) -> None:
        # Its position is common to both processes, so that a buffer here would be in the way.
        self._words = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed by `end`)
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, "PYTHONPATH": path},
        )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, what: bytes) -> str:
        """Return the line that answers; empty if the process ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._words.seek(0)
        self._words.truncate()  # what was said of another document is no longer of interest
        with suppress(BrokenPipeError):  # then there is nothing to read either
            self._process.stdin.write(what)
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        return line.decode("ascii").rstrip("\n") if line.endswith(b"\n") else ""

    def end(self) -> str:
        """See that it is over, and return how it ended and its last words."""
        with self._process as process:  # closes its pipes
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        with self._words as file:
            file.seek(0)
            return ending(process.wait(), file.read().decode("utf-8", "replace"))


def ending(code: int, said: str) -> str:
    """Return how a process ended and the last line that it said.

    A negative exit code is a signal's. A line past 300 characters is cut.
    """
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    lines = [line for line in said.splitlines() if line.strip()]
    return f"{how}: {lines[-1].strip()[:300]}" if lines else how


def main() -> None:
    """Read what a `Worker` is made with and then tasks; write a line for each."""
    with os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1) as out:
        os.dup2(2, 1)  # libraries that print are not to be taken for an answer
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sync
        with suppress(OSError):  # Linux: if memory runs out, this process is the one to go
            Path("/proc/self/oom_score_adj").write_text("1000")
        worker = Worker(*pickle.load(sys.stdin.buffer))
        worker.set_up()
        print(READY, file=out)
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=[lines], daemon=True).start()
        while True:
            print(*worker.draft([lines.get()]), file=out)


def _read(lines: queue.SimpleQueue[str]) -> None:
    """Read tasks, to notice at once, also amidst a document, that whoever wants them has ended."""
    for line in sys.stdin.buffer:
        lines.put(line.decode("ascii"))
    os._exit(0)
