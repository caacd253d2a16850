"""What only the Databricks sink has: partial writes, marks of other writers, credentials."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentops_ref.apps.cli import cli
from agentops_ref.errors import ConfigError, OperatorError, TransientError
from agentops_ref.etl import Commit, FolderSource, MemorySink, sync
from agentops_ref.etl.sinks import DatabricksSink
from agentops_ref.etl.sinks.databricks_api import VectorSearch
from tests.etl.databricks import VectorSearchServer
from tests.etl.fakes import AT_ONCE, contents, make_stages, write
from tests.etl.test_sinks import rows


@pytest.fixture
def sink(vector_search: VectorSearchServer, vector_search_uri: str) -> DatabricksSink:
    return DatabricksSink(vector_search_uri)


def head(server: VectorSearchServer, sink: DatabricksSink) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(server.indexes[sink.name].rows["head|"]["payload"])
    return told


def set_head(server: VectorSearchServer, sink: DatabricksSink, **values: Any) -> None:
    row = server.indexes[sink.name].rows["head|"]
    row["payload"] = json.dumps(head(server, sink) | values)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("databricks://main/docs?endpoint=e", "catalog/schema/name"),
        ("databricks://main/docs/index/more?endpoint=e", "catalog/schema/name"),
        ("databricks://main/docs/index", "no endpoint"),
        ("databricks://main/docs/index?endpoint=e&token=x", "catalog/schema/name"),
        ("postgres://main/docs/index?endpoint=e", "catalog/schema/name"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(uri: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        DatabricksSink(uri)


def test_the_service_may_take_a_part_and_may_be_away_for_a_moment(
    vector_search: VectorSearchServer, sink: DatabricksSink
) -> None:
    vector_search.partial = 2
    vector_search.answers = [503, 429]
    many = tuple(rows(f"{n}.txt", "one", "two") for n in range(20))
    assert sink.commit(Commit(many)) == 1
    assert vector_search.partial == 0
    assert sink.count() == len(list(sink.stored())) == 40
    assert len(sink.ledger()) == 20


def test_rows_that_are_never_taken_end_the_commit_and_nothing_is_seen(
    vector_search: VectorSearchServer, sink: DatabricksSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.commit(Commit((rows("a.txt", "alpha"), rows("b.txt", "beta"))))
    before = contents(sink)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    vector_search.partial = 10**6
    with pytest.raises(TransientError, match="rows were not taken"):
        sink.commit(Commit((rows("a.txt", *"abcdefghijklmnopqrstuvwxyz", version="v2"),)))
    vector_search.partial = 0
    assert contents(sink) == before
    assert sink.commit(Commit((rows("a.txt", "new", version="v2"),), delete=("b.txt",))) == 2
    assert [c.text for c in sink.chunks_of("a.txt")] == ["new"]
    assert sink.count() == len(list(sink.stored())) == 1


def test_a_wrong_token_is_for_the_operator(
    vector_search: VectorSearchServer, sink: DatabricksSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "wrong")
    other = DatabricksSink(sink.uri)
    with pytest.raises(OperatorError, match="invalid token"):
        other.commit(Commit((rows("a.txt", "alpha"),)))


def test_another_machine_that_is_writing_is_left_alone_until_its_lease_ends(
    vector_search: VectorSearchServer, sink: DatabricksSink
) -> None:
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    mark = {"who": "x", "host": "elsewhere", "since": time.time(), "width": 16}
    set_head(vector_search, sink, writing=mark)
    with pytest.raises(TransientError, match=r"another sync .* running on elsewhere"):
        sink.commit(Commit((rows("b.txt", "beta"),)))
    assert set(sink.ledger()) == {"a.txt"}
    set_head(vector_search, sink, writing=mark | {"since": time.time() - 901})
    assert sink.commit(Commit((rows("b.txt", "beta"),))) == 2
    assert set(sink.ledger()) == {"a.txt", "b.txt"}


def test_who_was_taken_over_while_writing_gives_up_and_loses_nothing_of_the_other(
    vector_search: VectorSearchServer, sink: DatabricksSink
) -> None:
    """Two machines that both believe to be alone: the one that finishes second finds out."""
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    quick = DatabricksSink(sink.uri)
    times: list[int] = []

    def meanwhile(name: str) -> None:
        if name == "ledger written" and not times:
            times.append(quick.commit(Commit((rows("c.txt", "gamma"),))))

    slow = DatabricksSink(sink.uri, observe=meanwhile)
    with pytest.raises(TransientError, match=r"took main\.tests\.\w+ over"):
        slow.commit(Commit((rows("b.txt", "beta"),)))
    assert times == [2]
    assert set(sink.ledger()) == {"a.txt", "c.txt"}
    assert slow.commit(Commit((rows("b.txt", "beta"),))) == 3
    assert set(sink.ledger()) == {"a.txt", "b.txt", "c.txt"}
    assert sorted(owner for owner, _, _ in sink.stored()) == ["a.txt", "b.txt", "c.txt"]


def test_old_rows_are_removed_once_they_are_many_and_no_version_needs_them(
    vector_search: VectorSearchServer, vector_search_uri: str
) -> None:
    sink = DatabricksSink(vector_search_uri, keep_versions=2, clean_rows=6)
    for n in range(6):
        sink.commit(Commit((rows("a.txt", f"one {n}", f"two {n}", version=f"v{n}"),)))
    held = vector_search.indexes[f"{sink.name}_16"].rows
    assert 2 <= len(held) < 12
    assert [c.text for c in sink.at(5).chunks_of("a.txt")] == ["one 4", "two 4"]
    with pytest.raises(OperatorError, match="no index version 1 is kept"):
        sink.at(1)


def test_vectors_of_another_length_get_an_index_of_their_own(
    vector_search_uri: str, tmp_path: Path
) -> None:
    docs = write(tmp_path / "docs", {"a.txt": "alpha\nbeta", "b.txt": "gamma E41"})
    sink, fresh = DatabricksSink(vector_search_uri), MemorySink()
    sync(FolderSource(docs), sink, make_stages(model="m1", dimensions=16), AT_ONCE)
    wide = make_stages(model="m2", dimensions=12)
    sync(FolderSource(docs), sink, wide, AT_ONCE)
    sync(FolderSource(docs), fresh, make_stages(model="m2", dimensions=12), AT_ONCE)
    assert contents(sink) == contents(fresh)
    assert {len(vector) for _, _, vector in sink.stored()} == {12}
    assert {len(vector) for _, _, vector in sink.at(1).stored()} == {16}
    assert sink.rollback(1) == 3
    assert {len(vector) for _, _, vector in sink.stored()} == {16}
    assert sink.count() == len(list(sink.stored())) == 3


def test_it_works_from_the_command_line(
    vector_search_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = write(tmp_path / "docs", {"a.md": "# Torque\n\nThe flare nut takes 18 Nm."})
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
    )
    monkeypatch.chdir(tmp_path)
    place = ["--source", str(docs), "--sink", vector_search_uri, "--json"]
    done = CliRunner().invoke(cli, ["ingest", "sync", *place])
    told = json.loads(done.output)
    assert (told["created"], told["version"]) == (["a.md"], 1)
    found = CliRunner().invoke(cli, ["search", "flare nut", *place])
    assert "18 Nm" in found.output


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "databricks.sdk", None)
    with pytest.raises(OperatorError, match=r"agentops-ref\[databricks\]"):
        _ = VectorSearch("e", None, None)._indexes
