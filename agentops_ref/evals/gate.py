"""The gate: pass, fail or undecided, by comparing intervals with limits.

Taught in chapter 8. A mean above its threshold is no evidence when its interval reaches below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, Literal, NamedTuple, Protocol

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.loading import is_judge
from agentops_ref.evals.paired import paired_interval
from agentops_ref.evals.result import EvalResult
from agentops_ref.evals.scorers import Scorer
from agentops_ref.evals.table import ALL, ScoreTable
from agentops_ref.intervals import Interval, quantile_interval
from agentops_ref.settings_evals import GateRule

Outcome = Literal["pass", "fail", "undecided"]
SETTLED = {"pass": 0, "fail": 1, "undecided": 3}
"""Exit codes: 2 is that of a wrong call or configuration."""


class CorrectedRate(NamedTuple):
    """A judge's rate, corrected for its errors, with an interval that knows of them."""

    mean: float
    """nan where labels and verdicts give none."""
    interval: Interval
    n: int
    """Verdicts that were corrected."""
    reason: str = ""


class Correct(Protocol):
    """Corrects a judged scorer by its calibration; see `decide`.

    Is given the rule, case → verdict, and the digest of the judge that gave them ("" if unknown).
    """

    def __call__(
        self, rule: GateRule, verdicts: Mapping[str, float], *, digest: str, level: float
    ) -> CorrectedRate: ...


class Check(NamedTuple):
    """One rule, compared."""

    name: str
    """What is compared: ``scorer``, ``slice/scorer``, ``seconds p95``, ..."""
    kind: Literal["threshold", "margin", "budget", "cases"]
    limit: float
    outcome: Outcome
    n: int
    """Cases that it was measured on."""
    mean: float
    """What was measured: a share, a difference, a quantile, a count."""
    interval: Interval
    undecided: Literal["fail", "pass", "warn"] = "fail"
    """What becomes of the rule when its interval cannot tell."""
    reason: str = ""
    """Why it does not pass, where the interval alone does not say."""

    @property
    def counts_as(self) -> Outcome:
        """The outcome after ``undecided`` was applied."""
        return "pass" if self.outcome == "undecided" and self.undecided != "fail" else self.outcome

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; None for an end that is infinite or an unknown mean."""
        low, high = (None if abs(end) == float("inf") else round(end, 6) for end in self.interval)
        return {
            "name": self.name,
            "kind": self.kind,
            "limit": self.limit,
            "outcome": self.outcome,
            "undecided": self.undecided,
            "n": self.n,
            "mean": None if isnan(self.mean) else round(self.mean, 6),
            "low": low,
            "high": high,
            "reason": self.reason,
        }


class Verdict(NamedTuple):
    """Whether a release may go on."""

    outcome: Outcome
    """Fails when one check fails, passes when all pass, is undecided otherwise."""
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 undecided."""
        return SETTLED[self.outcome]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"outcome": self.outcome, "checks": [check.to_dict() for check in self.checks]}


def decide(
    rules: Sequence[GateRule],
    table: ScoreTable,
    baseline: ScoreTable | None = None,
    *,
    level: float = 0.95,
    correct: Correct | None = None,
) -> Verdict:
    """Compare an evaluation with the rules of a release.

    Parameters
    ----------
    rules
        At least one; ``config/base.yaml`` says what each kind compares.
    baseline
        Scores of the release that is to be replaced; rules with ``no_worse_than`` need it.
    level
        Confidence level of the intervals. They are two-sided, so a rule passes what is worse than
        its limit with a chance of about ``(1 - level) / 2``.
    correct
        Turns a judge's scores and its calibration into the rate that is compared.

    Raises
    ------
    ConfigError
        No rule; a scorer, slice or baseline that is not there; a judge without calibration. A gate
        that checks nothing must not pass.
    """
    if not rules:
        raise ConfigError("evals.gate: no rules, so nothing would be checked")
    checks = tuple(_check(rule, table, baseline, level, correct) for rule in rules)
    outcomes = {check.counts_as for check in checks}
    overall: Outcome = "undecided"
    if "fail" in outcomes:
        overall = "fail"
    elif outcomes == {"pass"}:
        overall = "pass"
    return Verdict(overall, checks)


def verdict(
    result: EvalResult | ScoreTable, thresholds: Mapping[str, float], *, level: float = 0.95
) -> Verdict:
    """Compare an evaluation with thresholds: ``scorer`` or ``slice/scorer`` → share to be reached.

    The short form of `decide` for a notebook.
    """
    rules = []
    for name, threshold in thresholds.items():
        slice, _, scorer = name.rpartition("/")
        rules.append(GateRule(scorer=scorer, slice=slice or ALL, at_least=threshold))
    return decide(rules, result.table if isinstance(result, EvalResult) else result, level=level)


def check_rules(rules: Sequence[GateRule], scorers: Sequence[Scorer]) -> None:
    """Refuse rules that these scorers cannot fulfil, before anything is asked.

    Raises
    ------
    ConfigError
        A scorer that is not configured, or a judge without calibration.
    """
    judged = {scorer.__name__: is_judge(scorer) for scorer in scorers}
    for rule in rules:
        if rule.scorer:
            _known(rule.scorer, tuple(judged), f"evals.gate '{rule.name}': no scorer")
            if judged.get(rule.scorer) and rule.at_least is not None and rule.calibration is None:
                raise _uncalibrated(rule)


def _uncalibrated(rule: GateRule) -> ConfigError:
    return ConfigError(
        f"evals.gate '{rule.name}': '{rule.scorer}' is a judge and its rule has no calibration; "
        "give the file of its labels"
    )


def _check(
    rule: GateRule,
    table: ScoreTable,
    baseline: ScoreTable | None,
    level: float,
    correct: Correct | None,
) -> Check:
    if rule.cases is None:  # else a slice without a case is what the rule is there to find
        _known(rule.slice, table.slices, f"evals.gate '{rule.name}': no slice")
    if rule.scorer:
        _known(rule.scorer, tuple(table.scorers), f"evals.gate '{rule.name}': no scorer")
        made = (
            _threshold(rule, table, level, correct)
            if rule.at_least is not None
            else _margin(rule, table, baseline, level)
        )
    elif rule.measure:
        made = _budget(rule, table, level)
    else:
        found = sum(1 for _ in table.rows(rule.slice))
        made = Check(
            rule.name, "cases", float(rule.cases or 0), "pass", found, found, Interval(found, found)
        )
    made = made._replace(undecided=rule.undecided)
    if rule.cases is not None and made.n < rule.cases:
        why = f"{made.n} cases, at least {rule.cases} are needed"
        made = made._replace(outcome="fail", reason=why)
    return made


def _threshold(rule: GateRule, table: ScoreTable, level: float, correct: Correct | None) -> Check:
    limit = float(rule.at_least or 0)
    row = table.aggregate(rule.scorer, rule.slice, level=level)
    mean, interval, n = row.mean, row.interval, row.n
    why = "" if n else "the scorer applies to no case"
    if rule.scorer in table.judged or rule.calibration:
        mean, interval, n, why = _judged(rule, table, level, correct)
    outcome: Outcome = "undecided"
    if interval.low >= limit:
        outcome = "pass"
    elif interval.high < limit:
        outcome = "fail"
    return Check(rule.name, "threshold", limit, outcome, n, mean, interval, reason=why)


def _judged(
    rule: GateRule, table: ScoreTable, level: float, correct: Correct | None
) -> CorrectedRate:
    if rule.calibration is None:
        raise _uncalibrated(rule)
    if correct is None:
        raise ConfigError(
            f"evals.gate '{rule.name}': nothing is wired that corrects a judge by its calibration"
        )
    if table.failed(rule.scorer, rule.slice):
        raise ConfigError(
            f"evals.gate '{rule.name}': the judge failed on some cases; score again before the gate"
        )
    verdicts = table.values(rule.scorer, rule.slice)
    return correct(rule, verdicts, digest=table.scorers[rule.scorer], level=level)


def _margin(rule: GateRule, table: ScoreTable, baseline: ScoreTable | None, level: float) -> Check:
    if baseline is None:
        raise ConfigError(f"evals.gate '{rule.name}' needs a baseline: give --baseline RUN or FILE")
    if rule.scorer in table.judged:
        raise ConfigError(
            f"evals.gate '{rule.name}': '{rule.scorer}' is a judge; a difference of two "
            "judged rates cannot be corrected; give it a threshold"
        )
    _known(rule.scorer, tuple(baseline.scorers), f"evals.gate '{rule.name}': the baseline lacks")
    margin = float(rule.no_worse_than or 0)
    before = baseline.bounds(rule.scorer, rule.slice)
    after = table.bounds(rule.scorer, rule.slice)
    shared = [case for case in before if case in after]
    if not shared:
        none, unknown = "no case was scored in both", Interval(-1.0, 1.0)
        return Check(rule.name, "margin", -margin, "undecided", 0, 0.0, unknown, reason=none)
    # A failed score may have been anything: the worst for the lower end, the best for the upper.
    worst = paired_interval([before[c].high for c in shared], [after[c].low for c in shared], level)
    best = paired_interval([before[c].low for c in shared], [after[c].high for c in shared], level)
    interval = Interval(worst.low, best.high)
    outcome: Outcome = "undecided"
    if interval.low > -margin:
        outcome = "pass"
    elif interval.high < -margin:
        outcome = "fail"
    mean, missing = (worst.mean + best.mean) / 2, len(before) - len(shared)
    why = f"{missing} cases of the baseline are missing" if missing else ""
    return Check(rule.name, "margin", -margin, outcome, len(shared), mean, interval, reason=why)


def _budget(rule: GateRule, table: ScoreTable, level: float) -> Check:
    assert rule.measure is not None
    values, limit = sorted(table.measures(rule.measure, rule.slice)), float(rule.at_most or 0)
    interval = quantile_interval(values, rule.quantile, level)
    outcome: Outcome = "undecided"
    if interval.high <= limit:
        outcome = "pass"
    elif interval.low > limit:
        outcome = "fail"
    at = values[min(len(values) - 1, int(rule.quantile * len(values)))] if values else 0.0
    why = ""
    if interval.high == float("inf"):
        why = f"{len(values)} answers are too few for an upper end"
    return Check(rule.name, "budget", limit, outcome, len(values), at, interval, reason=why)


def _known(name: str, known: tuple[str, ...], what: str) -> None:
    if name != ALL and name not in known:
        raise ConfigError(f"{what} '{name}' in this evaluation{nearest(name, known)}")
