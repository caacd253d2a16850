"""From the section ``tools:`` to a registry; the one place that knows every kind of source.

Taught in chapter 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentops_ref.agents.auth.client import TokenClient
from agentops_ref.agents.chain import Search
from agentops_ref.agents.tools.audit import AuditFile
from agentops_ref.agents.tools.documents import SearchTool
from agentops_ref.agents.tools.functions import FunctionTool, imported
from agentops_ref.agents.tools.records import RecordQuery, record_tools
from agentops_ref.agents.tools.registry import Gate, Inspect, Registry
from agentops_ref.agents.tools.sensors import Sensors
from agentops_ref.agents.tools.spec import Rate, Tool, ToolSource, ToolSpec
from agentops_ref.errors import ConfigError, OperatorError, nearest
from agentops_ref.settings import ToolOverride, ToolsConfig
from agentops_ref.tracing import Tracer

EVERYTHING = "*"


def build_registry(
    settings: ToolsConfig,
    *,
    query: RecordQuery,
    path: Callable[[Path], Path],
    allow: Mapping[str, Sequence[str]],
    roles: Mapping[str, Sequence[str]] | None = None,
    tokens: TokenClient | None = None,
    logins: Path | None = None,
    search: Search | None = None,
    tracer: Tracer | None = None,
    gate: Gate | None = None,
    inspect: Inspect | None = None,
    mask: Callable[[Any], Any] | None = None,
) -> Registry:
    """Return a registry with the configured tools.

    A server that cannot be reached stops nothing: it stands in `Registry.absent`, and is asked
    again later.

    Parameters
    ----------
    query
        Runs one SELECT over the tables with named parameters.
    path
        Resolves a path of the configuration.
    allow
        Agent → the tools that it may call, "*" for all. No other agent may call any; a name of no
        tool allows nothing.
    roles
        Role → the tools that it opens, "*" for all; without them, nobody needs one.
    tokens
        Gets tokens for MCP servers that want one on behalf of whoever asks.
    logins
        Folder with what was granted to us where somebody logged in at an MCP server.
    search
        The search over the documents; without it there is no such tool.
    gate
        Asked before each call of a tool that writes.
    inspect
        Looks at each result before a model is told it.
    mask
        Returns what the audit may keep of arguments.

    Raises
    ------
    ConfigError
        A function that cannot be imported, or an override of a tool that is not there.
    """
    registry = Registry(
        audit=AuditFile(path(settings.audit), mask=mask),
        tracer=tracer,
        gate=gate,
        inspect=inspect,
        adapt=lambda spec: adapted(
            replace(
                spec,
                agents=_allowed(spec.name, allow),
                roles=spec.roles if roles is None else _allowed(spec.name, roles),
            ),
            settings.overrides.get(spec.name),
        ),
    )
    if search is not None:
        registry.register(SearchTool(search, **_common(settings)))
    for tool in _ours(settings, query, path):
        registry.register(tool)
    for source in _theirs(settings, path, tokens, logins):
        registry.connect(source)
    _check(settings.overrides, registry)
    return registry


def _allowed(tool: str, allow: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(agent for agent, names in allow.items() if {tool, EVERYTHING} & set(names))


def adapted(spec: ToolSpec, override: ToolOverride | None) -> ToolSpec:
    """Return a specification with what the configuration says in place of it.

    Raises
    ------
    OperatorError
        The configuration wants another version: what the tool is has changed since it was read.
    """
    if override is None:
        return spec
    said = {
        name: value
        for name, value in override.model_dump(exclude={"version", "rate", "agents"}).items()
        if value is not None
    }
    if "effect" in said and "repeat" not in said:
        said["repeat"] = None  # as fits the effect
    if override.rate is not None:
        said["rate"] = Rate(override.rate.calls, override.rate.seconds)
    if override.agents is not None:
        said["agents"] = tuple(override.agents)
    if override.version is not None and override.version != spec.version:
        raise OperatorError(
            f"tool {spec.name} has the version {spec.version}, and tools.overrides wants "
            f"{override.version}: read what it says and does now, then change the one or the other"
        )
    return replace(spec, **said)


def _ours(
    settings: ToolsConfig, query: RecordQuery, path: Callable[[Path], Path]
) -> Iterator[Tool]:
    common = _common(settings)
    if settings.records:
        yield from record_tools(query, **common)
    if settings.sensors:
        yield from Sensors(query).tools(**common)
    if settings.schedule is not None:
        from agentops_ref.agents.tools.schedule import Schedule

        yield from Schedule(path(settings.schedule), query).tools(**common)
    for function in settings.python:
        yield FunctionTool(imported(function), **common)


def _theirs(
    settings: ToolsConfig,
    path: Callable[[Path], Path],
    tokens: TokenClient | None,
    logins: Path | None,
) -> Iterator[ToolSource]:
    common = _common(settings)
    for server in settings.servers:
        from agentops_ref.agents.tools.mcp import source_of

        yield source_of(server, tokens=tokens, logins=logins, **common)
    for service in settings.openapi:
        from agentops_ref.agents.tools.openapi import openapi_source

        yield openapi_source(service, base=path(Path()), **common)
    if settings.unity_catalog is not None:
        from agentops_ref.agents.tools.unity import unity_sources

        yield from unity_sources(settings.unity_catalog, **common)


def _common(settings: ToolsConfig) -> dict[str, Any]:
    return {"timeout": settings.timeout, "max_chars": settings.max_chars}


def _check(names: Iterable[str], registry: Registry) -> None:
    """Refuse an override of no tool, unless the tool may be at a source that is not there."""
    known = tuple(spec.name for spec in registry.specs())
    for name in names:
        if name not in known and not registry.absent:
            raise ConfigError(f"tools.overrides: there is no tool '{name}'{nearest(name, known)}")
