"""``agentops ingest`` on other places than folders, and what it tells of failures."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentops_ref import load_config
from agentops_ref.apps.cli import cli
from agentops_ref.apps.cli.place import overrides_of
from agentops_ref.errors import ConfigError
from agentops_ref.etl.sources import FilesSource, FolderSource, HttpSource, SqlSource
from agentops_ref.wiring import build
from tests.etl.places import Site


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
        "etl: {tables: {root: null}}\n"
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Torque\n\n18 Nm.")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.execute("CREATE TABLE articles (id INTEGER PRIMARY KEY, body TEXT)")
        database.execute("INSERT INTO articles VALUES (7, 'The nut is tightened to 18 Nm.')")
    return tmp_path


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    made.pages["/docs/a.txt"] = b"The filter is cleaned.", 0.0
    yield made
    made.close()


def sync(source: str, *more: str) -> tuple[Result, dict[str, Any]]:
    done = CliRunner().invoke(cli, ["ingest", "sync", "--json", "--source", source, *more])
    return done, json.loads(done.stdout)


def test_a_sync_of_each_kind_of_place(project: Path, site: Site) -> None:
    for source, created in (
        ("docs", "a.md"),
        ((project / "docs").as_uri(), "a.md"),
        (f"{site.root}/docs/", "a.txt"),
        ("sql+sqlite:///shop.db?table=articles&text=body", "articles/7.txt"),
    ):
        _, report = sync(source)
        assert report["created"] == [created], source
        _, report = sync(source)
        assert (report["created"], report["unchanged"], report["work"]["read"]) == ([], 1, 0)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("docs", FolderSource),
        ("memory://docs", FilesSource),
        ("https://host/sitemap.xml", HttpSource),
        ("sql+sqlite:///shop.db?table=articles&text=body", SqlSource),
    ],
)
def test_a_place_is_wired_with_the_configured_limit(project: Path, source: str, kind: type) -> None:
    overrides = [*overrides_of(source, None), "etl.source.max_bytes=123"]
    made = build(load_config(overrides=overrides)).source
    assert type(made) is kind
    assert made.max_bytes == 123


def test_an_option_that_a_source_lacks_is_named(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"etl\.source\.options, kind folder: .*'colour'"):
        _ = build(load_config(overrides={"etl.source.options": {"colour": "red"}})).source


def test_what_newly_failed_is_told_once(project: Path) -> None:
    (project / "docs" / "bad.pdf").write_bytes(b"")
    done, report = sync("docs")
    assert report["quarantined"][0]["document"] == "bad.pdf"
    told = json.loads((project / "state" / "notified.json").read_text())
    assert told == {"log": {str(project / "docs"): {"bad.pdf": report["quarantined"][0]["reason"]}}}
    assert done.exit_code == 0


def test_reads_are_tried_again_as_configured(project: Path, site: Site) -> None:
    site.answers["/docs/a.txt"] = [(200, {"ETag": '"1"'}), (503, {}), (503, {})]
    again = ("--set", "etl.retry={attempts: 3, first_seconds: 0, max_seconds: 0}")
    _, report = sync(f"{site.root}/docs/", *again)
    assert report["created"] == ["a.txt"]
    assert report["work"]["retry"] == 2
