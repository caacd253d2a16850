"""1 % changed rows of 100,000 brought into a Delta table, against the plain alternatives.

Each starts from the same Parquet file and ends with a table that is equal to it. The peers write
the table anew: `overwrite` whatever changed, `pandas` after a comparison. What they save is
seconds; what they lose is which rows changed: `rows_fed_ours` and `rows_fed_theirs` count the rows
that a reader of the change feed has to look at.
"""

from __future__ import annotations

import random
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from agentops_ref.etl.tables import DeltaTables
from agentops_ref.etl.tabular.sources import Found, TableSource
from benchmarks._report import seconds, write

ROWS = 100_000
CHANGED = ROWS // 100
REPEATS = 15
FEED = {"delta.enableChangeDataFeed": "true"}


def first() -> dict[str, tuple[int, float, str]]:
    return {f"P-{n:06d}": (n % 97, n / 4, f"part {n} of line {n % 13}") for n in range(ROWS)}


def change(rows: dict[str, tuple[int, float, str]], round_: int, pick: random.Random) -> None:
    """A third each is added, edited and deleted."""
    keys = pick.sample(sorted(rows), 2 * CHANGED // 3)
    for key in keys[: CHANGED // 3]:
        del rows[key]
    for key in keys[CHANGED // 3 :]:
        stock, price, text = rows[key]
        rows[key] = (stock + 1, price, text)
    for n in range(CHANGED - len(keys)):
        rows[f"N-{round_:03d}-{n:06d}"] = (n, 1.5, "new")


def save(rows: dict[str, tuple[int, float, str]], path: Path) -> None:
    stock, price, text = zip(*rows.values(), strict=True)
    columns = {"part": list(rows), "stock": stock, "price": price, "text": text}
    pq.write_table(pa.table(columns), path)


def overwrite(path: Path, place: Path) -> None:
    write_deltalake(str(place), pq.read_table(path), mode="overwrite", configuration=FEED)


def compare(path: Path, place: Path) -> None:
    new = pd.read_parquet(path).set_index("part").sort_index()
    old = DeltaTable(str(place)).to_pandas().set_index("part").sort_index()
    if not new.equals(old):
        table = pa.Table.from_pandas(new.reset_index(), preserve_index=False)
        write_deltalake(str(place), table, mode="overwrite", configuration=FEED)


def same(place: Path, path: Path) -> bool:
    held = pa.table(DeltaTable(str(place)).scan()).select(["part", "stock", "price", "text"])
    wanted = pq.read_table(path).sort_by("part")
    return bool(held.cast(wanted.schema).sort_by("part").equals(wanted))


def fed(place: Path) -> int:
    """Rows of the newest version's change feed, before and after images both counted."""
    table = DeltaTable(str(place))
    return int(pa.table(table.load_cdf(table.version())).num_rows)


def main() -> None:
    peers: dict[str, Any] = {"overwrite": overwrite, "pandas": compare}
    with tempfile.TemporaryDirectory() as folder:
        root, rows, pick = Path(folder), first(), random.Random(7)
        file = root / "parts.parquet"
        save(rows, file)
        tables = DeltaTables(root / "ours")
        found = Found((TableSource("parts", str(file), ("part",)),), {})

        def ours() -> None:
            tables.sync_sources(found).require()

        ours()
        for name, run in peers.items():
            overwrite(file, root / name)
            run(file, root / name)
        times: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
        equal: dict[str, int] = dict.fromkeys(times, 0)
        for number in range(REPEATS + 1):
            change(rows, number, pick)
            save(rows, file)
            taken = {name: seconds(partial(run, file, root / name)) for name, run in peers.items()}
            taken["ours"] = seconds(ours)
            if number == 0:  # a first round warms the libraries up
                continue
            for name, value in taken.items():
                times[name].append(value)
                equal[name] += same(
                    root / "ours" / "parts" if name == "ours" else root / name, file
                )
        again = seconds(ours)
        for name in peers:
            write(
                f"tables_merge_{name}",
                {"overwrite": "deltalake's overwrite", "pandas": "pandas, then overwrite"}[name],
                times["ours"],
                times[name],
                what=f"{CHANGED:,} of {ROWS:,} rows added, edited, deleted",
                equal_to_source_ours=equal["ours"] == REPEATS,
                equal_to_source_theirs=equal[name] == REPEATS,
                rows_fed_ours=fed(root / "ours" / "parts"),
                rows_fed_theirs=fed(root / name),
                seconds_unchanged_ours=round(again, 4),
            )


if __name__ == "__main__":
    main()
