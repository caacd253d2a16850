"""Random histories of rows and columns, for each kind of source, against a pure model."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentops_ref.etl.tables import DeltaTables
from agentops_ref.etl.tabular.kinds import Kind, text_of, wider
from agentops_ref.etl.tabular.sources import Found, TableSource

VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "int": st.integers(-9, 9),
    "float": st.sampled_from([0.5, -1.25, 3.75]),
    "string": st.sampled_from(["a", "it's", 'q"x', "é, ü"]),
}
COLUMNS = ("a", "b b", 'c"c')


@st.composite
def states(draw: st.DrawFn) -> tuple[dict[str, Kind], list[dict[str, Any]]]:
    """One state of a source: column → kind, and rows by a key of two columns."""
    names = draw(st.lists(st.sampled_from(COLUMNS), unique=True, max_size=3))
    kinds: dict[str, Kind] = {n: draw(st.sampled_from(sorted(VALUES))) for n in names}
    keys = draw(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("pq")), unique=True))
    rows = [
        {"k": k, "l": m} | {n: draw(st.none() | VALUES[kind]) for n, kind in kinds.items()}
        for k, m in keys
    ]
    return kinds, rows


def put(where: Path, form: str, kinds: dict[str, Kind], rows: list[dict[str, Any]]) -> TableSource:
    """Write a state as a file or a database."""
    names = ["k", "l", *kinds]
    cells = [[row[name] for name in names] for row in rows]
    path = where / f"t.{form}"
    if form == "csv":
        quote = lambda v: '"' + (text_of(v) or "").replace('"', '""') + '"'  # noqa: E731
        lines = [names, *cells]
        path.write_text("".join(",".join(map(quote, line)) + "\n" for line in lines))
    elif form == "xlsx":
        book = openpyxl.Workbook()
        for line in [names, *cells]:
            book.active.append(line)
        book.save(path)
    elif form == "parquet":
        types = {"int": pa.int32(), "float": pa.float32(), "string": pa.large_string()}
        columns = {
            n: pa.array([row[n] for row in rows], types[kinds.get(n, "string")]) for n in names
        }
        pq.write_table(pa.table(columns), path)
    else:
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            types = {"int": "INTEGER", "float": "REAL", "string": "TEXT"}
            quoted = [
                '"' + n.replace('"', '""') + '" ' + types[kinds.get(n, "string")] for n in names
            ]
            connection.execute(f"CREATE TABLE t ({', '.join(quoted)})")
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", cells)
        connection.close()
        return TableSource("t", f"sqlite:///{path}", ("k", "l"), table="t")
    return TableSource("t", str(path), ("k", "l"))


Model = dict[tuple[str, str], dict[str, Any]]


class Table:
    """What the table shall be: columns that vanish are kept, types widen and never narrow."""

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}
        self.rows: Model = {}
        self.there = False

    def take(self, kinds: dict[str, Kind], rows: list[dict[str, Any]]) -> bool:
        """Bring the model to a state; tell whether anything changed."""
        before = (dict(self.kinds), {k: dict(r) for k, r in self.rows.items()}, self.there)
        for name, kind in kinds.items():
            told = any(row[name] is not None for row in rows)
            if name not in self.kinds:
                self.kinds[name] = kind if told else "string"
            elif told:
                self.kinds[name] = wider(self.kinds[name], kind)
        new: Model = {}
        for row in rows:
            key = (row["k"], row["l"])
            old = self.rows.get(key, {})
            new[key] = {n: row[n] if n in row else old.get(n) for n in self.kinds}
        self.rows = {
            key: {n: as_kind(v, self.kinds[n]) for n, v in row.items()} for key, row in new.items()
        }
        self.there = True
        widened = {
            key: {n: as_kind(v, self.kinds[n]) for n, v in row.items()}
            for key, row in before[1].items()
        }
        filled = {k: dict.fromkeys(self.kinds) | row for k, row in widened.items()}
        return (before[0], filled, before[2]) != (self.kinds, self.rows, True)


def as_kind(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    return text_of(value) if kind == "string" else float(value) if kind == "float" else value


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet", "db"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=st.lists(states(), min_size=1, max_size=5))
def test_random_histories(
    form: str, history: list[tuple[dict[str, Kind], list[dict[str, Any]]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tables, model = DeltaTables(place / "delta", max_share=1.0), Table()
        seen: list[Model] = []
        for kinds, rows in history:
            # A column of a database or Parquet file has its declared type even without values.
            source = put(place, form, kinds, rows)
            was = tables.version("t") if seen else -1
            changed = model.take(kinds, rows) if form != "parquet" else declared(model, kinds, rows)
            report = tables.sync_sources(Found((source,), {})).require()
            assert contents(tables) == model.rows
            now = tables.version("t")
            assert (now > was) == changed
            assert bool(report.counts["t"]) == changed
            assert now - was <= 1
            feed = replayed(seen[-1] if seen else {}, tables, was, model)
            assert feed == model.rows
            seen.append({key: dict(row) for key, row in model.rows.items()})


def declared(model: Table, kinds: dict[str, Kind], rows: list[dict[str, Any]]) -> bool:
    """The same for a Parquet file, whose columns have a type even where they have no values."""
    before = dict(model.kinds)
    for name, kind in kinds.items():
        model.kinds[name] = wider(model.kinds.get(name, kind), kind)
    grown = model.kinds != before
    return model.take(kinds, rows) or grown


def contents(tables: DeltaTables) -> Model:
    rows = tables.query("SELECT * FROM t")
    assert not rows.truncated
    return {(row.pop("k"), row.pop("l")): row for row in rows}


def replayed(rows: Model, tables: DeltaTables, since: int, model: Table) -> Model:
    """The rows of an earlier version, brought to the newest by the change feed alone."""
    kept = {key: dict(row) for key, row in rows.items()}
    for change in tables.changes("t", since=since):
        if change.after is None:
            assert change.key in kept
            del kept[change.key]
            continue
        assert (change.key in kept) == (change.kind == "update")
        kept[change.key] = {n: v for n, v in change.after.items() if n not in ("k", "l")}
    return {
        key: {n: as_kind(row.get(n), kind) for n, kind in model.kinds.items()}
        for key, row in kept.items()
    }
