"""CSV files → Delta tables: MERGE with deletes, guards, and read-only queries."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from agentops_ref.errors import DeveloperError, DocumentError, OperatorError, SyncRefused
from agentops_ref.etl.csvtable import kind_of, read_csv
from agentops_ref.etl.tables import DeltaTables
from tests.etl.fakes import write

PARTS = """part,name,stock,price,since,active
P-1,"Fan, outdoor",6,214.00,2024-02-01,true
P-2,Valve,0,19.5,2024-03-01,false
P-3,it's a pump,3,,2024-04-01,true
P-4,,7,88,2024-05-01,true
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(
        tmp_path / "csv", {"parts.csv": PARTS, "orders.csv": "id,part,n\n007,P-1,2\n008,P-2,1\n"}
    )


@pytest.fixture
def tables(root: Path, tmp_path: Path) -> DeltaTables:
    made = DeltaTables(tmp_path / "delta")
    made.sync(root)
    return made


def edit(root: Path, old: str, new: str, name: str = "parts.csv") -> None:
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_conditions_hold_after_a_merge(tables: DeltaTables, root: Path) -> None:
    edit(root, "P-2,Valve,0", "P-2,Valve,1")
    tables.sync(root)
    assert tables.history("parts")[0].operation == "MERGE"
    assert tables.query("SELECT stock FROM parts WHERE name = 'Valve'") == [{"stock": 1}]
    assert tables.query("SELECT part FROM parts WHERE part IN ('P-3', 'x')") == [{"part": "P-3"}]


def test_values_are_typed(tables: DeltaTables) -> None:
    assert tables.query("SELECT * FROM parts WHERE part = 'P-3'") == [
        {
            "part": "P-3",
            "name": "it's a pump",
            "stock": 3,
            "price": None,
            "since": date(2024, 4, 1),
            "active": True,
        }
    ]
    assert tables.query("SELECT id FROM orders ORDER BY id")[0] == {"id": "007"}
    assert tables.query("SELECT sum(price) AS total FROM parts") == [{"total": 321.5}]


def test_changes_land_in_one_transaction(tables: DeltaTables, root: Path) -> None:
    edit(root, "P-2,Valve,0,19.5,2024-03-01,false\n", "")
    edit(root, "it's a pump,3", "it's a pump,2")
    edit(root, "P-4,", "P-5,new,1,1.0,2025-01-01,true\nP-4,")
    assert tables.sync(root) == {
        "orders": {},
        "parts": {"inserted": 1, "updated": 1, "deleted": 1},
    }
    assert (tables.version("parts"), tables.version("orders")) == (1, 0)
    rows = tables.query("SELECT part, stock FROM parts ORDER BY part")
    assert [tuple(row.values()) for row in rows] == [("P-1", 6), ("P-3", 2), ("P-4", 7), ("P-5", 1)]


def test_nothing_is_written_when_nothing_changed(tables: DeltaTables, root: Path) -> None:
    (root / "parts.csv").touch()
    assert tables.sync(root) == {"orders": {}, "parts": {}}
    assert tables.version("parts") == 0


def test_only_deletes_with_a_quote_in_the_key(tables: DeltaTables, root: Path) -> None:
    edit(root, "P-1,", "P'1,")
    tables.sync(root)
    edit(root, 'P\'1,"Fan, outdoor",6,214.00,2024-02-01,true\n', "")
    assert tables.sync(root)["parts"] == {"inserted": 0, "updated": 0, "deleted": 1}
    assert tables.version("parts") == 2
    assert len(tables.query("SELECT * FROM parts")) == 3


@pytest.mark.parametrize("left", [0, 1])
def test_a_file_that_lost_its_rows_deletes_nothing(
    tables: DeltaTables, root: Path, left: int
) -> None:
    write(root, {"parts.csv": "\n".join(PARTS.splitlines()[: 1 + left])})
    edit(root, "007,P-1,2", "007,P-1,3", "orders.csv")
    with pytest.raises(SyncRefused, match=r"of the 4 rows"):
        tables.sync(root)
    # The table that is refused stays; the other one landed.
    assert (tables.version("parts"), tables.version("orders")) == (0, 1)
    assert tables.sync(root, allow_mass_deletion=True)["parts"]["deleted"] == 4 - left


def test_a_missing_or_empty_file_deletes_nothing(tables: DeltaTables, root: Path) -> None:
    (root / "parts.csv").unlink()
    assert tables.sync(root) == {"orders": {}}
    assert len(tables.query("SELECT * FROM parts")) == 4
    write(root, {"orders.csv": ""})
    with pytest.raises(DocumentError, match="empty"):
        tables.sync(root)
    with pytest.raises(OperatorError, match="agentops corpus build"):
        tables.sync(root / "nowhere")


def test_a_wider_type_and_a_new_column_reshape_the_table(tables: DeltaTables, root: Path) -> None:
    edit(root, "Valve,0,", "Valve,0.5,")
    assert tables.sync(root)["parts"] == {"inserted": 0, "updated": 1, "deleted": 0}
    assert tables.query("SELECT stock FROM parts WHERE part = 'P-1'") == [{"stock": 6.0}]
    edit(root, "0.5", "1")
    assert tables.sync(root)["parts"]["updated"] == 1
    write(root, {"orders.csv": "id,part,n,note\n007,P-1,2,x\n008,P-2,1,\n"})
    assert tables.sync(root)["orders"] == {"inserted": 0, "updated": 1, "deleted": 0}
    assert tables.query("SELECT note FROM orders WHERE id = '007'") == [{"note": "x"}]
    assert tables.sync(root) == {"orders": {}, "parts": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,a\n1,2\n1,3\n", "row 3: the key '1' is repeated"),
        ("id,a\n1\n", "row 2: 1 cells where the header has 2"),
        ("id,a\n,2\n", "the key is empty"),
        ("id,a,a\n1,2,3\n", "repeated names"),
        ('id,a\n1,"2\n', "not a CSV file"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, {"bad.csv": text})
    with pytest.raises(DocumentError, match=message) as caught:
        read_csv(tmp_path / "bad.csv")
    assert "bad.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-20"], "int"),
        (["1", "2.5", None], "float"),
        (["007"], "string"),
        (["true", "false"], "bool"),
        (["2024-02-29"], "date"),
        (["2023-02-29"], "string"),
        (["1e5"], "string"),
        ([None, None], "string"),
        (["12345678901234567890"], "string"),
    ],
)
def test_types_are_those_that_lose_nothing(cells: list[str | None], kind: str) -> None:
    assert kind_of(cells) == kind


def test_parameters(tables: DeltaTables) -> None:
    evil = "x' OR '1'='1"
    assert tables.query("SELECT * FROM parts WHERE name = ?", [evil]) == []
    joined = "SELECT name FROM orders JOIN parts USING (part) WHERE id = $id"
    assert tables.query(joined, {"id": "007"}) == [{"name": "Fan, outdoor"}]
    with pytest.raises(DeveloperError, match="parameter"):
        tables.query("SELECT * FROM parts WHERE name = ?")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM parts",
        "DROP VIEW parts",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; DROP VIEW parts",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY parts TO '/tmp/out.csv'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "",
        "SELEC",
    ],
)
def test_only_one_select_over_the_tables(tables: DeltaTables, sql: str) -> None:
    with pytest.raises(DeveloperError):
        tables.query(sql)
    assert len(tables.query("SELECT * FROM parts")) == 4


def test_an_unknown_table_names_a_near_one(tables: DeltaTables, tmp_path: Path) -> None:
    with pytest.raises(DeveloperError, match="no table 'part'; did you mean 'parts'"):
        tables.query("SELECT * FROM part")
    with pytest.raises(DeveloperError, match="no table 'ordrs'"):
        tables.version("ordrs")
    assert DeltaTables(tmp_path / "none").names() == []
