"""A first sync through the plain loop, a process pool, Daft on this machine and Daft on Ray.

Plain texts, 1,000 and 10,000 of them, which take the parser nearly nothing, and 200 PDF files of
two pages with a table, which take it a good part of a second each. All ways have the same parsers,
chunker, store and vectors (which cost nothing), and each index is compared with the plain loop's,
byte for byte. A sync's time has all in it that its engine needs: starting processes, importing the
parsers in each, and starting Ray on this machine. Memory is that of the process and all below it,
shared pages counted once.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path

from benchmarks._engines import WAYS, one, write_corpus
from benchmarks._report import write

WORK = (("text", 1_000, 3), ("text", 10_000, 2), ("pdf", 200, 2))
"""(kind, documents, repeats)"""


def main() -> None:
    context = multiprocessing.get_context("spawn")
    for kind, documents, repeats in WORK:
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        peak: dict[str, list[float]] = {way: [] for way in WAYS}
        digests = set()
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "docs"
            write_corpus(folder, kind, documents)
            for repeat in range(repeats):
                for way in WAYS if repeat % 2 == 0 else reversed(WAYS):
                    answer = context.SimpleQueue()
                    state = tempfile.mkdtemp(dir=place)
                    child = context.Process(target=one, args=(way, str(folder), state, answer))
                    child.start()
                    child.join()
                    if child.exitcode:
                        raise SystemExit(child.exitcode)
                    seconds, mib, digest, created = answer.get()
                    assert created == documents
                    took[way].append(seconds)
                    peak[way].append(mib)
                    digests.add(digest)
                    print(
                        f"{kind} {documents:,}, {way}: {seconds:.1f} s, {mib:.0f} MiB", flush=True
                    )
        assert len(digests) == 1, "the indexes differ"
        load = round(os.getloadavg()[1], 1)
        for way in WAYS[1:]:
            name = f"engines_{kind}_{documents}_{way.lower().replace(' ', '_')}"
            what = f"{way}: first sync of {documents:,} {kind} documents"
            more = {"indexes_equal": True, "load_average": load}
            write(name, WAYS[0], took[way], took[WAYS[0]], what=what, **more)
            write(
                f"{name}_memory", WAYS[0], peak[way], peak[WAYS[0]], what=what, unit="MiB", **more
            )


if __name__ == "__main__":
    main()
