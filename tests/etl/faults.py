"""``make faults``: kill syncs at every write point and at random instants, and print what remains.

The same functions as in `test_crash`. Ends with 1 on any mixture or loss. Writes the table to
a file as well.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests.etl.databricks import VectorSearchServer
from tests.etl.postgres import postgres_server
from tests.etl.test_crash import (
    LANDED,
    WRITE_POINTS,
    fork_server,
    killed_at,
    killed_at_instants,
    points,
)


def main() -> int:
    """Run the matrix; 0 when every row holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instants", type=int, default=200, help="random kills for each sink")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("_build/bench/faults.json"))
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        server = stack.enter_context(fork_server())
        address = stack.enter_context(postgres_server())
        service = stack.enter_context(closing(VectorSearchServer()))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def place(kind: str, name: str) -> str:
            return {
                "lancedb": str(folder / f"{kind}-{name}" / "index"),
                "postgres": f"{address}/postgres?schema=faults_{name}",
                "databricks": service.address(f"faults_{name}"),
            }[kind]

        for kind in WRITE_POINTS:
            for number, (at, first) in enumerate(points(kind)):
                root, where = folder / f"{kind}-{number}", place(kind, str(number))
                row = {"sink": kind, "killed at": at, "sync": "first" if first else "later"}
                try:
                    killed_at(server, root, where, at, first)
                    row |= {"reader saw": "new" if at in LANDED else "old", "holds": True}
                except AssertionError as error:
                    row |= {"reader saw": f"MIXED OR LOST: {error}", "holds": False}
                rows.append(row)
                _print(row)
            root, where = folder / f"{kind}-instants", place(kind, "instants")
            rows.append(_instants(server, root, kind, where, asked.instants, asked.seed))
            _print(rows[-1])
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(f"{json.dumps(rows, indent=1)}\n", encoding="utf-8")
    broken = sum(not row["holds"] for row in rows)
    print(f"{len(rows)} rows, {broken} broken; also in {asked.out}")
    return int(broken > 0)


def _instants(
    server: Any, root: Path, kind: str, place: str, count: int, seed: int
) -> dict[str, Any]:
    rng = random.Random(seed)
    started = time.perf_counter()
    row: dict[str, Any] = {"sink": kind, "killed at": f"{count} random instants", "sync": "any"}
    try:
        shares = [rng.uniform(0.1, 3) for _ in range(count)]
        reached = killed_at_instants(server, root, place, shares)
        row |= {"reader saw": f"whole versions, up to {reached}", "holds": True}
    except AssertionError as error:
        row |= {"reader saw": f"MIXED OR LOST: {error}", "holds": False}
    return row | {"seconds": round(time.perf_counter() - started, 1)}


def _print(row: dict[str, Any]) -> None:
    what = str(row["reader saw"]).splitlines()[0][:30]
    ends = "equal to a rebuild" if row["holds"] else "BROKEN"
    print(f"{row['sink']:11}{row['killed at']:21}{row['sync']:7}{what:27}{ends}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
