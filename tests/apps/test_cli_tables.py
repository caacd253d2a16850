"""``agentops tables``: what is there, questions with parameters, and how it came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentops_ref.apps.cli import cli
from agentops_ref.errors import DeveloperError

PARTS = "part,stock,since,price\nP-1,6,2024-02-01,214.5\nP-2,0,2024-03-01,\nP-3,9,2024-03-02,1.0\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
        "etl: {source: {root: docs}, tables: {root: tables}}\n"
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Torque\n\n18 Nm.")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "parts.csv").write_text(PARTS)
    assert run("ingest", "sync").exit_code == 0
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def told(*words: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(run(*words, "--json").output)
    return found


def test_tables_are_listed(project: Path) -> None:
    (line,) = told("tables", "list")["tables"]  # type: ignore[misc]
    assert line.pop("changed").startswith("20")
    assert line == {
        "table": "parts", "rows": 3, "version": 0, "key": ["part"],
        "inserted": 3, "updated": 0, "deleted": 0,
    }  # fmt: skip
    assert "parts" in run("tables", "list").output


def test_a_question_takes_its_values_as_parameters(project: Path) -> None:
    sql = "SELECT part, since, price FROM parts WHERE part = $part"
    rows = told("tables", "query", sql, "--param", "part=P-1")
    assert rows == {"rows": [{"part": "P-1", "since": "2024-02-01", "price": 214.5}]}
    quoted = told("tables", "query", sql, "--param", "part=' OR '1'='1")
    assert quoted == {"rows": []}
    many = told("tables", "query", "SELECT part FROM parts WHERE stock > $n", "--param", "n=5")
    assert many == {"rows": [{"part": "P-1"}, {"part": "P-3"}]}
    assert "no rows" in run("tables", "query", sql, "--param", "part=none").output


@pytest.mark.parametrize("sql", ["DROP TABLE parts", "SELECT 1; SELECT 2", "SELECT * FROM nothing"])
def test_anything_but_one_select_over_these_tables_is_refused(project: Path, sql: str) -> None:
    assert isinstance(run("tables", "query", sql).exception, DeveloperError)


def test_a_parameter_without_a_value_is_a_wrong_call(project: Path) -> None:
    done = run("tables", "query", "SELECT 1", "--param", "part")
    assert done.exit_code == 2
    assert "NAME=VALUE" in done.output


def test_history_tells_what_each_version_changed(project: Path) -> None:
    text = (
        PARTS.replace("P-1,6", "P-1,5").replace("P-2,0,2024-03-01,\n", "") + "P-4,1,2024-05-01,2\n"
    )
    (project / "tables" / "parts.csv").write_text(text)
    assert run("ingest", "sync").exit_code == 0
    lines = told("tables", "history", "parts")["versions"]
    assert isinstance(lines, list)
    counts = [(v["number"], v["inserted"], v["updated"], v["deleted"]) for v in lines]
    assert counts == [(1, 1, 1, 1), (0, 3, 0, 0)]
    assert lines[0]["operation"] == "MERGE"
    assert "MERGE" in run("tables", "history", "parts").output
    assert "did you mean" in str(run("tables", "history", "part").exception)


def test_changes_are_told_with_before_and_after(project: Path) -> None:
    text = PARTS.replace("P-1,6", "P-1,5").replace("P-2,0,2024-03-01,\n", "")
    (project / "tables" / "parts.csv").write_text(text + "P-4,1,2024-05-01,2\n")
    done = run("tables", "sync", "--json")
    assert json.loads(done.output)["tables"]["parts"] == {"inserted": 1, "updated": 1, "deleted": 1}
    found: list[dict[str, Any]] = told("tables", "changes", "parts", "--since", "0")["changes"]  # type: ignore[assignment]
    assert [(c["version"], c["kind"], c["key"]) for c in found] == [
        (1, "update", ["P-1"]),
        (1, "delete", ["P-2"]),
        (1, "insert", ["P-4"]),
    ]
    assert (found[0]["before"]["stock"], found[0]["after"]["stock"]) == (6, 5)
    assert (found[1]["after"], found[2]["before"]) == (None, None)
    assert "stock: 6 → 5" in run("tables", "changes", "parts", "--since", "0").output
    old = told("tables", "query", "SELECT stock FROM parts WHERE part = 'P-1'", "--at", "0")
    assert old == {"rows": [{"stock": 6}]}
    assert "has the versions 0 to 1" in str(
        run("tables", "changes", "parts", "--since", "7").exception
    )
    assert "no version 9" in str(
        run("tables", "query", "SELECT * FROM parts", "--at", "9").exception
    )


def test_one_source_fails_and_the_others_land(project: Path) -> None:
    (project / "tables" / "broken.csv").write_text("id,a\n1,2\n1,3\n")
    (project / "tables" / "parts.csv").write_text(PARTS.replace("P-1,6", "P-1,5"))
    done = run("tables", "sync", "--json")
    assert done.exit_code == 1
    report = json.loads(done.output)
    assert report["tables"]["parts"]["updated"] == 1
    assert [line["table"] for line in report["failed"]] == ["broken"]
    assert "the key '1' is repeated" in report["failed"][0]["reason"]
    done = run("ingest", "sync")
    assert done.exit_code == 1
    assert "broken failed" in done.output


def test_a_declared_source_of_several_key_columns(project: Path) -> None:
    (project / "stock.csv").write_text("part,place,n\nP-1,north,2\nP-1,south,3\n")
    named = "etl.tables.sources=[{name: stock, source: stock.csv, key: [part, place]}]"
    assert run("tables", "sync", "--set", named).exit_code == 0
    line = told("tables", "list")["tables"][1]  # type: ignore[index]
    assert (line["table"], line["key"]) == ("stock", ["part", "place"])
    wrong = "etl.tables.sources=[{name: stock, source: stock.csv, query: SELECT 1}]"
    assert "database" in str(run("tables", "sync", "--set", wrong).exception)


@pytest.mark.parametrize("name", ["list", "sync", "query", "history", "changes"])
def test_help_fits_80_columns(name: str) -> None:
    assert max(map(len, run("tables", name, "--help").output.splitlines())) <= 80
