"""The process that runs a query: tasks from standard input, drafts into a file.

A process of its own, because Daft keeps one runner for a process's whole life, holds results that
nobody has fetched yet in memory without a limit, and has libraries that a sync of one document
should not load. Here results are written to the file as they come, and whoever wants them reads it
at leisure.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentops_ref.etl.engines import wire
from agentops_ref.etl.engines.process import WorkerProcess

Runner = Literal["native", "ray"]
REACH_SECONDS = 10
"""For a machine to answer at all."""
_LOCAL = {"address": "local", "include_dashboard": False}


@dataclass(frozen=True, slots=True)
class Job:
    """A query, as it is pickled to the driver."""

    tasks: tuple[str, ...]
    """See `wire.task_line`."""
    parts: bytes
    listed: dict[str, Any]
    recipe: str
    """The last three are what a `Worker` is made with."""
    out: str
    """Path of the file that the lines go to."""
    runner: Runner
    address: str | None
    """Of a Ray cluster; None starts one on this machine."""
    workers: int | None
    """Worker processes; None is one a processor."""
    batch: int
    """Documents that a worker takes at a time."""
    deaths: int
    """Processes that a document may end before it is quarantined."""
    options: Mapping[str, Any]
    """For `ray.init`."""


def lines(job: Job, processors: int) -> Iterator[str]:
    """Yield one line per task as the workers write them, in the order of the tasks."""
    import daft
    from daft import DataType, Series
    from daft.daft import set_compute_runtime_num_worker_threads

    count = -(-len(job.tasks) // job.batch)
    at_once = min(job.workers or processors, count)
    on_ray = job.runner == "ray"
    if not on_ray:
        set_compute_runtime_num_worker_threads(at_once)

    # On Ray there are as many instances, each in an actor; here there is one, and as many threads
    # that call it. (With `max_concurrency` Daft would put them into processes here too, and wait
    # for ever for one that ends before it connects.)
    @daft.cls(use_process=False, max_concurrency=at_once if on_ray else None)
    class Drafter:
        def __init__(
            self,
            begun: Any,
            workers: int,
            parts: bytes,
            listed: dict[str, Any],
            recipe: str,
            deaths: int,
        ) -> None:
            self.begun, self.deaths = begun, deaths
            self.free: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
            for _ in range(workers):
                self.free.put(WorkerProcess(parts, listed, recipe, deaths))

        @daft.method.batch(return_dtype=DataType.string(), batch_size=job.batch)
        def draft(self, tasks: Series) -> list[str]:
            lines = tasks.to_pylist()
            if self.begun is not None and (reason := _too_often(self.begun, lines, self.deaths)):
                return [wire.failed_line(reason)] * len(lines)
            worker = self.free.get()
            try:
                return worker.draft(lines)
            finally:
                self.free.put(worker)

    given = job.parts, job.listed, job.recipe, job.deaths
    drafter: Any = Drafter(_begun() if on_ray else None, 1 if on_ray else at_once, *given)
    table = daft.from_pydict({"task": list(job.tasks)})
    if on_ray:
        table = table.into_partitions(count)  # a partition is what an actor is sent
    for row in table.select(drafter.draft(table["task"]).alias("line")).iter_rows():
        yield row["line"]


def _begun() -> Any:
    """Return an actor that counts how often a batch was begun.

    A document may end its own process and no more. But an actor also ends if Ray finds that memory
    runs short, or with its machine; then Daft has its batch done again, however often that was.
    """
    import ray

    class Begun:
        def __init__(self) -> None:
            self.times: Counter[str] = Counter()

        def add(self, batch: str) -> int:
            self.times[batch] += 1
            return self.times[batch]

    return ray.remote(num_cpus=0)(Begun).remote()


def _too_often(begun: Any, lines: Sequence[str], deaths: int) -> str:
    """Return why a batch is not begun once more; empty if it is."""
    import ray

    if ray.get(begun.add.remote(lines[0])) <= deaths:
        return ""
    names = ", ".join(wire.read_task(line)[1].document for line in lines)
    return (
        f"{deaths} of Ray's workers ended while they had these documents: {names}. Which of them "
        "it was, if any, cannot be told: Ray ends workers when memory runs short, and its log says "
        "so. Then set etl.engine.workers lower, so that each has more, or exclude a document"
    )


def _connect(job: Job) -> int:
    """Choose Daft's runner for this process; return how many processors it has."""
    import daft

    if job.runner == "native":
        daft.set_runner_native()
        return usable_processors()
    import ray

    # Without an address, Ray would take the one in RAY_ADDRESS.
    given = {"address": job.address} if job.address else _LOCAL
    if job.address:
        _reach(job.address)
    ray.init(**{"log_to_driver": False, **given, **job.options})
    daft.set_runner_ray()
    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]


def _reach(address: str) -> None:
    """Raise `OSError` if nobody listens there, which Ray takes far longer to find out."""
    host, _, port = address.rpartition(":")
    if port.isdigit():  # not "auto"
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main() -> None:
    """Read a pickled `Job`; write that it has begun, its lines, and why some are missing if so."""
    job: Job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(job.out, "w", encoding="ascii", buffering=1) as out:  # noqa: PTH123
        written = 0
        try:
            processors = _connect(job)
            out.write(f"{json.dumps({'begun': processors})}\n")
            for line in lines(job, processors):
                out.write(f"{line}\n")
                written += 1
            reason = f"{len(job.tasks) - written} drafts are missing"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if written < len(job.tasks):
            out.write(f"{wire.failed_line(reason)}\n")
    os._exit(0)  # what is left is to tear down workers and Ray's daemons, which end with this


def _end_with_parent() -> None:
    """Standard input is closed when the sync ends, in whatever way."""
    sys.stdin.buffer.read()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # the workers, and the daemons of a Ray that was started here
    os._exit(1)
