"""The gate: pass, fail or undecided, by comparing intervals with thresholds.

Taught in chapter 8. A mean above its threshold is no evidence when its interval reaches below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.result import ALL, Aggregate, EvalResult

Outcome = Literal["pass", "fail", "undecided"]


class Check(NamedTuple):
    """One threshold, compared."""

    name: str
    """As in the configuration: ``scorer`` or ``slice/scorer``."""
    threshold: float
    aggregate: Aggregate
    outcome: Outcome


class Verdict(NamedTuple):
    """Whether a release may go on."""

    outcome: Outcome
    """Fails when one check fails, passes when all pass, is undecided otherwise."""
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "outcome": self.outcome,
            "checks": [
                {
                    "name": check.name,
                    "threshold": check.threshold,
                    "outcome": check.outcome,
                    "n": check.aggregate.n,
                    "mean": round(check.aggregate.mean, 6),
                    "low": round(check.aggregate.interval.low, 6),
                    "high": round(check.aggregate.interval.high, 6),
                }
                for check in self.checks
            ],
        }


def verdict(result: EvalResult, thresholds: Mapping[str, float], *, level: float = 0.95) -> Verdict:
    """Compare an evaluation with thresholds.

    Parameters
    ----------
    thresholds
        ``scorer`` or ``slice/scorer`` → share that must be reached, 0..1. At least one.
    level
        Confidence level of the intervals.

    Raises
    ------
    ConfigError
        No threshold, or one for a scorer or slice that the evaluation does not have: a gate that
        checks nothing must not pass.
    """
    if not thresholds:
        raise ConfigError("evals.gate: no thresholds, so nothing would be checked")
    checks = []
    for name, threshold in thresholds.items():
        slice, _, scorer = name.rpartition("/")
        slice = slice or ALL
        if scorer not in result.scorers:
            hint = nearest(scorer, tuple(result.scorers))
            raise ConfigError(f"evals.gate.{name}: no scorer '{scorer}' in this evaluation{hint}")
        if slice != ALL and slice not in result.slices:
            hint = nearest(slice, result.slices)
            raise ConfigError(f"evals.gate.{name}: no slice '{slice}' in this evaluation{hint}")
        row = result.aggregate(scorer, slice, level=level)
        checks.append(Check(name, threshold, row, _outcome(row, threshold)))
    outcomes = {check.outcome for check in checks}
    overall: Outcome = "undecided"
    if "fail" in outcomes:
        overall = "fail"
    elif outcomes == {"pass"}:
        overall = "pass"
    return Verdict(overall, tuple(checks))


def _outcome(row: Aggregate, threshold: float) -> Outcome:
    if row.interval.low >= threshold:
        return "pass"
    return "fail" if row.interval.high < threshold else "undecided"
