"""One Postgres server for the tests that want one, and an index of its own for each of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from tests.etl.postgres import postgres_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server's address, without a database."""
    with postgres_server() as address:
        yield address


@pytest.fixture
def index_uri(postgres: str) -> str:
    """Address of an index that does not exist yet."""
    return f"{postgres}/postgres?schema=index_{next(_NUMBERS)}"


@pytest.fixture
def database(postgres: str) -> str:
    """Address of an empty database, without pgvector."""
    name = f"empty_{next(_NUMBERS)}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    return f"{postgres}/{name}"
