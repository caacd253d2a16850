"""The databases of memory: a SQLite file for each test, a schema of a Postgres server."""

from tests.agents.memory.conftest import database, new_uri, postgres, uri

__all__ = ["database", "new_uri", "postgres", "uri"]
