"""Paired timings → a ratio with an interval → one JSON file a benchmark."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version

import numpy as np


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def ratio(ours: list[float], theirs: list[float], *, seed: int = 0) -> tuple[float, float, float]:
    """Return (ratio of medians, low, high), a 95 % percentile bootstrap over the pairs."""
    rng = np.random.default_rng(seed)
    pairs = np.array([ours, theirs])
    drawn = rng.integers(0, pairs.shape[1], size=(4000, pairs.shape[1]))
    medians = np.median(pairs[:, drawn], axis=2)
    low, high = np.quantile(medians[0] / medians[1], [0.025, 0.975])
    return float(np.median(pairs[0]) / np.median(pairs[1])), float(low), float(high)


def write(
    name: str,
    against: str,
    ours: list[float],
    theirs: list[float],
    *,
    what: str,
    target: float | None = None,
    unit: str = "seconds",
    **more: object,
) -> None:
    """Write ``<out>/<name>.json`` and print the line; ``--out`` is read from the command line.

    ``what`` says in a few words what was done; ``target`` is the ratio that was aimed at;
    ``unit`` is that of ``ours`` and ``theirs``.
    """
    parser = argparse.ArgumentParser(description=name)
    parser.add_argument("--out", type=Path, default=Path("_build/bench"))
    out = parser.parse_args().out
    middle, low, high = ratio(ours, theirs)
    report = {
        "name": name,
        "against": against,
        "ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "n": len(ours),
        f"{unit}_ours": round(float(np.median(ours)), 6),
        f"{unit}_theirs": round(float(np.median(theirs)), 6),
        "what": what,
        "target": target,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {python_version()}",
        "measured": datetime.now(UTC).date().isoformat(),
        **more,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(f"{json.dumps(report, indent=1)}\n", encoding="utf-8")
    aim = (
        "" if target is None else f", aimed at {target:g}: {'met' if high <= target else 'MISSED'}"
    )
    print(f"{name}: {middle:.3g} x {against} ({low:.3g} to {high:.3g}, n = {len(ours)}){aim}")
