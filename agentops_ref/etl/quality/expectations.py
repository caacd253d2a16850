"""From expectations in YAML to verdicts on measured values. Pure. Taught in chapter 4.

A run fails an expectation only when its whole interval is beyond the limit: a refused sync keeps
old text in front of readers, so it takes evidence and not a point. What is beyond the limit and
does not tell, because there are few documents, is "not enough".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import median

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.etl.chunk import kind_and_tenant
from agentops_ref.etl.quality.metrics import METRICS, Value
from agentops_ref.etl.quality.vectors import Estimate
from agentops_ref.etl.sources.base import matches
from agentops_ref.intervals import median_interval, proportion_interval
from agentops_ref.records import QualityState, QualityVerdict
from agentops_ref.settings import ExpectationConfig, WhereConfig

SHOWN = 10
"""Worst documents that a verdict names."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line of ``etl.quality.expectations`` that makes sense."""

    settings: ExpectationConfig

    @property
    def name(self) -> str:
        """One line that tells it from the others."""
        s = self.settings
        how = f"median {s.metric}" if s.statistic else s.metric
        parts = [f"{how} {self._limit}"]
        if s.where.kind is not None:
            parts.append(f"in {s.where.kind}")
        if s.where.documents is not None:
            parts.append(f"of {s.where.documents}")
        if s.where.ocr is not None:
            parts.append("of scans" if s.where.ocr else "without OCR")
        if s.share is not None:
            parts.append(f"for {s.share:.0%}")
        return " ".join(parts)

    @property
    def _limit(self) -> str:
        s = self.settings
        if s.one_of is not None:
            return f"in {', '.join(s.one_of)}"
        return f">= {s.at_least:g}" if s.at_least is not None else f"<= {s.at_most:g}"

    def about(self, document: str, values: Mapping[str, Value]) -> bool:
        """Whether a document with these values is meant."""
        where = self.settings.where
        if where.ocr is not None and where.ocr != ("ocr_confidence" in values):
            return False
        if where.documents is not None and not matches(document, (where.documents,)):
            return False
        return where.kind is None or kind_and_tenant(document)["kind"] == where.kind

    def met(self, value: Value) -> bool:
        """Whether one value keeps the limit."""
        s = self.settings
        if s.one_of is not None:
            return value in s.one_of
        if isinstance(value, str):
            return False
        return value >= s.at_least if s.at_least is not None else value <= (s.at_most or 0.0)

    def complaint(self, document: str, values: Mapping[str, Value]) -> str:
        """Say why a document is not good enough, "" where it is or where it has no such value."""
        value = values.get(self.settings.metric)
        if value is None or not self.about(document, values) or self.met(value):
            return ""
        why = f" ({self.settings.reason})" if self.settings.reason else ""
        return f"{self.settings.metric} is {shown(value)}, expected {self._limit}{why}"


def expectations(settings: Sequence[ExpectationConfig]) -> tuple[Expectation, ...]:
    """Check what the schema cannot: the metrics' names and what each can be asked.

    Raises
    ------
    ConfigError
        Names the line, and the closest metric where a name is unknown.
    """
    for number, s in enumerate(settings):
        place = f"etl.quality.expectations.{number}"
        metric = METRICS.get(s.metric)
        if metric is None:
            raise ConfigError(
                f"{place}: unknown metric '{s.metric}'{nearest(s.metric, [*METRICS])}"
            )
        if (s.metric == "language") != (s.one_of is not None):
            raise ConfigError(
                f"{place}: `one_of` goes with the metric 'language', and only with it"
            )
        if s.scope == "document" and metric.of != "document":
            raise ConfigError(
                f"{place}: '{s.metric}' is known when all documents are, so it takes `scope: run`"
            )
        aggregated = s.share is not None or s.statistic is not None
        if s.scope == "run" and aggregated != (metric.of != "run"):
            wanted = "takes neither" if metric.of == "run" else "needs one of"
            raise ConfigError(f"{place}: '{s.metric}' {wanted} `share` and `statistic`")
        if s.one_of is not None and s.statistic is not None:
            raise ConfigError(f"{place}: a language has no {s.statistic}")
        if metric.of == "run" and s.where != WhereConfig():
            raise ConfigError(f"{place}: '{s.metric}' is of the whole run and takes no `where`")
    names = [Expectation(s).name for s in settings]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ConfigError(f"etl.quality.expectations: '{twice}' stands there twice")
    return tuple(Expectation(s) for s in settings)


def judge(
    expectation: Expectation,
    values: Mapping[str, Mapping[str, Value]],
    estimates: Mapping[str, Estimate | None],
    *,
    level: float,
    fewest: int = 1,
) -> QualityVerdict:
    """Compare what was measured with one expectation.

    Parameters
    ----------
    values
        Document → metric → value; a metric that does not apply to a document is absent.
    estimates
        Metric of the run → its estimate, None where there were too few documents.
    level
        Confidence level of the intervals.
    fewest
        Documents below which a run does not fail. The interval of a share alone would let two
        documents fail one of 70 %, which may be the two that were meant to change.
    """
    s = expectation.settings
    if METRICS[s.metric].of == "run":
        return _of_run(expectation, estimates.get(s.metric))
    about = {
        name: found[s.metric]
        for name, found in values.items()
        if s.metric in found and expectation.about(name, found)
    }
    bad = {name: value for name, value in about.items() if not expectation.met(value)}
    worst = _worst(bad, lowest=s.at_least is not None)
    good, n = len(about) - len(bad), len(about)
    if s.scope == "document":
        state: QualityState = "not enough" if not n else "fail" if bad else "pass"
        share = good / n if n else None
        return _verdict(expectation, state, n, share, limit=1.0, above=True, worst=worst)
    if s.share is not None:
        low, high = proportion_interval(good, n, level)
        kept = _compared(expectation, n, good / n if n else None, low, high, s.share, True, worst)
        return kept if n >= fewest or kept.state == "pass" else replace(kept, state="not enough")
    numbers = [value for value in about.values() if isinstance(value, float | int)]
    low, high = median_interval(numbers, level)
    above = s.at_least is not None
    limit = s.at_least if s.at_least is not None else s.at_most or 0.0
    middle = median(numbers) if numbers else None
    return _compared(expectation, n, middle, low, high, limit, above, worst)


def shown(value: Value) -> str:
    """Return a value as a report prints it."""
    return value if isinstance(value, str) else f"{value:.3g}"


def _of_run(expectation: Expectation, found: Estimate | None) -> QualityVerdict:
    s = expectation.settings
    above = s.at_least is not None
    limit = s.at_least if s.at_least is not None else s.at_most or 0.0
    if found is None:
        return _verdict(expectation, "not enough", 0, None, limit=limit, above=above)
    return _compared(expectation, found.n, found.value, found.low, found.high, limit, above, ())


def _compared(
    expectation: Expectation,
    n: int,
    measured: float | None,
    low: float,
    high: float,
    limit: float,
    above: bool,
    worst: tuple[tuple[str, str], ...],
) -> QualityVerdict:
    state: QualityState = "not enough"
    if measured is not None and (measured >= limit if above else measured <= limit):
        state = "pass"
    elif measured is not None and (high < limit if above else low > limit):
        state = "fail"
    ends = (low if isfinite(low) else None, high if isfinite(high) else None)
    return _verdict(expectation, state, n, measured, ends, limit=limit, above=above, worst=worst)


def _verdict(
    expectation: Expectation,
    state: QualityState,
    n: int,
    measured: float | None,
    ends: tuple[float | None, float | None] = (None, None),
    *,
    limit: float,
    above: bool,
    worst: tuple[tuple[str, str], ...] = (),
) -> QualityVerdict:
    s = expectation.settings
    return QualityVerdict(
        expectation.name,
        s.metric,
        s.scope,
        s.on_fail,
        state,
        limit,
        above,
        n,
        measured,
        *(ends if n else (None, None)),
        worst,
        s.reason,
    )


def _worst(bad: Mapping[str, Value], *, lowest: bool) -> tuple[tuple[str, str], ...]:
    def rank(name: str) -> tuple[float, str]:
        value = bad[name]
        number = 0.0 if isinstance(value, str) else value
        return (number if lowest else -number, name)

    return tuple((name, shown(bad[name])) for name in sorted(bad, key=rank)[:SHOWN])
