"""A sync in which nothing changed, against a bare walk with ``os.scandir`` and ``stat``.

The walk is the least that any sync must do to know that nothing changed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from agentops_ref.etl.sinks.lance import LanceSink
from agentops_ref.etl.sources import FolderSource
from agentops_ref.etl.sync import sync
from agentops_ref.settings import DeletionConfig
from agentops_ref.testing import hash_stages
from benchmarks._report import seconds, write

FILES = 20_000
REPEATS = 15


def walk(folder: str) -> int:
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                count += walk(entry.path)
            else:
                entry.stat()
                count += 1
    return count


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "docs"
        for index in range(FILES):
            file = root / f"{index % 200:03d}" / f"{index}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"Note {index}: the flare nut takes {index % 90} Nm.\n")
        stages = hash_stages(dimensions=32)
        sink, source = LanceSink(Path(place) / "index"), FolderSource(root)
        deletion = DeletionConfig(listings=1, max_share=0.3)

        def once() -> None:
            report = sync(source, sink, stages, deletion)
            assert report.unchanged == FILES

        first = sync(source, sink, stages, deletion)
        assert len(first.created) == FILES
        once()
        ours, theirs = [], []
        for _ in range(REPEATS):
            theirs.append(seconds(lambda: walk(str(root))))
            ours.append(seconds(once))
    write(
        "sync_unchanged",
        "a bare scandir and stat walk",
        ours,
        theirs,
        what=f"nothing changed in {FILES:,} files",
        target=3,
    )


if __name__ == "__main__":
    main()
