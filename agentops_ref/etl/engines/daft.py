"""Documents through Daft: in processes of this machine, or on a Ray cluster, with the same code."""

from __future__ import annotations

import importlib.util
import json
import math
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

from agentops_ref.errors import ConfigError, MissingExtra, OperatorError
from agentops_ref.etl.draft import Draft, Task, draft
from agentops_ref.etl.engines import wire
from agentops_ref.etl.engines.driver import Job, Runner
from agentops_ref.etl.engines.process import WorkerProcess, ending, is_dangerous
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
    deaths
        Worker processes that a document may end before it is quarantined.
    start_seconds
        In which the engine must have started, or have been reached.
    min_documents
        With fewer to do than this, the plain loop does them, and Daft is not even imported.
    options
        Passed to ``ray.init``.

    Raises
    ------
    ConfigError
        The address is one of Ray's client, which is not supported.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        runner: Runner = "native",
        address: str | None = None,
        workers: int | None = None,
        batch: int = 16,
        deaths: int = 3,
        start_seconds: float = 120,
        min_documents: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if address is not None and "://" in address:
            raise ConfigError(
                f"etl.engine.address: {address} is an address for Ray's client, which the engine "
                "does not use: give the cluster's own, HOST:6379, on a machine that its machines "
                "can reach, or run the sync on one of them with etl.engine.address=auto"
            )
        self.parts, self.runner, self.address = parts, runner, address
        self.workers, self.batch, self.min_documents = workers, batch, min_documents
        self.deaths, self.start_seconds = deaths, start_seconds
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
            The engine ended, or a cluster cannot be reached. What was parsed is in the cache.
        """
        if len(tasks) < self.min_documents or not tasks:
            yield from self._here(source, stages, tasks)
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
                self.deaths,
                self.options,
            )
            with (
                _started(job, place / "log") as process,
                closing(_lines(process, job, self.start_seconds)) as lines,
            ):
                yield from self._drafts(lines, stages, tasks)

    def _here(
        self, source: Source, stages: Stages, tasks: Sequence[Task]
    ) -> Generator[Draft, None, None]:
        """Draft in this process, but for documents that are known to end the one they are in."""
        for task in tasks:
            if not is_dangerous(task):
                yield draft(source, stages, task)
                continue
            given = pickle.dumps(self.parts), listed(source), stages.recipe, self.deaths
            with closing(WorkerProcess(*given)) as worker:
                lines = (json.loads(line) for line in worker.draft([wire.task_line(0, task)]))
                yield from self._drafts(lines, stages, [task])

    def _drafts(
        self, lines: Iterator[dict[str, Any]], stages: Stages, tasks: Sequence[Task]
    ) -> Generator[Draft, None, None]:
        """Yield drafts in the order of their tasks, whatever order the lines are in."""
        early: dict[int, Draft] = {}
        begun, done = False, 0
        for line in lines:
            if "begun" in line:
                begun = True
                continue
            if "failed" in line:
                reason = str(line["failed"])
                raise EngineFailed(
                    self._failed(reason, done, len(tasks)) if begun else self._unstarted(reason)
                )
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

    def _unstarted(self, reason: str) -> str:
        if self.runner == "native" or self.address is None:
            return f"the engine (daft, {self.runner}) could not be started: {reason}"
        return (
            f"the Ray cluster at {self.address} (etl.engine.address) cannot be used: {reason}. "
            "See that it runs there, that this machine may reach it, and that both have the same "
            "versions and token"
        )

    def _failed(self, reason: str, done: int, total: int) -> str:
        return (
            f"the engine (daft, {self.runner}) ended after {done} of {total} documents: {reason}. "
            "The index is as it was, and what was parsed is in the cache: sync again"
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


def _lines(
    process: subprocess.Popen[bytes], job: Job, start_seconds: float
) -> Generator[dict[str, Any], None, None]:
    """Yield what the driver writes, as it grows; if it ends too early, ``failed`` and why."""
    latest = time.monotonic() + start_seconds
    with open(job.out, encoding="ascii") as file:  # noqa: PTH123
        part = ""
        while True:
            ended = process.poll() is not None  # asked first: what it wrote is there by now
            part += file.readline()
            if part.endswith("\n"):
                yield json.loads(part)
                part, latest = "", math.inf
            elif time.monotonic() > latest:
                yield {"failed": f"no answer in {start_seconds:g} s (etl.engine.start_seconds)"}
                return
            elif ended:
                yield {"failed": _last_words(process, Path(job.out).with_name("log"))}
                return
            else:
                time.sleep(PAUSE)


def _last_words(process: subprocess.Popen[bytes], log: Path) -> str:
    return f"its driver ended ({ending(process.wait(), log.read_text('utf-8', 'replace'))})"
