"""Names in YAML → objects. A name is one of `PARTS`, or an import path ``module:attribute``."""

from __future__ import annotations

import importlib
from typing import Any

from agentops_ref.errors import ConfigError, nearest

PARTS: dict[str, dict[str, str]] = {
    "source": {
        "folder": "agentops_ref.etl.sources:FolderSource",
        "files": "agentops_ref.etl.sources:FilesSource",
        "http": "agentops_ref.etl.sources:HttpSource",
        "sql": "agentops_ref.etl.sources:SqlSource",
    },
    "sink": {
        "databricks": "agentops_ref.etl.sinks.databricks:DatabricksSink",
        "lancedb": "agentops_ref.etl.sinks.lance:LanceSink",
        "memory": "agentops_ref.etl.sinks.memory:MemorySink",
        "postgres": "agentops_ref.etl.sinks.postgres:PostgresSink",
    },
    "engine": {
        "daft": "agentops_ref.etl.engines:DaftEngine",
        "local": "agentops_ref.etl.engines:LocalEngine",
    },
    "completeness": {"extract": "agentops_ref.etl.extract:expected_fields"},
    "agent": {
        "router": "agentops_ref.wiring.teams:router",
        "supervisor": "agentops_ref.wiring.teams:supervisor",
        "endpoints": "agentops_ref.wiring.teams:endpoints",
        "chain": "agentops_ref.wiring.agents:chain",
        "tools": "agentops_ref.wiring.agents:tool_loop",
        "prompt": "agentops_ref.wiring.agents:direct",
        "llm": "agentops_ref.wiring.agents:direct",
    },
}
"""kind of part → name in YAML → import path; our own back ends come in through it as well.

A source is called with (root, include, exclude, max_bytes=..., **options), a sink with (uri,
**options), an engine other than `local` with (parts, **the rest of its section), an agent with the
`App` and gives something that is called with a question.
"""


def load(kind: str, name: str) -> Any:
    """Return the object behind ``name``: one of `PARTS` or an import path ``module:attribute``."""
    known = PARTS.get(kind, {})
    target = known.get(name, name)
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ConfigError(f"unknown {kind} '{name}'{nearest(name, tuple(known))}")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{kind} '{name}': cannot import {target}: {error}") from error
