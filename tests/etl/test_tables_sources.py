"""Workbooks, Parquet files and databases as sources of tables: types, keys, and what is refused."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentops_ref.errors import AgentOpsError, SyncRefused
from agentops_ref.etl.tables import DeltaTables
from agentops_ref.etl.tabular.evolve import Policy
from agentops_ref.etl.tabular.sources import Found, TableSource, folder, read


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_each_sheet_is_a_typed_table(tmp_path: Path) -> None:
    day, at = datetime(2024, 5, 1), datetime(2024, 5, 1, 8, 30)
    workbook(
        tmp_path / "book.xlsx",
        Stock=[["id", "n", "price", "on", "seen", "ok"], ["a", 1, 2.5, day, at, True]],
        People=[["id"], ["x"], [None], ["y"]],
    )
    found = folder(tmp_path, Policy())
    tables = DeltaTables(tmp_path / "delta")
    tables.sync_sources(found).require()
    assert tables.query("SELECT * FROM Stock") == [
        {"id": "a", "n": 1, "price": 2.5, "on": date(2024, 5, 1), "seen": at, "ok": True}
    ]
    assert tables.rows("People") == 2


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([["id", "n"], ["a", 1], ["b", "x"]], {}, "mixed types: row 2: 1 .int.; row 3: 'x'"),
        ([["id", "n"], ["a", "=1+1"]], {}, "cell B2: a formula without a saved value"),
        ([["id", "n"], ["a", 1, 5]], {}, "row 2: 5 in column 3"),
        ([["id", "n"], ["a", 1], ["a", 2]], {}, "row 3: the key 'a' is repeated"),
        ([["id", "n"], [None, 1]], {}, "the key is empty: column 'id' in row 2"),
        ([["id", "n"], ["a", 1]], {"key": ("idd",)}, "no key column 'idd'; did you mean 'id'"),
        ([["id", "n"], ["a", 1]], {"header": 9}, "no names of columns in row 9"),
        ([["id", "n"], ["a", 1]], {"sheet": "Sheat"}, "no sheet 'Sheat'; did you mean 'Sheet'"),
        ([["id", "ID"], ["a", 1]], {}, "differ in case only"),
    ],
)
def test_a_sheet_that_is_no_table_is_named(
    tmp_path: Path, rows: list[list[Any]], options: dict[str, Any], message: str
) -> None:
    path = workbook(tmp_path / "book.xlsx", Sheet=rows)
    with pytest.raises(AgentOpsError, match=message) as caught:
        read(TableSource("t", str(path), **options))
    assert "book.xlsx" in str(caught.value)


def test_mixed_cells_are_text_when_that_is_said_and_titles_are_skipped(tmp_path: Path) -> None:
    rows = [["Stock of May"], [], ["id", "n"], ["a", 1], ["b", "x"]]
    path = workbook(tmp_path / "book.xlsx", Sheet=rows)
    made = read(TableSource("t", str(path), header=3, texts=("n",)))
    assert made.cells.column("n").to_pylist() == ["1", "x"]


def test_corrupt_files_fail_and_the_others_land(tmp_path: Path) -> None:
    (tmp_path / "bad.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    (tmp_path / "worse.parquet").write_bytes(b"PAR1")
    (tmp_path / "good.csv").write_text("id\n1\n")
    tables = DeltaTables(tmp_path / "delta")
    report = tables.sync_sources(folder(tmp_path, Policy()))
    assert sorted(report.failed) == ["bad", "worse"]
    assert tables.names() == ["good"]
    (tmp_path / "good.parquet").write_bytes(b"")
    assert "more than one source" in str(folder(tmp_path, Policy()).failed["good"])


def test_parquet_types(tmp_path: Path) -> None:
    at = datetime(2024, 1, 1, 5, tzinfo=UTC)
    columns = {
        "id": pa.array([2**63], pa.uint64()),
        "money": pa.array([Decimal("19.50")]),
        "long": pa.array([Decimal("12345678901234567890.12")]),
        "at": pa.array([at], pa.timestamp("ns", tz="Europe/Oslo")),
        "word": pa.array(["x"]).dictionary_encode(),
        "small": pa.array([1], pa.int8()),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    tables = DeltaTables(tmp_path / "delta")
    tables.sync(tmp_path)
    (row,) = tables.query("SELECT * FROM t")
    assert row.pop("at").astimezone(UTC) == at
    assert row == {
        "id": str(2**63), "money": 19.5, "long": "12345678901234567890.12",
        "word": "x", "small": 1,
    }  # fmt: skip
    pq.write_table(pa.table({"id": ["a"], "raw": [b"x"]}), tmp_path / "b.parquet")
    with pytest.raises(AgentOpsError, match=r"column 'raw'.*binary"):
        tables.sync(tmp_path)
    only = TableSource("b", str(tmp_path / "b.parquet"), columns=("id",))
    assert read(only).cells.column_names == ["id"]


def test_a_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE s (a TEXT, b INT, n INT, PRIMARY KEY (a, b))")
        rows = [("x", n, n * 2) for n in range(25_000)]
        connection.executemany("INSERT INTO s VALUES (?, ?, ?)", rows)
    connection.close()
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    tables = DeltaTables(tmp_path / "delta")
    asked = TableSource("q", url, ("b",), query="SELECT b, n FROM s WHERE b < 3;")
    tables.sync_sources(Found((TableSource("s", url, table="s"), asked), {})).require()
    assert (tables.rows("s"), tables.key("s"), tables.rows("q")) == (25_000, ("a", "b"), 3)
    for source, message in [
        (TableSource("s", url, table="t"), "no table or view t"),
        (TableSource("s", url, query="SELECT 1"), "needs its `key`"),
        (TableSource("s", "sqlite:///nowhere.db", table="s"), "no database file"),
        (TableSource("s", "nodb://x/y", table="s"), "cannot connect"),
        (TableSource("s", url, ("b",), query="SELECT nope FROM s"), "no such column"),
    ]:
        with pytest.raises(AgentOpsError, match=message):
            read(source)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_a_postgres_database(tmp_path: Path, database: str, scheme: str) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE parts (part text PRIMARY KEY, price numeric(8, 2), stock int,"
            " since date, moved timestamptz, ready boolean)"
        )
        connection.execute(
            "INSERT INTO parts SELECT 'P' || n, n * 1.25, n, '2026-01-01', '2026-01-01T10:00Z',"
            " true FROM generate_series(1, 500) n"
        )
        found = Found(
            (TableSource("parts", database.replace("postgresql", scheme, 1), table="parts"),), {}
        )
        tables = DeltaTables(tmp_path / "delta")
        tables.sync_sources(found).require()
        assert (tables.rows("parts"), tables.key("parts")) == (500, ("part",))
        connection.execute("UPDATE parts SET price = 9.99 WHERE part = 'P7'")
        connection.execute("DELETE FROM parts WHERE part = 'P8'")
        connection.execute("INSERT INTO parts (part, price) VALUES ('P501', 1)")
        counts = tables.sync_sources(found).require().counts["parts"]
    assert (counts["inserted"], counts["updated"], counts["deleted"]) == (1, 1, 1)
    (row,) = tables.query("SELECT price, stock, since, ready FROM parts WHERE part = ?", ["P7"])
    assert (float(row["price"]), row["stock"], str(row["since"]), row["ready"]) == (
        9.99,
        7,
        "2026-01-01",
        True,
    )


def test_what_becomes_of_columns_is_a_policy(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path / "delta")
    path = tmp_path / "t.csv"

    def sync(text: str, **policy: Any) -> Any:
        path.write_text(text)
        source = TableSource("t", str(path), policy=Policy(**policy))
        return tables.sync_sources(Found((source,), {})).require().landed["t"]

    sync("id,a,b\n1,0.5,x\n2,1,y\n")
    for policy, message in [({"vanished": "refuse"}, "is gone"), ({"narrowed": "refuse"}, "int")]:
        with pytest.raises(SyncRefused, match=message):
            sync("id,a,b\n1,3,x\n" if "narrowed" in policy else "id,a\n1,0.5\n", **policy)
    assert tables.version("t") == 0
    assert "kept" in sync("id,a\n1,0.5\n3,2.5\n").notes[0]
    rows = tables.query("SELECT id, b FROM t ORDER BY id")
    assert rows == [{"id": "1", "b": "x"}, {"id": "3", "b": None}]
    assert "dropped" in sync("id,a\n1,0.5\n3,2.5\n", vanished="drop").notes[0]
    assert [c.kind for c in tables.changes("t", since=1)] == ["update"]  # the one that had a value
    assert "narrowed: float → int" in sync("id,a\n1,1\n3,2\n", narrowed="narrow").notes[0]
    assert tables.query("SELECT a FROM t ORDER BY id") == [{"a": 1}, {"a": 2}]
    with pytest.raises(AgentOpsError, match="its key is id, a"):
        tables.sync_sources(Found((TableSource("t", str(path), ("id", "a")),), {})).require()


def test_net_changes(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path, max_share=1)
    for values in ({"a": 1, "b": 1}, {"a": 2, "b": 1, "c": 1}, {"a": 1, "c": 3}):
        rows = [{"k": k, "v": v} for k, v in values.items()]
        tables.merge("t", rows, key="k", kinds={"k": "string", "v": "int"})
    found = tables.changed("t", since=0)
    assert {key: change.kind for key, change in found.items()} == {
        ("b",): "delete",
        ("c",): "insert",
    }
    assert found["c",].after == {"k": "c", "v": 3}
    assert len(list(tables.changes("t"))) == 2 + 2 + 3
