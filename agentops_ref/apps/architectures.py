"""One evaluation set put to several architectures: what each gets right, and what it costs.

Taught in chapter 5; its questions are in ``corpus/agent-cases.yaml``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agentops_ref.apps import team
from agentops_ref.evals import CaseResult, EvalResult, compare
from agentops_ref.evals.result import Comparison
from agentops_ref.evals.statistics import Difference, paired_bootstrap, pass_hat_k
from agentops_ref.ops.endpoints import Endpoint
from agentops_ref.records import Case
from agentops_ref.wiring import App, Progress

ARCHITECTURES = ("chain", "router", "supervisor", "endpoints")
STAGES = ("not asked", "had nothing", "wrong answer", "right")
"""How far a question came: see `where_lost`."""


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


def sampled(
    wired: Callable[[Mapping[str, str]], App],
    cases: Sequence[Case],
    *,
    kinds: Sequence[str],
    seeds: Sequence[int],
    temperature: float,
    state: Path,
    progress: Progress | None = None,
) -> dict[str, list[EvalResult]]:
    """Evaluate each architecture once for each seed, at a temperature at which answers vary."""
    found: dict[str, list[EvalResult]] = {kind: [] for kind in kinds}
    for seed in seeds:  # a run that is interrupted leaves whole samples of every architecture
        drawn = {"models.chat.seed": str(seed), "models.chat.temperature": str(temperature)}
        seeded = partial(_with, wired, drawn)
        for kind, result in measure(
            seeded, cases, kinds=kinds, state=state, progress=progress
        ).items():
            found[kind].append(result)
    return found


def _with(
    wired: Callable[[Mapping[str, str]], App], more: Mapping[str, str], given: Mapping[str, str]
) -> App:
    return wired({**given, **more})


def repeated(
    samples: Mapping[str, Sequence[EvalResult]], rng: np.random.Generator, *, level: float = 0.95
) -> pd.DataFrame:
    """Return pass^1 and pass^k of each system, k being the number of samples, with intervals."""
    rows = []
    for name, runs in samples.items():
        passed = _passed(runs)
        row: dict[str, object] = {"system": name, "questions": len(passed)}
        for k in (1, len(runs)):
            one = pass_hat_k(passed, len(runs), k, rng, level=level)
            row |= {f"pass^{k}": one.mean, f"low {k}": one.low, f"high {k}": one.high}
        row["always the same"] = sum(count in (0, len(runs)) for count in passed)
        rows.append(row)
    return pd.DataFrame(rows).set_index("system")


def steadiness(
    samples: Mapping[str, Sequence[EvalResult]],
    base: str,
    other: str,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
) -> Difference:
    """Return how much more ``other`` loses from pass^1 to pass^k than ``base``, on the same cases.

    Above 0 it is less steady: which of its answers are right, chance decides more often.
    """
    lost = {}
    for name in (base, other):
        k = len(samples[name])
        lost[name] = [count / k - (count == k) for count in _passed(samples[name])]
    return paired_bootstrap(lost[base], lost[other], rng, level=level)


def _passed(runs: Sequence[EvalResult]) -> list[int]:
    """Return for each case in how many of the runs its answer was right."""
    return [sum(map(_right, tries)) for tries in zip(*(r.results for r in runs), strict=True)]


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


def needed(case: Case) -> frozenset[str]:
    """Return the specialists without whom a question cannot be answered, by where its answer is.

    Nobody is needed for a question that cannot be answered.
    """
    if case.slice == "actions":
        return frozenset({"scheduling"})
    return frozenset(map(_holder, case.sources))


def _holder(source: str) -> str:
    if source == "tables/sensor_readings":
        return "diagnostics"
    return "records" if source.startswith("tables/") else "knowledge"


def asked(result: CaseResult) -> tuple[str, ...]:
    """Return the specialists that were handed a task, in order."""
    handed = [step for step in result.answer.steps if step.agent in ("router", "supervisor")]
    return tuple(step.action for step in handed)


def where_lost(results: Mapping[str, EvalResult]) -> pd.DataFrame:
    """Return, for each system that hands over, how far its answers came: counts of questions.

    Of the questions that somebody can answer, the first thing that failed: somebody who was needed
    was not asked; somebody who was asked had nothing; what they found did not make a right answer.
    """
    rows = {}
    for name, result in results.items():
        counts = dict.fromkeys(STAGES, 0)
        for one in result.results:
            if needed(one.case):
                counts[stage_of(one)] += 1
        rows[name] = counts
    return pd.DataFrame(rows).T.rename_axis("system")


def stage_of(result: CaseResult) -> str:
    """Return the first thing that failed, one of `STAGES`."""
    if _right(result):
        return "right"
    if needed(result.case) - set(asked(result)):
        return "not asked"
    return "had nothing" if result.answer.abstained else "wrong answer"


def against(
    results: Mapping[str, EvalResult], base: str, rng: np.random.Generator
) -> dict[str, Comparison]:
    """Compare every system with ``base`` on the same cases."""
    first = results[base]
    return {name: compare(first, one, rng) for name, one in results.items() if name != base}


def part(result: EvalResult, slices: Sequence[str]) -> EvalResult:
    """Return the cases of some slices only."""
    return replace(result, results=tuple(r for r in result.results if r.case.slice in slices))


def first_of_each(cases: Sequence[Case], *, most: int) -> list[Case]:
    """Return the first cases of each slice, in order: a choice that no result has a part in."""
    counts: Counter[str] = Counter()
    chosen = []
    for case in cases:
        counts[case.slice] += 1
        if counts[case.slice] <= most:
            chosen.append(case)
    return chosen


def examples(result: EvalResult, *, most: int) -> list[CaseResult]:
    """Return failed cases, each stage in turn, so that as many stages as there are come up."""
    failed = [r for r in result.results if needed(r.case) and stage_of(r) != "right"]
    by_stage = [[r for r in failed if stage_of(r) == stage] for stage in STAGES]
    turns = [one for turn in zip_longest(*by_stage) for one in turn if one]
    return turns[:most]


def megabytes(endpoint: Endpoint) -> float:
    """Return the resident memory of an endpoint's process and those that it started."""
    import psutil

    process = psutil.Process(endpoint.pid)
    every = [process, *process.children(recursive=True)]
    return float(sum(one.memory_info().rss for one in every)) / 1e6


def graph_of(agent: Any) -> Any:
    """Return the LangGraph graph within an agent, for a drawing."""
    while not hasattr(agent, "graph"):
        agent = agent.agent
    return agent.graph.get_graph()


def _right(result: CaseResult) -> bool:
    score = result.score("correct")
    return bool(score and score.value == 1)
