"""One corpus through several engines, side by side; for the chapter and for the curious."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agentops_ref.config import load_config
from agentops_ref.wiring import build


class Went(NamedTuple):
    """One first sync."""

    engine: str
    seconds: float
    """Wall time, with starting the engine and its workers in it."""
    work: Mapping[str, int]
    """Calls per stage, wherever they ran."""
    digest: str
    """Digest of all that the index holds: equal digests are equal indexes, byte for byte."""


ENGINES: dict[str, dict[str, Any]] = {
    "plain loop": {"kind": "local"},
    "Daft native": {"kind": "daft", "runner": "native"},
    "Daft on Ray": {"kind": "daft", "runner": "ray"},
}
"""Name → what differs in ``etl.engine``."""


def compare(engines: Mapping[str, Mapping[str, Any]] = ENGINES, **overrides: Any) -> Iterator[Went]:
    """Sync the configured source from nothing with each engine, in a folder that is removed.

    ``overrides`` are configuration values with ``__`` for the dots: ``etl__source__root="..."``.
    """
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    for name, engine in engines.items():
        with tempfile.TemporaryDirectory(prefix="agentops-") as place:
            chosen = {f"etl.engine.{key}": value for key, value in engine.items()}
            places = {"paths.state": f"{place}/state", "paths.cache": f"{place}/cache"}
            fixed = {"etl.engine.min_documents": 0, "etl.sink.uri": str(Path(place) / "index")}
            app = build(load_config(overrides={**given, **places, **fixed, **chosen}))
            report = app.sync()
            yield Went(name, report.seconds, report.work, index_digest(app.sink))


def index_digest(sink: Any) -> str:
    """Name all that an index holds, in its order: ledger, chunks and the bytes of the vectors."""
    found = hashlib.sha256(repr(sorted(sink.ledger().items())).encode())
    for owner, chunk, vector in sink.stored():
        found.update(repr((owner, chunk)).encode())
        found.update(vector.tobytes())
    return found.hexdigest()
