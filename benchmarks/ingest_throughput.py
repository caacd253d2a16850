"""A full ingest of the running case, parsed before and embedded now, against the bare embedder.

Ours reads 168 files of nine formats, finds their elements in the cache, chunks, embeds with
all-MiniLM, writes the cache of vectors, commits to LanceDB and builds the full-text index. Theirs
is the same model, loaded once for both, that gets the same texts in one call: what it alone takes
is what no ingest can do without.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from agentops_ref import build, load_config
from agentops_ref.etl import LanceSink, sync
from agentops_ref.etl.sinks.base import searchable
from agentops_ref.etl.stages import default_stages
from agentops_ref.models import MiniLmEmbeddings
from benchmarks._report import seconds, write

REPEATS = 7
TARGET = 1 / 0.9
"""Of the time, for 0.9 of the throughput."""


class Took(NamedTuple):
    """Seconds of one run."""

    wall: float
    processor: float
    """Of all cores together; what other programs do hardly shows in it."""


def main() -> None:
    app = build(load_config())
    embedding = app.config.models.embedding
    weights = app.config.weights / embedding.name
    if not weights.is_dir():
        print(f"ingest_throughput is left out: no weights in {weights}; run: agentops models pull")
        return
    model = MiniLmEmbeddings(
        weights, threads=app.config.models.chat.threads, digest=embedding.digest
    )
    with tempfile.TemporaryDirectory() as place:
        cache = Path(place) / "cache"
        stages = default_stages(
            ocr=app.ocr,
            ocr_recipe=app.ocr.recipe,
            embeddings=model,
            embedding_recipe=embedding.name,
            chunk=app.config.etl.chunk,
            cache=cache,
        )
        ours: list[Took] = []
        theirs: list[Took] = []
        runs = 0

        def once() -> None:
            sink = LanceSink(Path(place) / f"index-{runs}")
            report = sync(app.source, sink, stages, app.config.etl.deletion)
            assert report.created
            assert not report.quarantined
            assert not runs or (report.work["parse"], report.work["embed"]) == (0, len(texts))

        texts: list[str] = []
        once()  # parses, and loads the model
        chunks = [chunk for _, chunk, _ in LanceSink(Path(place) / "index-0").stored()]
        texts = sorted({searchable(chunk) for chunk in chunks}, key=len)
        for runs in range(1, REPEATS + 1):
            for file in cache.glob("vectors.sqlite*"):
                file.unlink()
            pair = [
                (ours, once),
                (theirs, lambda: model.embed_documents(texts)),
            ]
            for took, call in pair if runs % 2 else reversed(pair):
                before = time.process_time()
                wall = seconds(call)
                took.append(Took(wall, time.process_time() - before))
    write(
        "ingest_throughput",
        "the bare embedder",
        [took.wall for took in ours],
        [took.wall for took in theirs],
        what=f"full ingest of {len(chunks):,} chunks, parsed before",
        target=TARGET,
        processor_seconds_ours=round(median(took.processor for took in ours), 3),
        processor_seconds_theirs=round(median(took.processor for took in theirs), 3),
        texts_per_second_ours=round(len(texts) / median(took.wall for took in ours), 1),
        texts_per_second_theirs=round(len(texts) / median(took.wall for took in theirs), 1),
    )


if __name__ == "__main__":
    main()
