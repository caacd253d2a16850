"""How often a gate decides wrongly, by simulation: it passes what is worse, or fails what is not.

``python -m benchmarks.gate_errors [--quick] [--json]``. Releases are drawn whose true quality is
known, each is put to the gate of the package, and its decisions are counted. Beside it stand a gate
that compares means, which knows no uncertainty, and one that takes the percentile bootstrap.

*Wrongly passed*: the release is truly at the limit, where a gate may pass at most
``(1 - level) / 2`` of the time; what is worse passes less often. *Wrongly failed*: it truly is as
good as the baseline (or clears the threshold by the margin) and fails. Undecided is no such error:
it asks for more cases.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from agentops_ref.evals.gate import decide
from agentops_ref.evals.table import ScoreTable
from agentops_ref.intervals import proportion_interval
from agentops_ref.records import Answer, Case, Score
from agentops_ref.settings_evals import GateRule

LEVEL, MARGIN, THRESHOLD = 0.95, 0.05, 0.6
SIZES = (30, 100, 300)
DISCORDANCE = (0.1, 0.2, 0.4)
Gate = Callable[[int, int, int], str]
"""(only the baseline passes, only the release passes, of n) → outcome."""


@dataclass(frozen=True)
class Cell:
    """One gate on one kind of release."""

    rule: str
    gate: str
    n: int
    discordance: float | None
    truth: str
    """``at the limit`` or ``as good``."""
    passed: float
    passed_low: float
    """Ends of the Monte Carlo error's interval (Wilson, 95 %)."""
    passed_high: float
    failed: float
    failed_low: float
    failed_high: float
    draws: int


def _table(values: list[float]) -> ScoreTable:
    table = ScoreTable("simulated", {"correct": ""})
    for at, value in enumerate(values):
        table.add(Case(f"{at}", "q"), Answer("", False), [Score("correct", value)])
    return table


@cache
def margin_gate(lost: int, gained: int, n: int) -> str:
    """Ask the package's gate whether a release is no worse than its baseline by the margin."""
    same = [1.0] * (n - lost - gained)  # whether both pass or neither does, decides nothing
    before = [1.0] * lost + [0.0] * gained + same
    after = [0.0] * lost + [1.0] * gained + same
    rule = GateRule(scorer="correct", no_worse_than=MARGIN)
    return decide([rule], _table(after), _table(before), level=LEVEL).outcome


def margin_means(lost: int, gained: int, n: int) -> str:
    """Compare means alone."""
    return "pass" if (gained - lost) / n > -MARGIN else "fail"


@cache
def margin_bootstrap(lost: int, gained: int, n: int) -> str:
    """Take the paired percentile bootstrap's interval."""
    rng = np.random.default_rng(lost * 100_003 + gained)
    shares = np.array([lost, gained, n - lost - gained]) / n
    drawn = rng.multinomial(n, shares, size=2000)
    means = (drawn[:, 1] - drawn[:, 0]) / n
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if low > -MARGIN:
        return "pass"
    return "fail" if high < -MARGIN else "undecided"


@cache
def threshold_gate(passed: int, n: int) -> str:
    """Ask the package's gate whether a release reaches the threshold."""
    rule = GateRule(scorer="correct", at_least=THRESHOLD)
    return decide([rule], _table([1.0] * passed + [0.0] * (n - passed)), level=LEVEL).outcome


def threshold_means(passed: int, n: int) -> str:
    """Compare the mean alone."""
    return "pass" if passed / n >= THRESHOLD else "fail"


def margin_cells(
    n: int, discordance: float, draws: int, rng: np.random.Generator
) -> Iterator[Cell]:
    """Count the decisions on releases that are worse by the margin, and as good."""
    gates = {"intervals": margin_gate, "means": margin_means, "bootstrap": margin_bootstrap}
    for truth, delta in (("at the limit", -MARGIN), ("as good", 0.0)):
        lost, gained = (discordance - delta) / 2, (discordance + delta) / 2
        drawn = rng.multinomial(n, [lost, gained, 1 - lost - gained], size=draws)
        kinds = Counter((int(a), int(b)) for a, b in drawn[:, :2])
        for name, gate in gates.items():
            outcomes: Counter[str] = Counter()
            for (a, b), times in kinds.items():
                outcomes[gate(a, b, n)] += times
            yield _cell("no_worse_than", name, n, discordance, truth, outcomes, draws)


def threshold_cells(n: int, draws: int, rng: np.random.Generator) -> Iterator[Cell]:
    """Count the decisions on releases at the threshold, and above it by the margin."""
    gates = {"intervals": threshold_gate, "means": threshold_means}
    for truth, rate in (("at the limit", THRESHOLD), ("as good", THRESHOLD + MARGIN)):
        kinds = Counter(rng.binomial(n, rate, size=draws).tolist())
        for name, gate in gates.items():
            outcomes: Counter[str] = Counter()
            for passed, times in kinds.items():
                outcomes[gate(passed, n)] += times
            yield _cell("at_least", name, n, None, truth, outcomes, draws)


def grid(
    *, draws: int, sizes: tuple[int, ...] = SIZES, discordance: tuple[float, ...] = DISCORDANCE
) -> list[Cell]:
    """Return every cell; the same draws each time."""
    rng = np.random.default_rng(2)
    cells = [cell for n in sizes for cell in threshold_cells(n, draws, rng)]
    for n in sizes:
        for share in discordance:
            cells += margin_cells(n, share, draws, rng)
    return cells


def _cell(
    rule: str,
    gate: str,
    n: int,
    discordance: float | None,
    truth: str,
    outcomes: Counter[str],
    draws: int,
) -> Cell:
    passed, failed = (proportion_interval(outcomes[o], draws) for o in ("pass", "fail"))
    shares = (outcomes["pass"] / draws, *passed, outcomes["fail"] / draws, *failed)
    rounded = [round(share, 5) for share in shares]
    return Cell(rule, gate, n, discordance, truth, *rounded, draws)


def main() -> None:
    parser = argparse.ArgumentParser(description="gate_errors")
    parser.add_argument("--quick", action="store_true", help="2,000 draws instead of 20,000")
    parser.add_argument("--json", action="store_true", help="print the cells as JSON")
    parser.add_argument("--out", type=Path, default=Path("_build/bench"))
    options = parser.parse_args()
    cells = grid(draws=2_000 if options.quick else 20_000)
    report = {
        "name": "gate_errors",
        "what": "decisions of a gate on releases of known quality, by simulation",
        "level": LEVEL,
        "margin": MARGIN,
        "threshold": THRESHOLD,
        "allowed": (1 - LEVEL) / 2,
        "cells": [asdict(cell) for cell in cells],
    }
    text = json.dumps(report, indent=1)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gate_errors.json").write_text(f"{text}\n", encoding="utf-8")
    if options.json:
        print(text)
        return
    print(f"{'rule':14}{'gate':11}{'n':>4}{'differ':>7}  {'truth':13}{'passed':>22}{'failed':>8}")
    for c in cells:
        differ = "" if c.discordance is None else f"{c.discordance:.0%}"
        passed = f"{c.passed:.2%} ({c.passed_low:.2%}-{c.passed_high:.2%})"
        print(f"{c.rule:14}{c.gate:11}{c.n:4}{differ:>7}  {c.truth:13}{passed:>22}{c.failed:8.2%}")


if __name__ == "__main__":
    main()
