"""One evaluation set put to several architectures: what each gets right, and what it costs.

Taught in chapter 5; its questions are in ``corpus/agent-cases.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from agentops_ref.apps import team
from agentops_ref.evals import CaseResult, EvalResult, compare
from agentops_ref.evals.result import Comparison
from agentops_ref.records import Case
from agentops_ref.wiring import App, Progress

ARCHITECTURES = ("chain", "router", "supervisor", "endpoints")


def measure(
    wired: Callable[[Mapping[str, str]], App],
    cases: Sequence[Case],
    *,
    kinds: Sequence[str] = ARCHITECTURES,
    state: Path,
    progress: Progress | None = None,
) -> dict[str, EvalResult]:
    """Evaluate each architecture on the same cases, over the same index.

    Parameters
    ----------
    wired
        Called with overrides of the configuration; returns the `App`.
    state
        Folder for what the actions write. Each architecture gets a file of its own there, or the
        second one to book a visit would find it booked.
    """
    found = {}
    for kind in kinds:
        schedule = state / f"schedule-{kind}.db"
        schedule.unlink(missing_ok=True)
        app = wired({"tools.schedule": str(schedule), "agent.kind": kind})
        with ExitStack() as around:
            if kind == "endpoints":
                around.enter_context(team.running(app))
            found[kind] = app.evaluate(cases, run_name=kind, progress=progress)
    return found


def summary(results: Mapping[str, EvalResult], *, level: float = 0.95) -> pd.DataFrame:
    """Return a row for each system: right answers with their interval, and costs per question."""
    rows = []
    for name, result in results.items():
        right, usage, n = (
            result.aggregate("correct", level=level),
            result.usage,
            len(result.results),
        )
        rows.append(
            {
                "system": name,
                "right": f"{sum(map(_right, result.results))} of {n}",
                "share": right.mean,
                "low": right.interval.low,
                "high": right.interval.high,
                "model calls": usage.calls / n,
                "tokens": usage.tokens / n,
                "model seconds": usage.live_seconds / n,
                "US dollars per 1,000": 1000 * usage.cost / n,
            }
        )
    return pd.DataFrame(rows).set_index("system")


def by_slice(results: Mapping[str, EvalResult]) -> pd.DataFrame:
    """Return right answers by slice and system, as "k of n"."""

    def counted(result: EvalResult, part: str) -> str:
        chosen = [one for one in result.results if one.case.slice == part]
        return f"{sum(map(_right, chosen))} of {len(chosen)}"

    return pd.DataFrame(
        {name: {p: counted(result, p) for p in result.slices} for name, result in results.items()}
    )


def against(
    results: Mapping[str, EvalResult], base: str, rng: np.random.Generator
) -> dict[str, Comparison]:
    """Compare every system with ``base`` on the same cases."""
    first = results[base]
    return {name: compare(first, one, rng) for name, one in results.items() if name != base}


def _right(result: CaseResult) -> bool:
    score = result.score("correct")
    return bool(score and score.value == 1)
