"""Attacks on the questions to tables: whatever is not one SELECT over them is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agentops_ref.errors import DeveloperError
from agentops_ref.etl.tables import DeltaTables
from agentops_ref.etl.tabular.query import Limits
from agentops_ref.etl.tabular.statement import REFUSED_FUNCTIONS

ATTACKS = [
    # files, by function, by name, in a corner of the statement
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT * FROM read_csv('https://example.com/x.csv')",
    "SELECT * FROM parquet_scan('x.parquet')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "FROM '/etc/passwd'",
    "SELECT * FROM 'parts.csv' AS parts",
    "SELECT * FROM parts, '/etc/passwd' p",
    "SELECT * FROM parts WHERE part IN (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT (SELECT count(*) FROM glob('*')) FROM parts",
    "SELECT * FROM parts ORDER BY (SELECT count(*) FROM glob('*'))",
    "SELECT * FROM parts LIMIT (SELECT count(*) FROM glob('*'))",
    "SELECT 1 UNION ALL SELECT count(*) FROM glob('*')",
    "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
    'WITH "/etc/passwd" AS (SELECT 1) SELECT * FROM "/etc/passwd"',
    "SELECT * FROM parts JOIN LATERAL (SELECT * FROM glob('*')) g ON true",
    "SELECT list_transform([1], x -> (SELECT count(*) FROM glob('*')))",
    "SELECT * FROM /* parts */ read_text/**/('/etc/passwd')",
    "SELECT * FROM parts -- \n, glob('*')",
    "SELECT * FROM \"READ_TEXT\"('/etc/passwd')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('parts')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM python_map_function()",
    # several statements, other statements
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW parts",
    "SELECT 1;; COPY parts TO 'x.csv'",
    "SELECT 1 -- ;\n; INSTALL httpfs",
    "COPY parts TO 'x.csv'",
    "COPY (SELECT 1) TO 'x.csv'",
    "EXPORT DATABASE 'x'",
    "IMPORT DATABASE 'x'",
    "ATTACH 'x.db'",
    "DETACH memory",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CHECKPOINT",
    "BEGIN",
    "VACUUM",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT * FROM parts",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "DELETE FROM parts",
    "UPDATE parts SET stock = 1",
    "INSERT INTO parts VALUES (1)",
    "CREATE TABLE x AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SECRET (TYPE s3)",
    "DROP VIEW parts",
    "ALTER TABLE parts ADD COLUMN x INT",
    # what the server knows about itself
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM system.main.duckdb_settings",
    "SELECT * FROM pragma_database_size()",
    "SELECT current_setting('allowed_paths')",
    "SELECT upper(current_setting('secret_directory')) FROM parts",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT main.current_setting('allowed_paths')",
    "SELECT system.main.current_setting('allowed_paths')",
    "SELECT 'allowed_paths'.current_setting()",
    "SHOW TABLES",
    "DESCRIBE parts",
    "SUMMARIZE parts",
    "SELECT * FROM (DESCRIBE parts)",
    "SELECT * FROM (SHOW ALL TABLES)",
    # waiting, writing, versions
    "SELECT sleep_ms(60000)",
    "SELECT write_log('x')",
    "SELECT nextval('s')",
    "SELECT * FROM parts AT (VERSION => 0)",
    # nothing
    "",
    "   ",
    "-- only a comment",
    "SELEC",
    "SELECT 1\0; DROP VIEW parts",
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> DeltaTables:
    made = DeltaTables(
        tmp_path_factory.mktemp("delta"), limits=Limits(rows=50, seconds=1, memory_mb=100)
    )
    rows = [{"part": f"P-{n}", "stock": n} for n in range(2000)]
    made.merge("parts", rows, key="part", kinds={"part": "string", "stock": "int"})
    made.merge("two words", rows[:2], key="part", kinds={"part": "string", "stock": "int"})
    return made


@pytest.mark.parametrize("sql", ATTACKS)
def test_attacks_are_refused(
    tables: DeltaTables, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.csv").write_text("part\nsecret\n")
    started = time.monotonic()
    with pytest.raises(DeveloperError) as caught:
        tables.query(sql)
    assert "root:" not in str(caught.value)
    assert time.monotonic() - started < 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.csv"]
    assert tables.query("SELECT count(*) AS n FROM parts") == [{"n": 2000}]


@pytest.mark.parametrize(
    ("sql", "n"),
    [
        ("SELECT part FROM parts WHERE stock < 3", 3),
        ("FROM parts WHERE stock < 3", 3),
        ("WITH low AS (SELECT * FROM parts WHERE stock < 3) SELECT * FROM low", 3),
        ("SELECT p.part FROM main.parts p JOIN \"two words\" USING (part)", 2),
        ("SELECT * FROM PARTS WHERE stock = 1;", 1),
        ("SELECT row_number() OVER (ORDER BY stock) AS n FROM parts QUALIFY n < 4", 3),
        ("WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 5) "
         "SELECT * FROM r", 5),
        ("SELECT unnest([1, 2]) AS n", 2),
        ("SELECT * FROM range(3)", 3),
        ("VALUES (1), (2)", 2),
        ("SELECT stock % 2 AS odd, count(*) FROM parts GROUP BY ALL", 2),
        ("SELECT ';' AS a, '-- x' AS b, 'read_text(''/etc/passwd'')' AS c", 1),
        ("SELECT now() IS NOT NULL AS a, current_date AS b", 1),
    ],
)  # fmt: skip
def test_questions_are_answered(tables: DeltaTables, sql: str, n: int) -> None:
    assert len(tables.query(sql)) == n


def test_a_result_that_is_too_long_says_so(tables: DeltaTables) -> None:
    rows = tables.query("SELECT * FROM parts")
    assert len(rows) == 50
    assert "only the first 50 rows" in rows.truncated
    assert not tables.query("SELECT * FROM parts LIMIT 50").truncated


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM parts a, parts b, parts c, parts d",
        "SELECT sum(a.stock * b.stock) FROM parts a, parts b, parts c WHERE a.stock + 1 > c.stock",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM range(1000000000000)",
    ],
)
def test_a_question_that_takes_too_long_is_stopped(tables: DeltaTables, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(DeveloperError, match=r"stopped after 1 s|more than 100 MB"):
        tables.query(sql)
    assert time.monotonic() - started < 15  # the machine may be busy


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT list(a.part || b.part) FROM parts a, parts b",
        "SELECT repeat('x', 2000000000)",
    ],
)
def test_a_question_that_takes_too_much_memory_is_stopped(tables: DeltaTables, sql: str) -> None:
    with pytest.raises(DeveloperError, match=r"more than 100 MB|stopped after|too large|exceed"):
        tables.query(sql)


def test_every_function_with_a_side_effect_is_listed() -> None:
    """A newer DuckDB may bring new ones."""
    import duckdb

    told = duckdb.connect(":memory:").execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar' "
        "AND (has_side_effects OR stability <> 'CONSISTENT')"
    )
    harmless = {
        "current_database", "current_date", "current_schema", "current_schemas", "gen_random_uuid",
        "get_current_time", "get_current_timestamp", "now", "random", "today",
        "transaction_timestamp", "uuid", "uuidv4", "uuidv7",
    }  # fmt: skip
    assert {name for (name,) in told.fetchall()} - harmless <= REFUSED_FUNCTIONS


def test_the_first_rows_are_the_first_in_order(tables: DeltaTables) -> None:
    rows = tables.query("SELECT stock FROM parts ORDER BY stock DESC")
    assert [row["stock"] for row in rows] == list(range(1999, 1949, -1))
