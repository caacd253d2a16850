"""Health of an installation: what is present, what is missing, the command that mends it.

Each check is cheap and changes nothing. "optional" means that the default way of running
(replayed models) does without.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agentops_ref.config import Config
from agentops_ref.errors import AgentOpsError

State = Literal["ok", "optional", "missing"]
LIBRARIES = ("mlflow", "langchain-core", "lancedb", "deltalake", "duckdb", "unstructured")
BOOK_LIBRARIES = ("jupyter-book", "papermill", "nbconvert", "ragas", "nbmake", "reportlab")
SPACE_NEEDED = 3 * 10**9
"""Bytes: the weights, while they are assembled from their parts."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    state: State
    detail: str
    mend: str = ""
    """The command that mends it; empty when there is nothing to do."""


def examine(config: Config) -> list[Check]:
    """Run every check; one that fails unexpectedly is itself a finding."""
    findings: list[Check] = []
    probes: tuple[Callable[[Config], list[Check]], ...] = (
        _python,
        _libraries,
        _configuration,
        _engine,
        _corpus,
        _index,
        _recordings,
        _weights,
        _disk,
    )
    for probe in probes:
        try:
            findings.extend(probe(config))
        except (AgentOpsError, OSError) as error:
            findings.append(Check(probe.__name__.strip("_"), "missing", str(error)))
    return findings


def _python(config: Config) -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    return [Check("python", "ok", version)]


def _libraries(config: Config) -> list[Check]:
    checks = []
    for name, libraries, state in (
        ("libraries", LIBRARIES, "missing"),
        ("book tools", BOOK_LIBRARIES, "optional"),
    ):
        absent = []
        for library in libraries:
            try:
                importlib.metadata.version(library)
            except importlib.metadata.PackageNotFoundError:
                absent.append(library)
        if absent:
            checks.append(Check(name, state, f"missing: {', '.join(absent)}", "make install"))  # type: ignore[arg-type]
        else:
            checks.append(Check(name, "ok", ", ".join(libraries)))
    return checks


def _configuration(config: Config) -> list[Check]:
    mode = config.models.mode
    return [Check("configuration", "ok", f"overlay {config.env}; models are in mode '{mode}'")]


def _engine(config: Config) -> list[Check]:
    """Say nothing of the plain loop, which needs nothing."""
    engine = config.etl.engine
    if engine.kind != "daft":
        return []
    libraries = ("daft", "ray") if engine.runner == "ray" else ("daft",)
    absent = [name for name in libraries if importlib.util.find_spec(name) is None]
    if absent:
        mend = "pip install 'agentops-ref[engine]'"
        return [Check("engine", "missing", f"missing: {', '.join(absent)}", mend)]
    where = "this machine" if engine.runner == "native" else engine.address or "Ray, started here"
    detail = f"daft on {where}, from {engine.min_documents} documents on"
    return [Check("engine", "ok", detail)]


def _corpus(config: Config) -> list[Check]:
    source = config.etl.source
    if source.kind != "folder":
        from agentops_ref.etl.sources.base import without_password

        where = without_password(str(source.root))
        return [Check("corpus", "ok", f"{where} ({source.kind}; not counted)")]
    root = config.path(source.root)
    if not root.is_dir():
        return [Check("corpus", "missing", f"no {_shown(config, root)}", "agentops corpus build")]
    count = sum(1 for path in root.rglob("*") if path.is_file())
    return [Check("corpus", "ok", f"{count} documents in {_shown(config, root)}")]


def _index(config: Config) -> list[Check]:
    from agentops_ref.wiring import build

    ledger = build(config).sink.ledger()
    if not ledger:
        return [Check("index", "missing", "empty", "agentops ingest sync")]
    bad = sum(1 for entry in ledger.values() if entry.error)
    quarantined = f", {bad} quarantined" if bad else ""
    return [Check("index", "ok", f"{len(ledger)} documents{quarantined}")]


def _recordings(config: Config) -> list[Check]:
    folder = config.path(config.paths.recordings)
    count = sum(1 for _ in folder.rglob("*.json")) if folder.is_dir() else 0
    if count:
        return [Check("recordings", "ok", f"{count} recorded answers and scans")]
    state: State = "missing" if config.models.mode == "replay" else "optional"
    return [Check("recordings", state, f"none in {_shown(config, folder)}", "make record")]


def _weights(config: Config) -> list[Check]:
    from agentops_ref.models.weights import status

    state: State = "optional" if config.models.mode == "replay" else "missing"
    checks = []
    for found in status(config.weights):
        if found.state == "present":
            checks.append(Check(f"weights {found.name}", "ok", str(found.path)))
        else:
            checks.append(
                Check(
                    f"weights {found.name}",
                    state,
                    found.state,
                    f"agentops models pull {found.name}",
                )
            )
    return checks


def _disk(config: Config) -> list[Check]:
    free = shutil.disk_usage(config.root).free
    if free < SPACE_NEEDED:
        return [Check("disk", "optional", f"{free / 1e9:.1f} GB free, the weights need 3")]
    return [Check("disk", "ok", f"{free / 1e9:.0f} GB free")]


def _shown(config: Config, path: object) -> str:
    return str(path).removeprefix(f"{config.root}/")
