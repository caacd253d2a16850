"""Where memory is kept: what a URL may be, and what is said when it is wrong or away."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentops_ref.agents.memory import Database, Threads, fact_store, open_database
from agentops_ref.errors import ConfigError, OperatorError, TransientError
from agentops_ref.testing import HashEmbeddings
from tests.etl.postgres import PASSWORD


@pytest.mark.parametrize(
    "uri", ["", "memory.db", "sqlite://memory.db", "sqlite:///", "mysql://u:secret@host/db"]
)
def test_a_url_of_another_kind_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"memory\.uri: expected sqlite:///FILE or") as refused:
        open_database(uri)
    assert "secret@" not in str(refused.value)


def test_a_password_that_is_not_encoded_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="percent-encode") as refused:
        open_database("postgresql://user:pa@ss/word@host/db")
    assert "ss/word" not in str(refused.value)


def test_a_password_comes_from_a_variable(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = postgres.rpartition("@")[2]
    uri = f"postgresql://tester@{host}/postgres"
    with pytest.raises(ConfigError, match=r"memory\.password_env: no environment variable PG_PW"):
        fact_store(open_database(uri, password_env="PG_PW"), lambda: HashEmbeddings()).show()
    monkeypatch.setenv("PG_PW", PASSWORD)
    database = open_database(uri, password_env="PG_PW")
    assert fact_store(database, lambda: HashEmbeddings(8)).show() == []
    database.close()
    monkeypatch.setenv("PG_PW", "wrong/secret")
    with pytest.raises((OperatorError, TransientError), match="memory at 127") as refused:
        fact_store(open_database(uri, password_env="PG_PW"), lambda: HashEmbeddings()).show()
    assert "wrong/secret" not in str(refused.value)
    with pytest.raises(ConfigError, match="a SQLite file has no password"):
        open_database("sqlite:///x.db", password_env="PG_PW")


def test_a_server_that_is_away_is_named() -> None:
    database = open_database("postgresql://tester:hidden@127.0.0.1:1/none")
    with pytest.raises(TransientError, match=r"memory at 127\.0\.0\.1:1/none: ") as refused:
        Threads(database, version="1").read("a")
    assert "hidden" not in str(refused.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    file.write_text("no database at all, but long enough to be looked at as one" * 10)
    with pytest.raises(OperatorError, match=r"memory\.db: file is not a database"):
        Threads(open_database(f"sqlite:///{file}"), version="1").read("a")


def test_a_lock_ends_with_its_holder(database: Database) -> None:
    with (
        database.one_at_a_time("x", wait=0),
        database.one_at_a_time("y", wait=0),
        pytest.raises(TransientError, match="x: somebody else is at it for longer than 0"),
        database.one_at_a_time("x", wait=0),
    ):
        pass
    with database.one_at_a_time("x", wait=0):
        pass


def test_a_server_that_was_restarted_is_no_error(database: Database, uri: str) -> None:
    store = fact_store(database, lambda: HashEmbeddings(8))
    assert store.show() == []
    if uri.startswith("postgresql:"):
        import psycopg

        with psycopg.connect(uri, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'agentops'"
            )
    assert store.show() == []
    assert Threads(database, version="1").read("a").messages == ()
