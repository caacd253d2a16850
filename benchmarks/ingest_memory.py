"""Peak memory of a first sync as the corpus grows: 1,000, 10,000 and 50,000 documents.

Each size in a process of its own; three chunks a document, vectors of 384 numbers that cost nothing
to make. The peak is the process's largest resident set, libraries included (some 0.3 GB).
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._report import write
from benchmarks.sync_churn import write_text

SIZES = (1_000, 10_000, 50_000)
REPEATS = 2


def peak(documents: int, answer: Any) -> None:
    """Put the peak resident set of one first sync, in MiB, and of the imports alone."""
    from agentops_ref.etl import FolderSource, LanceSink, sync
    from agentops_ref.settings import DeletionConfig
    from agentops_ref.testing import hash_stages

    rng = random.Random(documents)
    with tempfile.TemporaryDirectory() as place:
        docs = Path(place) / "docs"
        for n in range(documents):
            write_text(docs / f"{n % 200:03d}" / f"{n}.txt", rng)
        stages = hash_stages(
            dimensions=384, target_chars=100, max_chars=200, cache=Path(place) / "cache"
        )
        sink = LanceSink(Path(place) / "index")
        sink.snapshot()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        report = sync(FolderSource(docs), sink, stages, DeletionConfig(listings=1, max_share=0.3))
        assert len(report.created) == documents
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer.put((before, after, sink.count(), report.seconds))


def main() -> None:
    context = multiprocessing.get_context("spawn")
    found: dict[int, list[tuple[float, float, int, float]]] = {size: [] for size in SIZES}
    for _ in range(REPEATS):
        for size in SIZES:
            answer = context.SimpleQueue()
            child = context.Process(target=peak, args=(size, answer))
            child.start()
            child.join()
            if child.exitcode:
                raise SystemExit(child.exitcode)
            found[size].append(answer.get())
            before, after, chunks, took = found[size][-1]
            print(f"{size:,} documents, {chunks:,} chunks: {before:.0f} → {after:.0f} MiB", end="")
            print(f" in {took:.0f} s", flush=True)
    small = [after for _, after, _, _ in found[SIZES[0]]]
    for size in SIZES[1:]:
        write(
            f"ingest_memory_{size}",
            f"{SIZES[0]:,} documents",
            [after for _, after, _, _ in found[size]],
            small,
            what=f"peak memory of a first sync of {size:,} documents",
            unit="MiB",
            peak_before_mib=round(found[size][0][0]),
        )


if __name__ == "__main__":
    main()
