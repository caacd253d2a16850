"""One corpus, one sync, one engine; what `engines` measures, in a process of its own."""

from __future__ import annotations

import os
import pickle
import random
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from agentops_ref.apps.engines import index_digest
from agentops_ref.etl import FolderSource, LanceSink, Stages, sync
from agentops_ref.etl.draft import Draft, Task
from agentops_ref.etl.engines import DaftEngine, LocalEngine, wire
from agentops_ref.etl.engines.worker import Worker
from agentops_ref.etl.sources import Source
from agentops_ref.settings import DeletionConfig
from agentops_ref.testing import hash_stages

WAYS = ("plain loop", "process pool", "Daft native", "Daft on Ray")
SENTENCES = (
    "Tighten the flare nut of the {} to {} Nm and check the joint for oil.",
    "If the fan of the {} stops, the display shows fault E{} until the filter is clean.",
    "Before the {} is opened, switch off the supply and wait for {} minutes.",
    "The pump of the {} runs for {} seconds after each defrost, so that no water is left.",
    "Write the pressure of the {} into the service log when it has run for {} minutes.",
)
"""Natural ones: the language of a text is told from them, and random words take that far longer."""


def write_corpus(folder: Path, kind: str, documents: int) -> None:
    """Write ``text`` (six paragraphs) or ``pdf`` (twice as many on two pages, and a table)."""
    rng = random.Random(documents)
    for n in range(documents):
        place = folder / f"{n % 100:02d}"
        place.mkdir(parents=True, exist_ok=True)
        if kind == "text":
            body = "\n\n".join(" ".join(_sentences(rng, 4)) for _ in range(6))
            (place / f"{n}.txt").write_text(body, encoding="utf-8")
        else:
            _write_pdf(place / f"{n}.pdf", rng)


def _write_pdf(file: Path, rng: random.Random) -> None:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

    body, head = (getSampleStyleSheet()[name] for name in ("BodyText", "Heading1"))
    rows = [["Code", "Meaning"], *([f"E{n}", _sentences(rng, 1)[0]] for n in range(10, 18))]
    page = [[Paragraph(" ".join(_sentences(rng, 4)), body) for _ in range(6)] for _ in range(2)]
    grid = Table(rows, style=[("GRID", (0, 0), (-1, -1), 0.5, "black")])
    story = [Paragraph(file.stem, head), *page[0], PageBreak(), *page[1], grid]
    SimpleDocTemplate(str(file), invariant=True).build(story)


def _sentences(rng: random.Random, n: int) -> list[str]:
    made = rng.choices(SENTENCES, k=n)
    return [s.format(f"NL-{rng.randrange(4, 17)}", rng.randrange(2, 90)) for s in made]


def parts(folder: str, cache: str) -> tuple[Source, Stages]:
    """Return what each worker works with; vectors cost nothing."""
    return FolderSource(folder), hash_stages(cache=cache)


_worker: Worker | None = None


def _begin(*given: Any) -> None:
    global _worker
    _worker = Worker(*given)


def _lines(tasks: list[str]) -> list[str]:
    assert _worker is not None
    return _worker.draft(tasks)


class PoolEngine:
    """The standard library's process pool: what a machine can do without Daft."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def draft(
        self, source: Source, stages: Stages, tasks: Sequence[Task]
    ) -> Generator[Draft, None, None]:
        import json
        import multiprocessing

        lines = [wire.task_line(number, task) for number, task in enumerate(tasks)]
        batches = [lines[start : start + 16] for start in range(0, len(lines), 16)]
        with ProcessPoolExecutor(
            len(os.sched_getaffinity(0)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(pickle.dumps(self.made), {}, stages.recipe),
        ) as pool:
            for done in pool.map(_lines, batches):
                for line in done:
                    made = wire.read_draft(json.loads(line)["draft"])
                    stages.work.update(made.work)
                    yield made


def one(way: str, folder: str, state: str, answer: Any) -> None:
    """Put (seconds, peak MiB of the process and all below it, digest of the index)."""
    made = partial(parts, folder, f"{state}/cache")
    engines: dict[str, Any] = {
        "plain loop": LocalEngine,
        "process pool": lambda: PoolEngine(made),
        "Daft native": lambda: DaftEngine(made),
        "Daft on Ray": lambda: DaftEngine(made, runner="ray"),
    }
    source, stages = made()
    sink = LanceSink(Path(state) / "index")
    sink.snapshot()
    peak = _Peak()
    with peak:
        started = time.perf_counter()
        report = sync(
            source,
            sink,
            stages,
            DeletionConfig(listings=1, max_share=0.3),
            engine=engines[way](),
        )
        took = time.perf_counter() - started
    assert not report.quarantined
    answer.put((took, peak.mib, index_digest(sink), len(report.created)))


class _Peak:
    """Samples the memory of this process and its descendants; shared pages count once."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.5):
            self.mib = max(self.mib, sum(map(_pss, descendants(os.getpid()))) / 1024)


def descendants(root: int) -> list[int]:
    """Return a process and all below it."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        below.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found = [root]
    for one_of in found:
        found += below.get(one_of, [])
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
