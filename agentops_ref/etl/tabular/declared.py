"""The tables that the configuration declares, with paths resolved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agentops_ref.etl.tabular.evolve import Policy
from agentops_ref.etl.tabular.query import Limits
from agentops_ref.etl.tabular.sources import Found, TableSource, folder, once
from agentops_ref.settings import TableConfig, TablesConfig

Resolve = Callable[[str | Path], Path]
"""Path of the configuration → path of this machine."""


def limits(config: TablesConfig) -> Limits:
    return Limits(config.query.max_rows, config.query.seconds, config.query.memory_mb)


def policy(config: TablesConfig) -> Policy:
    return Policy(config.vanished, config.narrowed)


def declared(config: TablesConfig, resolve: Resolve) -> Found:
    """Return the tables of the folder, if there is one, and the named ones."""
    general = policy(config)
    root = None if config.root is None else resolve(config.root)
    found = folder(root, general) if root and root.is_dir() else Found((), {})
    named = tuple(_source(entry, general, resolve) for entry in config.sources)
    return once(Found((*found.sources, *named), found.failed))


def _source(entry: TableConfig, general: Policy, resolve: Resolve) -> TableSource:
    return TableSource(
        entry.name,
        _database(entry.source, resolve) if "://" in entry.source else str(resolve(entry.source)),
        key=(entry.key,) if isinstance(entry.key, str) else tuple(entry.key),
        columns=tuple(entry.columns),
        texts=tuple(entry.types),
        sheet=entry.sheet,
        header=entry.header,
        table=entry.table,
        query=entry.query,
        password_env=entry.password_env,
        policy=Policy(entry.vanished or general.vanished, entry.narrowed or general.narrowed),
    )


def _database(url: str, resolve: Resolve) -> str:
    """Resolve the path of a SQLite file as any other path is."""
    prefix, separator, path = url.partition(":///")
    if not prefix.startswith("sqlite") or not separator or path in ("", ":memory:"):
        return url
    return url if path.startswith("file:") else f"{prefix}:///{resolve(path)}"
