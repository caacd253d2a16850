"""``agentops ingest extract`` on a user's own file and on an index, and with a sync."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentops_ref.apps.cli import cli
from agentops_ref.config import load_config
from agentops_ref.errors import ConfigError, DocumentError
from agentops_ref.wiring import build
from tests.etl.test_parse import pdf

SCHEMA = """
types:
  torques:
    about: Torques
    key: [part]
    fields:
      part: {type: string, required: true}
      torque: {type: number, required: true, unit: [Nm]}
    ways:
      - {way: table, columns: {part: Part, torque: Nm}, units: {}}
      - {way: pattern, each: '(?P<part>[\\w ]+): (?P<torque>[\\d.,]+) (?P<torque_unit>Nm)'}
      - {way: model, documents: ['bulletins/*'], prompt: ask.md, fields: {part: null, torque: null}}
views:
  high_torques: SELECT part FROM torques WHERE torque > 10
"""
CONFIG = """
models: {mode: MODE}
paths: {state: state, cache: cache, recordings: rec, weights: none, prompts: prompts}
etl: {source: {root: docs}, tables: {root: tables}, extract: {schema: records.yaml}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for folder in ("config", "docs", "tables", "prompts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "base.yaml").write_text(CONFIG.replace("MODE", "scripted"))
    (tmp_path / "records.yaml").write_text(SCHEMA.replace("Nm}, units: {}", "'Torque (.Nm.)'}"))
    (tmp_path / "prompts" / "ask.md").write_text("## user\n{document}")
    (tmp_path / "docs" / "a.md").write_text("# Torque\n\nFan nut: 9,5 Nm. Flare nut: 18 Nm.")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def told(*words: str) -> Any:
    done = run(*words, "--json")
    assert done.exception is None, done.exception
    return json.loads(done.output)


def test_a_files_records_come_with_their_place(project: Path) -> None:
    cells = [(55, 315, "Part"), (155, 315, "Torque (Nm)"), (55, 335, "Flare nut"), (155, 335, "18")]
    lines = [(float(x), float(y), "Helvetica", 9.0, text) for x, y, text in cells]
    (project / "mine.pdf").write_bytes(pdf(lines, rule=True))
    (record,) = told("ingest", "extract", "mine.pdf")["records"]
    assert record["values"] == {"part": "Flare nut", "torque": 18.0}
    assert record["units"] == {"torque": "Nm"}
    at = record["provenance"]
    assert list(at) == [
        "document",
        "version",
        "element",
        "page",
        "box",
        "quote",
        "method",
        "confidence",
    ]
    assert (at["document"], at["element"], at["page"]) == ("mine.pdf", 0, 1)
    assert (at["quote"], at["method"]) == ("Flare nut | 18", "table")
    assert at["box"] == pytest.approx([50 / 595, 300 / 842, 250 / 595, 340 / 842], abs=0.002)
    shown = run("ingest", "extract", "mine.pdf").output
    assert "torque 18 Nm" in shown
    assert "1 records, 0 rejected" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert not (project / "state").exists()  # nothing was landed


def test_an_indexs_records_land_in_tables(project: Path) -> None:
    assert "extracted" not in told("ingest", "sync")
    done = told("ingest", "extract")
    assert done["tables"]["torques"] == {"inserted": 2, "updated": 0, "deleted": 0}
    assert done["work"] == {"extract": 1}
    rows = told("tables", "query", "SELECT part, torque, quote FROM torques ORDER BY id")["rows"]
    assert rows[0] == {"part": "Fan nut", "torque": 9.5, "quote": "Fan nut: 9,5 Nm"}
    assert told("tables", "query", "SELECT * FROM high_torques") == {
        "rows": [{"part": "Flare nut"}]
    }
    shown = run("ingest", "extract").output
    assert "records: unchanged" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_sync_extracts_where_it_is_told_to(project: Path) -> None:
    on = ("--set", "etl.extract.on_sync=true")
    assert told("ingest", "sync", *on)["extracted"]["tables"]["torques"]["inserted"] == 2
    (project / "docs" / "a.md").unlink()
    (project / "docs" / "b.md").write_text("Fan nut: 10 Nm.")
    done = run("ingest", "sync", "--allow-mass-deletion", *on)
    assert "torques 1 inserted, 2 deleted" in done.output
    other = project / "other"
    other.mkdir()
    (other / "x.md").write_text("Bolt: 40 Nm.")
    assert "extracted" not in told("ingest", "sync", "--source", "other", *on)
    assert len(told("tables", "query", "SELECT part FROM torques")["rows"]) == 1


def test_without_the_model_the_rest_is_there_and_the_reason_told(project: Path) -> None:
    (project / "config" / "base.yaml").write_text(CONFIG.replace("MODE", "replay"))
    (project / "bulletins").mkdir()
    (project / "bulletins" / "b.md").write_text("Fan nut: 9 Nm.")
    found = told("ingest", "extract", "bulletins/b.md")
    assert [one["provenance"]["method"] for one in found["records"]] == ["pattern"]
    assert "never recorded" in found["incomplete"]
    assert "agentops models pull" in found["incomplete"]
    without = told("ingest", "extract", "bulletins/b.md", "--set", "etl.extract.model=false")
    assert without["incomplete"] == ""
    assert without["records"] == found["records"]


def test_an_invented_value_of_a_model_is_told(project: Path) -> None:
    from agentops_ref.testing import ScriptedChat

    def reply(torque: str) -> str:
        return json.dumps({"records": [{"part": "Fan nut", "torque": torque, "torque_unit": "Nm"}]})

    app = build(load_config())
    text = b"The Fan nut is set to 9 Nm."
    app.__dict__["chat"] = ScriptedChat(replies=[reply("90"), reply("9")])
    invented = app.extract_file("bulletins/b.md", text)
    assert invented.records == ()
    (no,) = invented.rejected
    assert (no.fault, no.method) == ("invented", "model")
    assert "'90 Nm'" in no.reason
    (record,) = app.extract_file("bulletins/b.md", text + b" Really.").records
    assert record.values == {"part": "Fan nut", "torque": 9.0}
    assert app.extractor.work == {"extract": 2, "ask": 2}
    app.extract_file("bulletins/b.md", text)
    assert app.extractor.work == {"extract": 2, "ask": 2}


def test_what_cannot_be_done_is_named(project: Path) -> None:
    (project / "x.doc").write_bytes(b"x")
    assert isinstance(run("ingest", "extract", "x.doc").exception, DocumentError)
    assert run("ingest", "extract", "none.md").exit_code == 2
    (project / "records.yaml").write_text("types: {torques: {abuot: x}}")
    ended = run("ingest", "extract", "docs/a.md")
    assert isinstance(ended.exception, ConfigError)
    assert "unknown key 'types.torques.abuot'; did you mean 'about'?" in str(ended.exception)
