"""Two processes that merge at once, and processes that are killed: each table is old or new."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from agentops_ref.etl.tables import DeltaTables

SYNC = """
import sys
from agentops_ref.etl.tables import DeltaTables
tables = DeltaTables(sys.argv[1], max_share=1.0)
print("ready", flush=True)
print(tables.sync(sys.argv[2]), flush=True)
"""
NAMES = ("one", "three", "two")
ROWS = 3000


def write(root: Path, mark: int) -> Path:
    """Every row of every table carries the mark; a marked table also has a column of its own."""
    root.mkdir(exist_ok=True)
    for name in NAMES:
        lines = [f"{i},{mark},{mark}\n" for i in range(mark, ROWS + mark)]
        (root / f"{name}.csv").write_text(f"id,mark,c{mark}\n{''.join(lines)}")
    return root


def run(delta: Path, root: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", SYNC, str(delta), str(root)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def marks(tables: DeltaTables, name: str) -> set[int]:
    rows = tables.query(f"SELECT DISTINCT mark FROM {name}")  # a fixed name
    ((count,),) = (row.values() for row in tables.query(f"SELECT count(*) AS n FROM {name}"))
    assert count == ROWS
    return {row["mark"] for row in rows}


def test_two_processes_merge_the_same_tables(tmp_path: Path) -> None:
    delta = tmp_path / "delta"
    tables = DeltaTables(delta, max_share=1.0)
    tables.sync(write(tmp_path / "start", 0))
    running = [run(delta, write(tmp_path / f"source{n}", n)) for n in (1, 2, 3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    for process in running:
        assert process.stdout
        process.stdout.close()
    for name in NAMES:
        assert len(marks(tables, name)) == 1
        assert marks(tables, name) <= {1, 2, 3}
        assert tables.version(name) == 3


def test_a_killed_sync_leaves_each_table_old_or_new(tmp_path: Path) -> None:
    delta, pick = tmp_path / "delta", random.Random(5)
    tables = DeltaTables(delta, max_share=1.0)
    tables.sync(write(tmp_path / "source", 0))
    killed = 0
    for mark in range(1, 13):
        before = {name: marks(tables, name) for name in NAMES}
        process = run(delta, write(tmp_path / "source", mark))
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(pick.uniform(0.0, 0.9))
        process.kill()
        killed += process.wait() != 0
        process.stdout.close()
        for name in NAMES:
            assert marks(tables, name) in ({mark}, before[name])
        if mark % 3 == 0:  # the next run finishes
            tables.sync(tmp_path / "source")
            assert all(marks(tables, name) == {mark} for name in NAMES)
    assert killed
