"""On Databricks: what a deployed agent needs, as resources; and a database that they do not reach.

The workspace is a server on loopback that speaks the published API; no real one was ever asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.apps.loopback import Asked, JsonService
from agentops_ref.config import load_config
from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.lakebase import EARLY, LakebasePassword
from agentops_ref.ops.resources import needs, resources
from agentops_ref.secret import scrub
from tests.etl.postgres import postgres_server


class Workspace:
    """Gives out numbered tokens that count for an hour."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.hours, self.status = 1.0, 200
        self.given: Callable[[str], None] = lambda token: None
        """Is told each token, as the database would come to know it."""
        self.service = JsonService(self._answer)

    def _answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.path != "/api/2.0/database/credentials":
            return 404, {"error_code": "NOT_FOUND", "message": asked.path}
        self.asked.append(asked)
        if self.status != 200:
            return self.status, {"error_code": "PERMISSION_DENIED", "message": "may not"}
        end = datetime.now(UTC) + timedelta(hours=self.hours)
        token = f"lakebase-token-{len(self.asked)}"
        self.given(token)
        return 200, {"token": token, "expiration_time": end.strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    made = Workspace()
    monkeypatch.setenv("DATABRICKS_HOST", made.service.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-of-the-agent")
    with made.service:
        yield made


def test_a_password_is_fetched_once_and_renewed_before_its_end(workspace: Workspace) -> None:
    now = [datetime.now(UTC).timestamp()]
    password = LakebasePassword("fjordvarm-db", clock=lambda: now[0])
    assert password() == password() == "lakebase-token-1"
    (asked,) = workspace.asked
    assert asked.body["instance_names"] == ["fjordvarm-db"]
    assert asked.headers["authorization"] == "Bearer dapi-of-the-agent"
    now[0] += 3600 - EARLY - 60
    assert password() == "lakebase-token-1"
    now[0] += 120
    assert password() == "lakebase-token-2", "minutes before the first one ends"
    assert scrub("lakebase-token-2") == "***"
    assert "token" not in repr(password)


def test_many_threads_ask_once(workspace: Workspace) -> None:
    password, found = LakebasePassword("db"), []
    threads = [threading.Thread(target=lambda: found.append(password())) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert found == ["lakebase-token-1"] * 8


def test_a_token_that_is_about_to_end_is_not_kept(workspace: Workspace) -> None:
    workspace.hours = 0.01
    password = LakebasePassword("db")
    assert [password(), password()] == ["lakebase-token-1", "lakebase-token-2"]


def test_a_workspace_that_refuses_is_told(workspace: Workspace) -> None:
    workspace.status = 403
    with pytest.raises(OperatorError, match="Lakebase db: no password: may not"):
        LakebasePassword("db")()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as address:
        yield address


@pytest.fixture
def address(server: str, workspace: Workspace) -> Iterator[str]:
    """A real Postgres with a user whose password is the newest token, and only that."""
    import psycopg

    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute("drop role if exists agent")
        admin.execute("create role agent login superuser")

        def given(token: str) -> None:
            admin.execute(f"alter role agent password '{token}'")

        workspace.given = given
        yield f"postgresql://agent@{server.rpartition('@')[2]}/postgres"


def cut_off(server: str) -> None:
    """End the user's connections, as a restart or an idle limit would."""
    import psycopg

    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename='agent'"
        )


@pytest.mark.slow
def test_the_sink_and_the_memory_connect_with_tokens_that_change(
    server: str, address: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentops_ref.agents.memory.database import PostgresDatabase
    from agentops_ref.etl.sinks import postgres_server as sinks
    from agentops_ref.etl.sinks.postgres_server import Server

    monkeypatch.setattr(sinks, "_FRESH", 0)  # a connection is tried before it is lent
    now = [datetime.now(UTC).timestamp()]
    password = LakebasePassword("fjordvarm-db", clock=lambda: now[0])
    sink = Server(address, password_from=password)
    memory = PostgresDatabase(address, password_from=password)

    def who() -> list[str]:
        found = []
        for place in (sink, memory):
            with place.connection() as connection:
                found += [row[0] for row in connection.execute("select current_user")]
        return found

    assert who() == ["agent", "agent"]
    assert len(workspace.asked) == 1
    now[0] += 3600
    workspace.hours = 3.0
    cut_off(server)
    assert who() == ["agent", "agent"]
    assert len(workspace.asked) == 2, "the old token would have been refused"
    # And refused it is: a password that was fetched once does not do.
    workspace.given("lakebase-token-of-somebody-else")
    cut_off(server)
    with (
        pytest.raises(OperatorError, match="password authentication failed") as caught,
        Server(address, password_from=lambda: "lakebase-token-1").connection(),
    ):
        pass
    assert "lakebase-token" not in str(caught.value)
    memory.pool.close()


def test_what_a_configuration_needs_is_read_off_it() -> None:
    config = load_config(
        overrides={
            "models.chat": {
                "provider": "openai",
                "name": "databricks-claude",
                "options": {"base_url": "https://w.cloud.databricks.com/serving-endpoints"},
            },
            "models.embedding": {
                "provider": "langchain",
                "name": "bge",
                "options": {
                    "class": "databricks_langchain:DatabricksEmbeddings",
                    "endpoint": "databricks-bge-large-en",
                },
            },
            "etl.sink": {"kind": "databricks", "uri": "databricks://main/fjord/index?endpoint=e"},
            "tools.unity_catalog": {
                "warehouse": "abc123",
                "functions": [{"function": "main.tools.price"}, {"function": "main.tools.eta"}],
                "connections": [
                    {"tool": "weather", "description": "d", "connection": "met", "path": "/x"}
                ],
            },
            "tools.servers": [
                {
                    "name": "managed",
                    "url": "https://w.cloud.databricks.com/api/2.0/mcp/functions/main/tools",
                    "tools": ["main__tools__price", "stock"],
                },
                {"name": "g", "url": "https://w.cloud.databricks.com/api/2.0/mcp/genie/01ef"},
                {"name": "app", "url": "https://sensors-7405612.aws.databricksapps.com/mcp"},
                {"name": "elsewhere", "url": "https://third-party.example/mcp"},
            ],
            "agent.specialists.records.url": (
                "https://w.cloud.databricks.com/serving-endpoints/records-agent"
            ),
            "memory.uri": "postgresql://me@db.example/x",
            "memory.databricks_instance": "fjordvarm-db",
        }
    )
    assert needs(config) == [
        ("serving_endpoint", "databricks-claude"),
        ("serving_endpoint", "databricks-bge-large-en"),
        ("vector_search_index", "main.fjord.index"),
        ("sql_warehouse", "abc123"),
        ("function", "main.tools.price"),
        ("function", "main.tools.eta"),
        ("uc_connection", "met"),
        ("function", "main.tools.stock"),
        ("genie_space", "01ef"),
        ("app", "sensors"),
        ("serving_endpoint", "records-agent"),
        ("lakebase", "fjordvarm-db"),
    ]
    made = resources(config)
    assert [(one.type.value, one.name) for one in made] == needs(config)


def test_a_local_configuration_needs_nothing() -> None:
    assert needs(load_config()) == []
    assert resources(load_config()) == []


def test_mlflow_keeps_the_list_with_a_model(tmp_path: Path) -> None:
    """Offline: what is written beside a model is what its place of deployment reads."""
    import yaml
    from mlflow.models.resources import _ResourceBuilder

    config = load_config(
        overrides={"etl.sink": {"kind": "databricks", "uri": "databricks://a/b/c?endpoint=e"}}
    )
    kept = _ResourceBuilder.from_resources(resources(config))
    assert yaml.safe_load(yaml.safe_dump(kept))["databricks"] == {
        "vector_search_index": [{"name": "a.b.c"}]
    }


def test_only_one_source_of_a_password(tmp_path: Path) -> None:
    from agentops_ref.etl.sinks.postgres import PostgresSink

    with pytest.raises(ConfigError, match="expected one of"):
        PostgresSink("postgresql://me@h/d", password_env="X", databricks_instance="db")
    with pytest.raises(ConfigError, match="either `password_env` or `databricks_instance`"):
        load_config(overrides={"memory.password_env": "X", "memory.databricks_instance": "db"})
