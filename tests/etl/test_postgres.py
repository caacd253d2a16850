"""What only the Postgres sink has: a server, that can be away, refuse, and be shared."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from agentops_ref.errors import (
    AgentOpsError,
    ConfigError,
    MissingExtra,
    OperatorError,
    TransientError,
)
from agentops_ref.etl import Commit, FolderSource, MemorySink, Sink, audit, sync
from agentops_ref.etl.sinks import PostgresSink, Rows
from agentops_ref.records import Chunk, LedgerEntry
from tests.etl.fakes import AT_ONCE, FakeEmbeddings, contents, make_stages, write
from tests.etl.postgres import ENCODED, PASSWORD
from tests.etl.test_sinks import MODEL, ids, rows


@pytest.fixture
def sink(index_uri: str) -> PostgresSink:
    return PostgresSink(index_uri)


@pytest.fixture
def server(postgres: str) -> Iterator[psycopg.Connection]:
    """The administrator's connection."""
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        yield connection


def random_commits(seed: int) -> list[Commit]:
    """Commits of documents whose words are common and rare, repeated and long."""
    rng = random.Random(seed)
    words = ["torque", "Nm", "e41", "NL-8", "smørring", "漢字", "a" * 3000, *map(str, range(30))]
    weights = [1 / (1 + at) for at in range(len(words))]

    def text() -> str:
        return " ".join(rng.choices(words, weights, k=rng.randint(1, 40)))

    commits = []
    for _ in range(4):
        names = rng.sample([f"manuals/{n}.txt" for n in range(20)], 12)
        brought = [
            rows(name, *(text() for _ in range(rng.randint(0, 3))), tenant=rng.choice("ab"))
            for name in names[:9]
        ]
        commits.append(Commit(tuple(brought), delete=tuple(names[9:])))
    return commits


def compared(sink: Sink, model: Sink) -> None:
    """Hold every answer of a snapshot to the one of the sink in memory."""
    assert contents(sink) == contents(model)
    for filters in (None, {"tenant": "a"}, {"tenant": ["a", "b"], "kind": "manuals"}):
        for query in ("torque", "e41 Nm 7 NL 29", "漢字 nothing", "a" * 3000):
            found, wanted = (s.search_text(query, 7, filters) for s in (sink, model))
            assert [f.chunk for f in found] == [f.chunk for f in wanted]
            scores = [f.score for f in wanted]
            assert [f.score for f in found] == pytest.approx(scores, rel=1e-9)
            vector = MODEL.embed_query(query)
            found, wanted = (s.search_vector(vector, 7, filters) for s in (sink, model))
            scores = [f.score for f in wanted]
            assert [f.score for f in found] == pytest.approx(scores, abs=2e-6)


# --- what it finds ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_it_answers_as_the_sink_in_memory_does_in_every_version(
    sink: PostgresSink, seed: int
) -> None:
    model = MemorySink()
    for commit in random_commits(seed):
        assert sink.commit(commit) == model.commit(commit)
    assert sink.rollback(2) == model.rollback(2) == 5
    for version in range(6):
        compared(sink.at(version), model.at(version))  # type: ignore[arg-type]
    lines = [line._replace(made_at="") for line in sink.history()]
    assert lines == [line._replace(made_at="") for line in model.history()]


def test_a_vector_without_length_is_neither_near_nor_far(sink: PostgresSink) -> None:
    made = rows("a.txt", "one", "two", "three")
    made.vectors[:] = 0
    made.vectors[0, 0], made.vectors[2, 0] = -1, 1
    model = MemorySink()
    for each in (sink, model):
        each.commit(Commit((made,)))
        found = each.search_vector([1.0, *[0.0] * 15], 9)
        assert [(f.chunk.text, f.score) for f in found] == [("three", 1), ("two", 0), ("one", -1)]
        assert [f.score for f in each.search_vector([0.0] * 16, 9)] == [0, 0, 0]


def test_text_that_no_column_can_hold_comes_back_as_it_was(sink: PostgresSink) -> None:
    made = rows("a.txt", "text", tenant="nord\x00")
    odd = replace(made.chunks[0], text="before\x00after half \ud83d emoji", context="\x00")
    made = replace(made, chunks=(odd,))
    sink.commit(Commit((made,)))
    assert sink.chunks_of("a.txt") == list(made.chunks)
    assert ids(sink.search_text("after", 3, {"tenant": "nord\x00"})) == ["a.txt"]
    assert sink.search_text("after", 3, {"tenant": "nord"}) == []


def test_many_vectors_get_an_index_which_the_planner_uses(
    index_uri: str, server: psycopg.Connection
) -> None:
    rng = np.random.default_rng(5)
    sink, model = PostgresSink(index_uri, exact_rows=1000), MemorySink()

    def batch(prefix: str, n: int) -> tuple[Rows, ...]:
        made = []
        for at in range(n):
            one = rows(f"{prefix}{at:04}.txt", "text", tenant="rare" if at % 100 == 0 else "")
            made.append(replace(one, vectors=rng.normal(size=(1, 16)).astype(np.float32)))
        return tuple(made)

    first, second = batch("a", 900), batch("b", 1100)
    for each in (sink, model):
        each.commit(Commit(first))
        each.commit(Commit(second, delete=tuple(r.entry.document for r in first[:300])))
    assert sink.snapshot()._head.indexed  # type: ignore[attr-defined]
    server.execute(f"ANALYZE {sink.schema}.chunks")
    held = sink.snapshot()
    for each in (sink, model):
        each.commit(Commit(delete=tuple(r.entry.document for r in second[:200])))

    def share(found: list[Any], wanted: list[Any]) -> float:
        assert len(found) == len(wanted)
        return len(set(ids(found)) & set(ids(wanted))) / len(wanted)

    queries = rng.normal(size=(20, 16)).tolist()
    for seen, wanted in ((sink, model), (held, model.at(2)), (sink.at(1), model.at(1))):
        shares = [share(seen.search_vector(q, 10), wanted.search_vector(q, 10)) for q in queries]
        assert np.mean(shares) > 0.95
        rare = {"tenant": "rare"}  # fewer than asked for: nothing may be lost to the filter
        for q in queries[:3]:
            found = seen.search_vector(q, 50, rare)
            assert ids(found) == ids(wanted.search_vector(q, 50, rare))
    statements: list[str] = []
    with server.transaction():
        from agentops_ref.etl.sinks import postgres_sql as sql

        statement = sql.NEAREST_INDEXED.format(s=sink.schema, width=16, filters="")
        values = {"vector": sql.vector_text(queries[0]), "n": 10, "at": 3}
        statements += [line for (line,) in server.execute(f"EXPLAIN {statement}", values)]
    assert any("chunks_hnsw_16" in line for line in statements), "\n".join(statements)


# --- versions ---------------------------------------------------------------------------------


def row_counts(sink: PostgresSink, server: psycopg.Connection) -> tuple[int, int]:
    counts = [
        server.execute(f"SELECT count(*) FROM {sink.schema}.{table}").fetchone()
        for table in ("ledger", "chunks")
    ]
    return counts[0][0], counts[1][0]  # type: ignore[index]


def test_older_versions_than_are_kept_are_removed(
    index_uri: str, server: psycopg.Connection
) -> None:
    sink = PostgresSink(index_uri, keep_versions=2)
    for n in range(5):
        if n == 3:
            held = sink.snapshot()
        sink.commit(Commit((rows("a.txt", f"text {n}", "more"), rows(f"{n}.txt", "x"))))
    assert row_counts(sink, server) == (7, 9), "a.txt twice, five others"
    assert [chunk.text for chunk in sink.at(4).chunks_of("a.txt")] == ["text 3", "more"]
    assert (sink.at(4).count(), len(sink.at(4).ledger())) == (6, 5)
    for gone in (lambda: sink.at(3), lambda: sink.rollback(3), held.ledger, held.count):
        with pytest.raises(OperatorError, match=r"version 3 is (no longer )?kept"):
            gone()
    assert [line.number for line in sink.history()] == [5, 4, 3, 2, 1]
    assert sink.rollback(4) == 6


def test_a_rollback_writes_the_difference_only(
    sink: PostgresSink, server: psycopg.Connection
) -> None:
    sink.commit(Commit(tuple(rows(f"{n}.txt", "text") for n in range(50))))
    sink.commit(Commit((rows("1.txt", "changed"), rows("new.txt", "new")), delete=("2.txt",)))
    before = row_counts(sink, server)
    sink.rollback(1)
    assert row_counts(sink, server) == (before[0] + 2, before[1] + 2)
    assert len(sink.ledger()) == sink.count() == 50


def test_another_embedding_model_leaves_the_old_version_readable(
    tmp_path: Path, sink: PostgresSink
) -> None:
    docs = write(tmp_path / "docs", {"a.txt": "alpha\nbeta", "b.txt": "gamma"})
    sync(FolderSource(docs), sink, make_stages(), AT_ONCE)
    sync(FolderSource(docs), sink, make_stages(model="m2", dimensions=24), AT_ONCE)
    wide = FakeEmbeddings(24).embed_query("alpha")
    assert len(sink.search_vector(wide, 9)) == 3
    assert len(sink.at(1).search_vector(MODEL.embed_query("alpha"), 9)) == 3
    with pytest.raises(OperatorError, match="16 dimensions, the query has 24"):
        sink.at(1).search_vector(wide, 9)
    sink.rollback(1)
    assert len(sink.search_vector(MODEL.embed_query("alpha"), 9)) == 3


def test_a_snapshot_keeps_the_ledger_of_its_moment(sink: PostgresSink) -> None:
    """Bookkeeping does not move the version, and still not what somebody is reading."""
    sink.commit(Commit((rows("a.txt", "alpha"),), digest="one"))
    held = sink.snapshot()
    touched = replace(held.ledger()["a.txt"], fingerprint="2-2")
    sink.commit(Commit(entries=(touched,), digest="two"))
    assert (held.ledger()["a.txt"].fingerprint, held.digest) == ("1-1", "one")
    assert sink.version == held.version == 1
    assert (sink.at(1).ledger()["a.txt"], sink.at(1).digest) == (touched, "two")


# --- several at once --------------------------------------------------------------------------


def test_indexes_share_a_database(index_uri: str) -> None:
    one, two = PostgresSink(index_uri), PostgresSink(index_uri, schema="another_one")
    one.commit(Commit((rows("a.txt", "alpha"),)))
    assert two.version == 0
    two.commit(Commit((rows("b.txt", "beta"),)))
    with one.hold(), two.hold():
        assert (list(one.ledger()), list(two.ledger())) == (["a.txt"], ["b.txt"])


def test_a_writer_on_another_machine_is_kept_out(index_uri: str) -> None:
    one, two = PostgresSink(index_uri), PostgresSink(index_uri)
    with one.hold(), pytest.raises(TransientError, match="another sync"), two.hold():
        pass
    with two.hold():
        one.commit(Commit((rows("a.txt", "alpha"),)))  # a commit that holds nothing still lands
    assert two.version == 1


def test_commits_without_a_hold_come_one_after_the_other(index_uri: str) -> None:
    sinks = [PostgresSink(index_uri) for _ in range(4)]
    made = [
        threading.Thread(target=sink.commit, args=[Commit((rows(f"{at}.txt", "text"),))])
        for at, sink in enumerate(sinks)
    ]
    for thread in made:
        thread.start()
    for thread in made:
        thread.join()
    assert (sinks[0].version, sinks[0].count()) == (4, 4)


def test_a_sync_that_lost_its_lock_cannot_commit(
    sink: PostgresSink, index_uri: str, server: psycopg.Connection
) -> None:
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    with sink.hold():
        assert sink._holding is not None
        cut(sink._holding, server)
        with PostgresSink(index_uri).hold(wait=5):
            pass
        with pytest.raises(TransientError):
            sink.commit(Commit((rows("b.txt", "beta"),)))
    assert list(sink.ledger()) == ["a.txt"]
    with sink.hold():
        assert sink.commit(Commit((rows("b.txt", "beta"),))) == 2


def test_the_lock_is_free_as_soon_as_a_sync_ends(
    sink: PostgresSink, index_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server takes a while to notice that a session was closed; here it takes until the end.
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    unnoticed: list[psycopg.Connection] = []
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "close", lambda self: unnoticed.append(self))
        with sink.hold():
            pass
        with PostgresSink(index_uri).hold(wait=0):
            pass
    assert len(unnoticed) == 2
    for session in unnoticed:
        session.close()


def cut(session: psycopg.Connection, server: psycopg.Connection) -> None:
    """Let the server end a session."""
    server.execute("SELECT pg_terminate_backend(%s, 5000)", [session.info.backend_pid])


def test_a_connection_that_was_cut_while_idle_is_opened_again(
    sink: PostgresSink, server: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    ((session, _),) = sink._server._idle
    cut(session, server)
    monkeypatch.setattr("agentops_ref.etl.sinks.postgres_server._FRESH", 0)
    assert sink.count() == 1


# --- the server, the password, the driver -----------------------------------------------------


def test_reading_creates_nothing(database: str) -> None:
    sink = PostgresSink(database)
    assert (sink.version, sink.history(), sink.count()) == (0, [], 0)
    sink.maintain()
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT FROM pg_namespace WHERE nspname = 'agentops'")
        assert found.fetchall() == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (ENCODED, "wr0ng-secret", "password authentication failed"),
        ("/postgres", "/nowhere", '"nowhere" does not exist'),
        ("127.0.0.1:", "127.0.0.1:1", "127.0.0.1"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_and_the_password_is_not(
    index_uri: str, old: str, new: str, expected: str
) -> None:
    uri = index_uri.replace(old, new) if old != "127.0.0.1:" else away(index_uri)
    sink = PostgresSink(uri)
    host, database = sink._server.name.split("/")
    with pytest.raises(OperatorError, match=expected) as raised:
        sink.snapshot()
    shown = told(raised.value) + repr(sink) + repr(sink._server) + sink.name
    assert f"{host}/{database}" in str(raised.value)
    for secret in (PASSWORD, ENCODED, "wr0ng-secret"):
        assert secret not in shown


def away(uri: str) -> str:
    """The address with a port at which nobody listens."""
    head, _, tail = uri.partition("127.0.0.1:")
    return f"{head}127.0.0.1:1/{tail.partition('/')[2]}"


def told(error: BaseException) -> str:
    """Everything that a traceback of the error would print."""
    import traceback

    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "uri", [f"postgresql://u:{PASSWORD}@host:5432/db", f"postgresql://u:{ENCODED}@h/db?nonsense=1"]
)
def test_an_address_that_cannot_be_one_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"etl\.sink\.uri") as raised:
        PostgresSink(uri)
    shown = told(raised.value)
    assert PASSWORD not in str(raised.value)
    assert "s3cret" not in "\n".join(line for line in shown.splitlines() if "Error" in line)


def test_the_password_comes_from_elsewhere(index_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = index_uri.replace(f":{ENCODED}", "")
    monkeypatch.setenv("INDEX_PASSWORD", PASSWORD)
    assert PostgresSink(bare, password_env="INDEX_PASSWORD").version == 0
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        return PASSWORD

    sink = PostgresSink(bare, password_from=token)
    with sink.hold():
        assert sink.version == 0
    assert len(asked) == 2, "for each connection: a token expires"
    assert PostgresSink(bare, password_from="tests.etl.test_postgres:token").version == 0
    monkeypatch.setenv("INDEX_PASSWORD", "wr0ng-secret")
    with pytest.raises(OperatorError) as raised:
        PostgresSink(bare, password_env="INDEX_PASSWORD").snapshot()
    assert "wr0ng-secret" not in told(raised.value)
    for more in ({"password_env": "NOT_SET"}, {"password_from": "nowhere:token"}):
        with pytest.raises(ConfigError, match=r"NOT_SET|nowhere"):
            PostgresSink(bare, **more).snapshot()


def token() -> str:
    return PASSWORD


@pytest.mark.parametrize(
    "more", [{"schema": "Bad Name"}, {"schema": "x; DROP TABLE y"}, {"keep_versions": 0}]
)
def test_a_wrong_option_is_refused(index_uri: str, more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"etl.sink.options.{next(iter(more))}"):
        PostgresSink(index_uri, **more)


def test_a_server_without_pgvector_says_what_to_install(database: str) -> None:
    nowhere = "options=-c%20extension_control_path%3D%2Fnowhere"
    with pytest.raises(OperatorError, match="lacks pgvector: install") as raised:
        PostgresSink(f"{database}?{nowhere}").commit(Commit((rows("a.txt", "alpha"),)))
    assert "CREATE EXTENSION vector" in str(raised.value)
    assert PostgresSink(database).version == 0
    assert PostgresSink(database).commit(Commit((rows("a.txt", "alpha"),))) == 1


def test_a_user_who_may_not_write_is_told(sink: PostgresSink, server: psycopg.Connection) -> None:
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    role = f"reader_{sink.schema}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reader-secret'")
    server.execute(f"GRANT USAGE ON SCHEMA {sink.schema} TO {role}")
    server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {sink.schema} TO {role}")
    uri = f"postgresql://{role}:reader-secret@127.0.0.1:{server.info.port}/postgres"
    reader = PostgresSink(uri, schema=sink.schema)
    assert ids(reader.search_text("alpha", 3)) == ["a.txt"]
    with pytest.raises(OperatorError, match="permission denied"):
        reader.commit(Commit(delete=("a.txt",)))
    assert sink.count() == 1


def test_a_missing_driver_is_named(index_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"agentops-ref\[postgres\]"):
        PostgresSink(index_uri)


def test_rows_behind_the_sinks_back(
    sink: PostgresSink, server: psycopg.Connection, tmp_path: Path
) -> None:
    docs = write(tmp_path / "docs", {"a.txt": "alpha\nbeta", "c.txt": "gamma"})
    sync(FolderSource(docs), sink, make_stages(), AT_ONCE)
    columns = "id, document, kind, tenant, title, payload, terms, times, words, vector, born"
    for owner in ("owner", "'ghost.txt'"):
        server.execute(
            f"INSERT INTO {sink.schema}.chunks (owner, {columns}) "
            f"SELECT {owner}, {columns} FROM {sink.schema}.chunks WHERE owner = 'c.txt' LIMIT 1"
        )
    report = audit(FolderSource(docs), sink, make_stages(), repair=True)
    assert [(f.kind, f.document) for f in report.findings] == [
        ("duplicated", "c.txt"),
        ("orphaned", "ghost.txt"),
    ]
    assert audit(FolderSource(docs), sink, make_stages()).findings == ()
    fresh = MemorySink()
    sync(FolderSource(docs), fresh, make_stages(), AT_ONCE)
    found = [(f.chunk, round(f.score, 6)) for f in sink.search_text("gamma beta", 9)]
    assert found == [(f.chunk, round(f.score, 6)) for f in fresh.search_text("gamma beta", 9)]


def test_nothing_is_half_written_when_a_row_cannot_be(sink: PostgresSink) -> None:
    sink.commit(Commit((rows("a.txt", "alpha"),)))
    before = contents(sink)
    good, bad = rows("a.txt", "changed"), rows("b.txt", "beta")
    bad.vectors[0, 0] = np.nan
    with pytest.raises(AgentOpsError, match="NaN"):
        sink.commit(Commit((good, bad)))
    assert contents(sink) == before
    entry = LedgerEntry("c.txt", "1", "h", "p.c.e", 0)
    assert sink.commit(Commit(entries=(entry,))) == 1


def test_it_is_wired(index_uri: str, tmp_path: Path) -> None:
    from agentops_ref.config import load_config
    from agentops_ref.wiring import build

    config = load_config(
        overrides=["etl.sink.kind=postgres", f"etl.sink.uri={index_uri}",
                   "etl.sink.options.keep_versions=7"],
    )  # fmt: skip
    sink = build(config).sink
    assert isinstance(sink, PostgresSink)
    assert sink.keep_versions == 7
    assert index_uri.endswith(sink.schema)
    chunk = Chunk("x", "x.txt", "v", 0, "text", "", None, {})
    entry = LedgerEntry("x.txt", "1", "h", "r", 1)
    assert sink.commit(Commit((Rows(entry, (chunk,), np.ones((1, 2), np.float32)),))) == 1
