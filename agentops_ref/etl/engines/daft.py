"""Documents through Daft: in processes of this machine, or on a Ray cluster, with the same code."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

from agentops_ref.errors import MissingExtra, OperatorError
from agentops_ref.etl.draft import Draft, Task
from agentops_ref.etl.engines import wire
from agentops_ref.etl.engines.base import LocalEngine
from agentops_ref.etl.engines.driver import Job, Runner
from agentops_ref.etl.engines.worker import Parts
from agentops_ref.etl.sources import Source
from agentops_ref.etl.sources.base import listed
from agentops_ref.etl.stages import Stages

DRIVER = "from agentops_ref.etl.engines.driver import main; main()"
PAUSE = 0.02
"""Seconds between two looks at a file that has not grown."""


class EngineFailed(OperatorError):
    """The engine or one of its workers came to an end; nothing of the run is used."""


class DaftEngine:
    """Worker processes that Daft feeds, of this machine or of a Ray cluster.

    Parameters
    ----------
    parts
        Makes a worker's source and stages; must be picklable, and work on every machine.
    runner
        ``native`` or ``ray``.
    address
        Of the Ray cluster; None starts one on this machine for each run.
    workers
        Processes; None is one for each processor of the machine or cluster.
    batch
        Documents that a worker takes at a time.
    min_documents
        With fewer to do than this, the plain loop does them, and Daft is not even imported.
    options
        Passed to ``ray.init``.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        runner: Runner = "native",
        address: str | None = None,
        workers: int | None = None,
        batch: int = 16,
        min_documents: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.parts, self.runner, self.address = parts, runner, address
        self.workers, self.batch, self.min_documents = workers, batch, min_documents
        self.options = dict(options or {})

    def draft(
        self, source: Source, stages: Stages, tasks: Sequence[Task]
    ) -> Generator[Draft, None, None]:
        """Yield the drafts; see `Engine.draft`.

        Raises
        ------
        MissingExtra
            Daft or Ray is not installed.
        EngineFailed
            A worker was killed, a cluster cannot be reached. What was parsed is in the cache.
        """
        if len(tasks) < self.min_documents or not tasks:
            yield from LocalEngine().draft(source, stages, tasks)
            return
        for library in ("daft", "ray")[: 1 + (self.runner == "ray")]:
            if importlib.util.find_spec(library) is None:
                raise MissingExtra(library, "engine")
        with tempfile.TemporaryDirectory(prefix="agentops-engine-") as folder:
            place = Path(folder)
            job = Job(
                tuple(wire.task_line(number, task) for number, task in enumerate(tasks)),
                pickle.dumps(self.parts),
                listed(source),
                stages.recipe,
                str(place / "drafts"),
                self.runner,
                self.address,
                self.workers,
                self.batch,
                self.options,
            )
            with _started(job, place / "log") as process, closing(_lines(process, job)) as lines:
                yield from self._drafts(lines, stages, tasks)

    def _drafts(
        self, lines: Iterator[dict[str, Any]], stages: Stages, tasks: Sequence[Task]
    ) -> Generator[Draft, None, None]:
        """Yield drafts in the order of their tasks, whatever order the lines are in."""
        early: dict[int, Draft] = {}
        done = 0
        for line in lines:
            if "failed" in line:
                raise EngineFailed(self._failure(line["failed"], done, tasks))
            if "error" in line:
                raise wire.read_error(line["error"])
            early[line["number"]] = wire.read_draft(line["draft"])
            while done in early:
                made = early.pop(done)
                done += 1
                stages.work.update(made.work)
                yield made
            if done == len(tasks):
                return  # nobody waits for the workers' end

    def _failure(self, reason: str, done: int, tasks: Sequence[Task]) -> str:
        after = tasks[done].document if done < len(tasks) else "the last document"
        return (
            f"the engine (daft, {self.runner}) ended after {done} of {len(tasks)} documents, at "
            f"{after} or one of the next: {reason}. The index is as it was, and what was parsed is "
            "in the cache: sync again. If it ends there again, that document is too much for a "
            "worker: exclude it, or set etl.engine.workers lower so that each has more memory"
        )


@contextmanager
def _started(job: Job, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the driver, and end it with all that it started."""
    # Workers find modules where this process finds them.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "DAFT_PROGRESS_BAR": "0"}
    Path(job.out).touch()
    with log.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the sync, which ends the driver
        )
    try:
        _send(process, job)
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        _stdin(process).close()


def _send(process: subprocess.Popen[bytes], job: Job) -> None:
    try:
        pickle.dump(job, _stdin(process))
        _stdin(process).flush()
    except BrokenPipeError:
        pass  # it ended already; its log says why


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _lines(process: subprocess.Popen[bytes], job: Job) -> Generator[dict[str, Any], None, None]:
    """Yield what the driver writes, as it grows; if it ends too early, ``failed`` and why."""
    with open(job.out, encoding="ascii") as file:  # noqa: PTH123
        begun = ""
        while True:
            ended = process.poll() is not None  # asked first: what it wrote is there by now
            begun += file.readline()
            if begun.endswith("\n"):
                yield json.loads(begun)
                begun = ""
            elif ended:
                yield {"failed": _last_words(process, Path(job.out).with_name("log"))}
                return
            else:
                time.sleep(PAUSE)


def _last_words(process: subprocess.Popen[bytes], log: Path) -> str:
    code = process.wait()
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    said = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return f"its driver ended ({how}){': ' + said[-1].strip() if said else ''}"
