"""What a deployed agent needs on Databricks, as MLflow's resources. Taught in chapter 7.

An agent that is logged with resources gets credentials for them by itself, and for nothing else:
least privilege by list, within what whoever deploys it may do. The list is read off the configuration, so
that it cannot fall behind it. Passed as ``resources=`` to ``mlflow.pyfunc.log_model``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from agentops_ref.config import Config
from agentops_ref.settings import ChatConfig, EmbeddingConfig

Named = tuple[str, str]
"""(kind, name), by MLflow's names of the kinds."""

_SERVING = re.compile(r"/serving-endpoints(?:/([^/?]+))?")
_MCP = re.compile(r"/api/2\.0/mcp/(functions|vector-search|genie)/([^/?]+)(?:/([^/?]+))?")


def needs(config: Config) -> list[Named]:
    """Return what the configured agent reaches on Databricks, each once, in the order of use."""
    return list(dict.fromkeys(_needs(config)))


def resources(config: Config) -> list[Any]:
    """Return `needs` as ``mlflow.models.resources``."""
    from mlflow.models import resources as kinds

    make: dict[str, Any] = {
        "serving_endpoint": kinds.DatabricksServingEndpoint,
        "vector_search_index": kinds.DatabricksVectorSearchIndex,
        "function": kinds.DatabricksFunction,
        "sql_warehouse": kinds.DatabricksSQLWarehouse,
        "uc_connection": kinds.DatabricksUCConnection,
        "genie_space": kinds.DatabricksGenieSpace,
        "app": kinds.DatabricksApp,
        "lakebase": kinds.DatabricksLakebase,
    }
    return [make[kind](name) for kind, name in needs(config)]


def _needs(config: Config) -> Iterator[Named]:
    models = config.models
    for model in (models.chat, models.embedding, models.vision):
        if model is not None:
            yield from _served(model)
    yield from _index(config)
    tools = config.tools
    if tools.unity_catalog is not None:
        if tools.unity_catalog.warehouse:
            yield "sql_warehouse", tools.unity_catalog.warehouse
        for function in tools.unity_catalog.functions:
            yield "function", function.function
        for connection in tools.unity_catalog.connections:
            yield "uc_connection", connection.connection
    for server in tools.servers:
        yield from _behind(server.url or "", server.tools)
    for specialist in config.agent.specialists.values():
        yield from _behind(specialist.url or "", [])
    if config.memory.databricks_instance:
        yield "lakebase", config.memory.databricks_instance


def _served(model: ChatConfig | EmbeddingConfig) -> Iterator[Named]:
    """A model behind model serving: by Databricks' own classes, or by its OpenAI address."""
    options = model.options
    named = str(options.get("endpoint") or options.get("model") or model.name)
    if str(options.get("class", "")).startswith("databricks_langchain") or _SERVING.search(
        urlsplit(str(options.get("base_url", ""))).path
    ):
        yield "serving_endpoint", named


def _index(config: Config) -> Iterator[Named]:
    sink = config.etl.sink
    if sink.kind == "databricks":
        parts = urlsplit(sink.uri)
        yield "vector_search_index", ".".join([parts.netloc, *parts.path.strip("/").split("/")])
    instance = sink.options.get("databricks_instance")
    if sink.kind == "postgres" and instance:
        yield "lakebase", str(instance)


def _behind(url: str, tools: list[str]) -> Iterator[Named]:
    """What stands behind an address of a workspace, or of a Databricks app."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.endswith(".databricksapps.com"):
        yield "app", re.sub(r"-\d+$", "", host.split(".")[0])
    elif found := _MCP.search(parts.path):
        kind, first, second = found.groups()
        if kind == "genie":
            yield "genie_space", first
        elif second is not None:
            one = "function" if kind == "functions" else "vector_search_index"
            for tool in tools:
                # A managed server's tool is called catalog__schema__name.
                yield one, ".".join([first, second, tool.rpartition("__")[2]])
    elif (found := _SERVING.search(parts.path)) and found[1]:
        yield "serving_endpoint", found[1]


__all__ = ["Named", "needs", "resources"]
