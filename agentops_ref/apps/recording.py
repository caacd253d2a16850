"""Make the recordings: run everything that asks a model, keep what was asked, drop the rest.

What is recorded already is replayed, so that only new requests cost model time, and an
interrupted run goes on where it stopped. Nothing is dropped unless every step succeeded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentops_ref.config import Config
from agentops_ref.errors import OperatorError

STEPS: dict[str, tuple[str, ...]] = {
    "notebooks": ("-m", "agentops_ref.apps.book", "execute"),
    "evaluation": ("-m", "agentops_ref.apps.cli", "eval", "run"),
    "tour": ("-m", "agentops_ref.apps.cli", "tour"),
    "extraction": ("-m", "agentops_ref.apps.extraction"),
}
"""Name → arguments to Python. A step may exit with 1 when a gate fails; that is a result."""

GATED = {"evaluation", "tour"}


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What a recording run left behind."""

    used: int
    """Distinct recordings that some step asked for."""
    dropped: tuple[str, ...]
    """Files that nothing asked for any more."""


def record(config: Config, *, announce: Callable[[str], None]) -> RecordReport:
    """Run every step in mode ``record``, then prune.

    Raises
    ------
    OperatorError
        A step failed; names it. What it had recorded by then is kept, nothing is dropped.
    """
    from agentops_ref.models import recording

    place = config.path("_build/record")
    # What a cache or an older index answers is not asked for, and would be dropped as unused.
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    log = place / "used.log"
    environ = {
        **os.environ,
        "AGENTOPS__MODELS__MODE": "record",
        "AGENTOPS_RECORDING_LOG": str(log),
        "AGENTOPS__PATHS__STATE": str(place / "state"),
        "AGENTOPS__PATHS__CACHE": str(place / "cache"),
    }
    for name, arguments in STEPS.items():
        announce(name)
        ended = subprocess.run(
            [sys.executable, *arguments], env=environ, cwd=config.root
        ).returncode
        if ended and not (name in GATED and ended == 1):
            raise OperatorError(f"recording stopped: step '{name}' ended with {ended}")
    used = set(log.read_text(encoding="utf-8").split()) if log.exists() else set()
    if not used:
        raise OperatorError(f"recording stopped: {_short(log)} is empty, nothing was asked")
    dropped = recording.prune(config.path(config.paths.recordings), used)
    return RecordReport(len(used), tuple(str(path) for path in dropped))


def _short(path: Path) -> str:
    return "/".join(path.parts[-3:])
