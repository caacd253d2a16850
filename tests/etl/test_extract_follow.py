"""Records follow the index: counted calls, failures, deletions, crashes."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import ConfigError, ModelError, NotRecorded
from agentops_ref.etl.extract import Extractor, ExtractReport, ResultStore, follow, read_schema
from agentops_ref.etl.rowmerge import made_here, merge_rows
from agentops_ref.etl.sinks import MemorySink
from agentops_ref.etl.sources import FolderSource
from agentops_ref.etl.sync import sync
from agentops_ref.etl.tables import DeltaTables
from tests.etl.fakes import AT_ONCE, make_stages, write
from tests.etl.test_extract import TREE

NL8 = "On the NL-8 set the fan nut to 9 Nm"
NL6 = "On the NL-6 set the fan nut to 12 Nm"


class Asked:
    """A scripted form filler: answers by what the document says; counts its calls."""

    def __init__(self, answer: Callable[[str], Any]) -> None:
        self.answer, self.calls = answer, 0

    def recipe(self, prompt: str) -> str:
        return f"scripted {prompt}"

    def __call__(self, prompt: str, schema: Mapping[str, Any], document: str) -> Any:
        self.calls += 1
        return self.answer(document)


def nothing(document: str) -> Any:
    return {"records": []}


def form(torque: str) -> Any:
    one = {"model": "NL-8", "joint": "gas line", "torque": torque, "torque_unit": "Nm"}
    return {"records": [one]}


class Place:
    """A folder, its index and its tables of records."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.documents = FolderSource(root / "docs", ["**/*"], [])
        self.sink = MemorySink()
        self.stages = make_stages(root / "cache")
        self.tables = DeltaTables(root / "tables")
        self.tree: Any = TREE

    def write(self, **documents: str) -> None:
        write(self.root / "docs", {n.replace("__", "/"): text for n, text in documents.items()})

    def sync(self) -> None:
        sync(self.documents, self.sink, self.stages, AT_ONCE)

    def extract(self, ask: Any = None, *, cache: str = "cache") -> ExtractReport:
        store = ResultStore(self.root / cache)
        extractor = Extractor(read_schema(self.tree, "x"), parse="p", ask=ask, store=store)
        ledger = self.sink.snapshot().ledger()
        return follow(ledger, self.documents, self.stages, extractor, self.tables)

    def rows(self) -> list[tuple[Any, ...]]:
        found = self.tables.query("SELECT document, model, torque FROM torques ORDER BY id")
        return [tuple(row.values()) for row in found]

    def versions(self) -> dict[str, int]:
        return {name: self.tables.version(name) for name in self.tables.names()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write(a=NL8, b=NL6, c="nothing here")
    made.sync()
    return made


def test_records_land_with_their_provenance(place: Place) -> None:
    done = place.extract()
    assert done.tables == {
        "torques": {"inserted": 2, "updated": 0, "deleted": 0},
        "extractions": {"inserted": 3, "updated": 0, "deleted": 0},
    }
    assert place.rows() == [("a", "NL-8", 9.0), ("b", "NL-6", 12.0)]
    (row,) = place.tables.query("SELECT * FROM torques WHERE model = 'NL-8'")
    assert row["id"] == "a#NL-8|fan"
    assert row["version"] == place.sink.ledger()["a"].content_hash[:12]
    assert (row["element"], row["quote"], row["method"]) == (0, "fan nut to 9 Nm", "pattern")
    assert row["torque_unit"] == "Nm"


def test_unchanged_documents_cost_nothing_and_write_nothing(place: Place) -> None:
    ask = Asked(nothing)
    place.write(bulletins__d=NL8)
    place.sync()
    assert place.extract(ask).work == {"extract": 4, "ask": 1}
    before = place.versions()
    again = place.extract(ask)
    assert (again.changed, again.tables, again.work) == ((), {}, {})
    assert ask.calls == 1
    assert place.versions() == before


def test_the_cache_saves_the_work_when_the_tables_are_lost(place: Place) -> None:
    ask = Asked(nothing)
    place.write(bulletins__d=NL8)
    place.sync()
    place.extract(ask)
    rows = place.rows()
    shutil.rmtree(place.root / "tables")
    again = place.extract(ask)
    assert again.work == {}
    assert place.rows() == rows


def test_a_cache_that_cannot_be_written_costs_no_record(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    (place.root / "file").write_text("")
    place.write(bulletins__d=NL8)
    place.sync()
    with caplog.at_level(logging.WARNING):
        done = place.extract(Asked(nothing), cache="file/cache")
    assert (done.work, done.incomplete, done.failed) == ({"extract": 4, "ask": 1}, {}, {})
    assert place.rows() == [("a", "NL-8", 9.0), ("b", "NL-6", 12.0), ("bulletins/d", "NL-8", 9.0)]
    assert caplog.text.count("cannot be used") == 1


def test_a_changed_rule_does_not_ask_again(place: Place) -> None:
    ask = Asked(nothing)
    place.write(bulletins__d=NL8)
    place.sync()
    place.extract(ask)
    place.tree = json.loads(json.dumps(TREE))
    place.tree["types"]["torques"]["ways"][1]["each"] = "(?P<joint>no such words)"
    assert place.extract(ask).work == {"extract": 4}
    assert place.rows() == []


def test_one_changed_document_is_one_documents_work(place: Place) -> None:
    place.extract()
    place.write(a=NL8.replace("9 Nm", "10 Nm"))
    place.sync()
    done = place.extract()
    assert done.changed == ("a",)
    assert done.work == {"extract": 1}
    assert done.tables["torques"] == {"inserted": 0, "updated": 1, "deleted": 0}
    assert place.rows() == [("a", "NL-8", 10.0), ("b", "NL-6", 12.0)]


def test_what_leaves_the_index_leaves_the_tables(place: Place) -> None:
    place.extract()
    (place.root / "docs" / "a").unlink()
    place.sync()
    done = place.extract()
    assert done.removed == ("a",)
    assert done.work == {}
    assert done.tables["torques"] == {"inserted": 0, "updated": 0, "deleted": 1}
    assert place.rows() == [("b", "NL-6", 12.0)]


def test_a_document_that_breaks_keeps_its_last_records(place: Place) -> None:
    place.extract()
    place.write(a="broken")
    place.sync()
    assert place.sink.ledger()["a"].error
    assert place.extract().tables == {}
    assert place.rows() == [("a", "NL-8", 9.0), ("b", "NL-6", 12.0)]


def test_a_poison_document_stops_nobody(place: Place) -> None:
    place.write(bulletins__bad=NL8, bulletins__good=NL6)
    place.sync()

    def answer(document: str) -> Any:
        if "NL-8" in document:
            raise ModelError("no form")
        return nothing(document)

    done = place.extract(Asked(answer))
    assert done.failed == {"bulletins/bad": "no form"}
    assert [row[0] for row in place.rows()] == ["a", "b", "bulletins/bad", "bulletins/good"]
    told = place.tables.query("SELECT document, failed FROM extractions WHERE failed <> ''")
    assert told == [{"document": "bulletins/bad", "failed": "no form"}]


def test_a_bug_on_one_document_is_told(place: Place) -> None:
    def answer(document: str) -> Any:
        raise KeyError("bug")

    place.write(bulletins__bad=NL8)
    place.sync()
    done = place.extract(Asked(answer))
    assert done.incomplete == {"bulletins/bad": "torques, model: KeyError: 'bug'"}
    assert place.extract(Asked(nothing)).incomplete == {}  # it was tried again


def test_an_invented_value_is_counted_and_never_lands(place: Place) -> None:
    place.write(bulletins__d=f"{NL8}. The gas line: 65 Nm.")
    place.sync()
    done = place.extract(Asked(lambda document: form("70")))
    assert (done.invented, done.unfit) == (1, 0)
    assert [row[2] for row in place.rows()] == [9.0, 12.0, 9.0]
    place.write(bulletins__d=f"{NL8}. The gas line: 65 Nm!")
    place.sync()
    done = place.extract(Asked(lambda document: form("65")))
    assert done.invented == 0
    assert [row[2] for row in place.rows()] == [9.0, 12.0, 9.0, 65.0]


def test_without_the_model_the_rules_still_give_their_records(place: Place) -> None:
    def missing(document: str) -> Any:
        raise NotRecorded("never recorded; agentops models pull")

    place.write(bulletins__d=f"{NL8}. The gas line: 65 Nm.")
    place.sync()
    ask = Asked(missing)
    done = place.extract(ask)
    assert done.incomplete == {"bulletins/d": "never recorded; agentops models pull"}
    assert [row[2] for row in place.rows()] == [9.0, 12.0, 9.0]
    ask.answer = lambda document: form("65")
    done = place.extract(ask)  # tried again, and only that document
    assert (done.changed, done.incomplete) == (("bulletins/d",), {})
    assert [row[2] for row in place.rows()] == [9.0, 12.0, 9.0, 65.0]
    assert ask.calls == 2


@pytest.mark.parametrize("survivors", [0, 1])
def test_a_killed_landing_is_finished_by_the_next_run(
    place: Place, survivors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.extract()
    place.write(a=NL8.replace("9 Nm", "10 Nm"), e=NL8)
    (place.root / "docs" / "b").unlink()
    place.sync()
    done: list[str] = []

    def killed(tables: Any, name: str, *more: Any, **options: Any) -> Any:
        if len(done) == survivors:
            raise KeyboardInterrupt
        done.append(name)
        return merge_rows(tables, name, *more, **options)

    module = sys.modules["agentops_ref.etl.extract.follow"]
    monkeypatch.setattr(module, "merge_rows", killed)
    with pytest.raises(KeyboardInterrupt):
        place.extract()
    monkeypatch.undo()
    place.extract()
    assert place.rows() == [("a", "NL-8", 10.0), ("e", "NL-8", 9.0)]
    assert place.extract().tables == {}


def test_a_changed_schema_changes_the_tables(place: Place) -> None:
    place.extract()
    place.tree = json.loads(json.dumps(TREE))
    torques = place.tree["types"]["torques"]
    torques["fields"]["note"] = {"type": "string"}
    place.tree["types"]["others"] = {**torques, "about": "other"}
    place.extract()
    assert place.tables.query("SELECT note FROM torques LIMIT 1") == [{"note": None}]
    assert len(place.rows()) == place.tables.rows("others") == 2
    place.tree = TREE
    place.extract()
    assert place.tables.rows("others") == 0  # no longer declared, so no longer kept up to date
    assert set(made_here(place.tables)) == {"extractions", "others", "torques"}


def test_somebody_elses_table_is_left_alone(place: Place) -> None:
    (place.root / "csv").mkdir()
    (place.root / "csv" / "torques.csv").write_text("id,x\n1,2\n")
    place.tables.sync(place.root / "csv")
    with pytest.raises(ConfigError, match="there is a table 'torques' already"):
        place.extract()
    assert place.tables.query("SELECT x FROM torques") == [{"x": 2}]


def test_lost_state_is_found_out(place: Place) -> None:
    place.extract()
    (place.root / "docs" / "a").unlink()
    place.sync()
    shutil.rmtree(place.root / "tables" / "extractions")
    place.extract()
    assert place.rows() == [("b", "NL-6", 12.0)]


def test_a_document_that_changed_since_the_sync_waits_for_the_next(place: Place) -> None:
    place.extract()
    place.write(a=NL8.replace("9 Nm", "10 Nm"))
    place.sync()
    shutil.rmtree(place.root / "cache")
    place.write(a=NL8.replace("9 Nm", "11 Nm"))
    done = place.extract()
    assert "sync again" in done.incomplete["a"]
    assert place.rows()[0] == ("a", "NL-8", 9.0)
    place.sync()
    assert place.extract().incomplete == {}
    assert place.rows()[0] == ("a", "NL-8", 11.0)


def test_views_are_read_beside_the_tables(place: Place) -> None:
    place.extract()
    views = {"high_torques": "SELECT model FROM torques WHERE torque > 10"}
    tables = DeltaTables(place.tables.uri, views=lambda: views)
    assert tables.query("SELECT * FROM high_torques") == [{"model": "NL-6"}]
    with pytest.raises(Exception, match="no table 'low_torques'"):
        tables.query("SELECT * FROM low_torques")
