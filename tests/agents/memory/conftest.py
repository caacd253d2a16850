"""A SQLite file for each test, and a Postgres server with a schema of its own for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from agentops_ref.agents.memory import Database, open_database
from tests.etl.postgres import postgres_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server's address, without a database."""
    with postgres_server() as address:
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE memory")
        with psycopg.connect(f"{address}/memory") as connection:
            connection.execute("CREATE EXTENSION vector")
        yield address


@pytest.fixture
def new_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Return the URL of a new, empty file or schema."""

    def make(kind: str) -> str:
        number = next(_NUMBERS)
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/memory{number}.db"
        address = request.getfixturevalue("postgres")
        with psycopg.connect(f"{address}/memory") as connection:
            connection.execute(f"CREATE SCHEMA memory_{number}")
        return f"{address}/memory?options=-csearch_path%3Dmemory_{number},public"

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def uri(request: pytest.FixtureRequest, new_uri: Callable[[str], str]) -> str:
    """The URL of a new, empty file, then schema."""
    return new_uri(request.param)


@pytest.fixture
def database(uri: str) -> Iterator[Database]:
    """A new, empty database of each kind."""
    made = open_database(uri)
    yield made
    made.close()
