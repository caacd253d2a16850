"""One Postgres server for the tests that want one, and an index of its own for each of them."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.etl.databricks import TOKEN, VectorSearchServer
from tests.etl.postgres import postgres_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server's address, without a database."""
    with postgres_server() as address:
        yield address


@pytest.fixture(scope="session")
def vector_search() -> Iterator[VectorSearchServer]:
    """A server on loopback with the API of Databricks Vector Search."""
    os.environ["DATABRICKS_TOKEN"] = TOKEN
    server = VectorSearchServer()
    yield server
    server.close()


@pytest.fixture
def vector_search_uri(vector_search: VectorSearchServer) -> str:
    """Address of an index there that does not exist yet."""
    return vector_search.address(f"index_{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """An S3 server on loopback, of the same API as a bucket somewhere."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    yield server
    server.stop()


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
