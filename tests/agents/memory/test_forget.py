"""Forgetting is found in the files: no byte of what was said is left in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest

from agentops_ref.agents.memory import (
    Database,
    FactSource,
    FactStore,
    Threads,
    fact_store,
    new_fact,
    open_database,
)
from agentops_ref.agents.memory.database import SqliteFile
from agentops_ref.errors import TransientError
from agentops_ref.testing import HashEmbeddings
from tests.agents.memory.killed import conversation_of
from tests.agents.memory.parts import START, Echo

SECRET = "the spare key lies under the blue flowerpot"
OTHER = "the neighbour opens the gate"
WHO = "customer C1001"
MODEL = HashEmbeddings(64)


def tell(store: FactStore, *words: str, subject: str = WHO, day: int = 0) -> list[str]:
    told = [
        new_fact(
            tenant="torvik",
            subject=subject,
            attribute="access",
            text=text,
            source=FactSource("t", f"m{day}{place}", "customer"),
            learned_at=START + timedelta(days=day, minutes=place),
        )
        for place, text in enumerate(words)
    ]
    store.tell(told)
    return [one.id for one in told]


def files_of(path: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in sorted(path.parent.iterdir())
        if file.is_file() and file.name.startswith(path.name)
    }


def traces(path: Path, *wanted: bytes) -> list[tuple[str, bytes]]:
    return [(n, w) for n, held in files_of(path).items() for w in wanted if w in held]


def vector_of(text: str) -> bytes:
    return np.asarray(MODEL.embed_query(f"access: {text}"), dtype="<f4").tobytes()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def test_nothing_of_a_fact_is_left_in_the_sqlite_files(file: Path) -> None:
    with closing(open_database(f"sqlite:///{file}")) as database:
        store = fact_store(database, lambda: MODEL)
        # Enough that pages split and cells move, which is where old bytes stay behind.
        for day in range(40):
            tell(store, f"{SECRET} {day}", f"{SECRET} {day} again", day=day)
            tell(store, f"{OTHER} {day}", subject="customer C2", day=day)
        secret = (SECRET.encode(), vector_of(f"{SECRET} 7"), WHO.encode())
        assert traces(file, *secret)
        gone = store.forget(tenant="torvik", subject=WHO)
        assert gone.facts == 80
        assert traces(file, *secret) == []
        assert traces(file, OTHER.encode(), vector_of(f"{OTHER} 7"))  # the others are there
        assert len(store.show()) == 40


def test_one_forgotten_fact_leaves_the_others_of_its_subject(file: Path) -> None:
    with closing(open_database(f"sqlite:///{file}")) as database:
        store = fact_store(database, lambda: MODEL)
        (first, second) = tell(store, OTHER, SECRET)
        store.forget(tenant="torvik", subject=WHO, fact=second)
        left = traces(file, SECRET.encode(), vector_of(SECRET), second.encode())
        assert left == []
        assert [one.id for one in store.show()] == [first]


def test_deleting_alone_would_leave_bytes(file: Path) -> None:
    """What forgetting does beyond DELETE is needed: without it, this test's look finds them."""

    class Careless(SqliteFile):
        def scrub(self) -> None:
            pass

    store = fact_store(Careless(file), lambda: MODEL)
    tell(store, SECRET)
    with closing(sqlite3.connect(file)) as reader:  # keeps the log from being emptied by itself
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM facts").fetchall()
        store.forget(tenant="torvik", subject=WHO)
        assert store.show() == []
        assert traces(file, SECRET.encode())


def test_a_reader_that_holds_the_log_is_told_and_the_call_repeated(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentops_ref.agents.memory.database._WAIT", 0.1)
    store = fact_store(SqliteFile(file), lambda: MODEL)
    tell(store, SECRET)
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM facts").fetchall()
        with pytest.raises(TransientError, match=r"run the same again|locked"):
            store.forget(tenant="torvik", subject=WHO)
        assert store.show() == []  # gone for readers
    assert store.forget(tenant="torvik", subject=WHO).facts == 0
    assert traces(file, SECRET.encode(), vector_of(SECRET)) == []


def talk(database: Database, thread: str, *said: str) -> Threads:
    threads = Threads(database, version="1")
    conversation = conversation_of(threads, Echo())
    for text in said:
        conversation(text, thread=thread)
    return threads


def test_nothing_of_a_deleted_thread_is_left_in_the_sqlite_files(file: Path) -> None:
    with closing(open_database(f"sqlite:///{file}")) as database:
        threads = talk(database, "t", *(f"{SECRET} {n}" for n in range(12)))
        talk(database, "u", *(f"{OTHER} {n}" for n in range(12)))
        assert threads.read("t").summary
        store = fact_store(database, lambda: MODEL)
        tell(store, SECRET)
        assert traces(file, SECRET.encode())
        assert threads.delete("t") == 1
        assert traces(file, SECRET.encode()) != []  # the fact is still there
        store.forget(tenant="torvik", subject=WHO)
        assert traces(file, SECRET.encode()) == []
        assert len(threads.read("u").messages) > 0


def test_nothing_of_a_fact_is_left_in_postgres(new_uri: Callable[[str], str]) -> None:
    uri = new_uri("postgres")
    with closing(open_database(uri)) as database:
        store = fact_store(database, lambda: MODEL)
        for day in range(40):
            tell(store, f"{SECRET} {day}", day=day)
            tell(store, f"{OTHER} {day}", subject="customer C2", day=day)
        with psycopg.connect(uri, autocommit=True) as admin:
            assert SECRET in _held(admin)
            store.forget(tenant="torvik", subject=WHO)
            held = _held(admin)
            assert SECRET not in held
            assert WHO not in held
            assert OTHER in held
            counted = admin.execute("SELECT count(*), count(vector) FROM facts").fetchone()
            assert counted == (40, 40)


def test_somebody_who_reads_postgres_is_waited_for(
    new_uri: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentops_ref.agents.memory.database._WAIT", 1)
    uri = new_uri("postgres")
    with closing(open_database(uri)) as database:
        store = fact_store(database, lambda: MODEL)
        tell(store, SECRET)
        with psycopg.connect(uri) as reader:
            reader.execute("SELECT count(*) FROM facts")
            with pytest.raises(TransientError, match="lock timeout"):
                store.forget(tenant="torvik", subject=WHO)
            assert store.show() == []
        assert store.forget(tenant="torvik", subject=WHO).facts == 0
        with psycopg.connect(uri, autocommit=True) as admin:
            assert SECRET not in _held(admin)


def _held(admin: psycopg.Connection) -> str:
    """Return all bytes of the table's file and its indexes, as the server reads them from disk."""
    admin.execute("CHECKPOINT")
    names = [
        row[0]
        for row in admin.execute(
            "SELECT pg_relation_filepath(oid) FROM pg_class WHERE oid = 'facts'::regclass "
            "UNION ALL SELECT pg_relation_filepath(indexrelid) FROM pg_index "
            "WHERE indrelid = 'facts'::regclass"
        )
    ]
    read = [admin.execute("SELECT pg_read_binary_file(%s)", [name]).fetchone() for name in names]
    return b"".join(row[0] for row in read if row).decode("latin-1")


def test_no_row_of_a_deleted_thread_is_left_in_postgres(new_uri: Callable[[str], str]) -> None:
    uri = new_uri("postgres")
    with closing(open_database(uri)) as database:
        threads = talk(database, "t", *(f"{SECRET} {n}" for n in range(6)))
        talk(database, "u", OTHER)
        threads.delete("t")
        with psycopg.connect(uri) as admin:
            for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
                rows = admin.execute(
                    f"SELECT count(*) FROM {table} WHERE thread_id = 't'"
                ).fetchone()
                assert rows == (0,), table
            (blobs,) = admin.execute(
                "SELECT string_agg(encode(blob, 'escape'), '') FROM checkpoint_blobs"
            ).fetchone()  # type: ignore[misc]
            assert OTHER in blobs
            assert SECRET not in blobs
