"""``--source`` and ``--sink``: point a command at any documents and at any index."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from agentops_ref.apps.cli.common import Session

SOURCES = {"http": "http", "https": "http"}
"""URL scheme → kind of source; every other scheme is a file system."""
SINKS = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "databricks": "databricks",
}
"""URL scheme → kind of sink; anything else is a LanceDB address."""


def place_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--source`` and ``--sink``, as overrides of its session."""

    @click.option(
        "--source",
        metavar="DIR|URL",
        help="Documents: a folder, s3://..., a sitemap or page of links, "
        "sql+sqlite:///FILE?table=T&text=COLUMNS (&key=, &version=).",
    )
    @click.option(
        "--sink", metavar="DIR|URL", help="Index: a folder, postgresql://..., databricks://...."
    )
    @functools.wraps(function)
    def wrapped(*args: Any, source: str | None, sink: str | None, **more: Any) -> None:
        overrides = (*more.pop("overrides", ()), *overrides_of(source, sink))
        function(*args, overrides=overrides, **more)

    return wrapped


def overrides_of(source: str | None, sink: str | None) -> list[str]:
    """Return configuration overrides for the places that were named."""
    found: list[str] = []
    if source is not None:
        scheme = urlsplit(source).scheme if "://" in source else ""
        kind = "folder"
        if scheme.partition("+")[0] == "sql":
            kind, source = "sql", source.removeprefix("sql+")
        elif scheme:
            kind = SOURCES.get(scheme, "files")
        else:
            source = str(Path(source).resolve())
        found += [f"etl.source.kind={kind}", f"etl.source.root={source}"]
        found += ["etl.tables.root=null", "etl.tables.sources=[]"]
        if sink is None:
            # An index of its own: in the configured one, everything else would count as deleted.
            found.append(f"etl.sink.uri=${{paths.state}}/indexes/{slug(source)}")
    if sink is not None:
        scheme = urlsplit(sink).scheme if "://" in sink else ""
        kind = SINKS.get(scheme, "memory" if sink == "memory" else "lancedb")
        where = sink if scheme else str(Path(sink).resolve())
        found += [f"etl.sink.kind={kind}", f"etl.sink.uri={where}"]
    return found


def slug(source: str) -> str:
    """Return a folder name for a source: its last words, and a digest that tells it apart."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", source).strip("-").lower()
    return f"{words[-32:].lstrip('-')}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


__all__ = ["Session", "overrides_of", "place_options", "slug"]
