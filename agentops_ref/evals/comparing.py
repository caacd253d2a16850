"""Two evaluations of the same cases, scorer by scorer and slice by slice.

Taught in chapter 8. A slice is one more chance to see a difference that is none, so the p-values of
the slices are corrected for their number; the whole set is the one question asked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any, NamedTuple

from agentops_ref.errors import ConfigError
from agentops_ref.evals.paired import (
    cases_to_detect,
    detectable_difference,
    holm,
    paired_interval,
)
from agentops_ref.evals.statistics import Difference, mcnemar, paired_bootstrap
from agentops_ref.evals.table import ALL, ScoreTable

POWER = 0.8
"""Chance with which a detectable difference is found; the convention of the field."""


class SliceComparison(NamedTuple):
    """One scorer on one slice, the second evaluation minus the first."""

    scorer: str
    slice: str
    n: int
    """Cases that both scored."""
    before: float
    after: float
    difference: Difference
    """With Tango's score interval."""
    bootstrap: Difference
    """With the percentile bootstrap's, which takes no account of how few cases there are."""
    gained: tuple[str, ...]
    """Ids of cases that only the second passes."""
    lost: tuple[str, ...]
    """Ids of cases that only the first passes."""
    p: float
    """Exact McNemar test on pass (score 1) and fail."""
    adjusted: float
    """After Holm over the slices of this scorer; on the whole set the same as ``p``."""
    detectable: float | None
    """Smallest true difference that so many cases show with `POWER`; None: not any."""
    needed: int | None
    """Cases with which a difference as large as this one is found; None where there is none."""


class Stability(NamedTuple):
    """What asking the same cases again gave."""

    name: str
    asked: int
    """Cases that were asked more than once."""
    differs: int
    """Of these, whose answers were not the same text each time."""
    flips: int
    """Of these, that passed once and failed another time, by the first scorer."""
    tries: int
    """Tries of each case; of the fewest, where they differ."""
    pass_hat: Difference
    """Chance that so many tries all pass, by the first scorer: pass^k, see `pass_hat_k`."""


class ComparisonReport(NamedTuple):
    """All that `compare_tables` finds."""

    before: str
    after: str
    level: float
    rows: tuple[SliceComparison, ...]
    only_before: int
    """Cases that the second lacks."""
    only_after: int
    stability: tuple[Stability, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            **{key: value for key, value in self._asdict().items() if key != "rows"},
            "rows": [
                {
                    **row._asdict(),
                    "difference": row.difference._asdict(),
                    "bootstrap": row.bootstrap._asdict(),
                }
                for row in self.rows
            ],
            "stability": [
                {**one._asdict(), "pass_hat": one.pass_hat._asdict()} for one in self.stability
            ],
        }


def compare_tables(
    before: ScoreTable,
    after: ScoreTable,
    rng: Any,
    *,
    scorers: Sequence[str] = (),
    level: float = 0.95,
    resamples: int = 10_000,
) -> ComparisonReport:
    """Compare two evaluations on the cases that both scored.

    Parameters
    ----------
    rng
        numpy's random generator, for the bootstrap.
    scorers
        Which; all that both have, by default.
    level
        Confidence level of the intervals.

    Raises
    ------
    ConfigError
        No scorer or no case in common; or one scorer in two versions, whose verdicts cannot be
        compared.
    """
    shared = [name for name in after.scorers if name in before.scorers]
    for name in scorers:
        if name not in shared:
            raise ConfigError(f"'{name}' did not score both; these did: {', '.join(shared)}")
    chosen = list(scorers) or shared
    if not chosen:
        raise ConfigError(f"no scorer scored both '{before.name}' and '{after.name}'")
    for name in chosen:
        first, second = before.scorers[name], after.scorers[name]
        if first and second and first != second:
            raise ConfigError(
                f"'{name}' scored them in two versions ({first}, {second}); score both again with "
                "--rescore"
            )
    if not before.ids.keys() & after.ids.keys():
        raise ConfigError(f"no case is in both '{before.name}' and '{after.name}'")
    rows: list[SliceComparison] = []
    for name in chosen:
        found = [
            row
            for slice in (ALL, *after.slices)
            if (row := _row(before, after, name, slice, rng, level, resamples))
        ]
        adjusted = holm([row.p for row in found if row.slice != ALL])
        whole = [row for row in found if row.slice == ALL]
        parts = [row for row in found if row.slice != ALL]
        rows += whole
        rows += [row._replace(adjusted=p) for row, p in zip(parts, adjusted, strict=True)]
    return ComparisonReport(
        before.name,
        after.name,
        level,
        tuple(rows),
        len(before.ids.keys() - after.ids.keys()),
        len(after.ids.keys() - before.ids.keys()),
        tuple(
            one
            for table in (before, after)
            if (one := stability(table, chosen[0], rng, level=level)) is not None
        ),
    )


def stability(table: ScoreTable, scorer: str, rng: Any, *, level: float = 0.95) -> Stability | None:
    """Return how much the tries of the same cases differ; None where each was asked once."""
    differs, asked = table.unstable()
    if not asked:
        return None
    flips, _ = table.unstable(scorer)
    repeated = [(p, n) for p, n in table.passes(scorer).values() if n > 1]
    if not repeated:
        return None
    tries = min(n for _, n in repeated)
    # Of a case that was tried more often, the chance that so many tries drawn of its own all pass.
    chances = [comb(passed, tries) / comb(n, tries) for passed, n in repeated]
    found = paired_bootstrap([0.0] * len(chances), chances, rng, level=level)
    return Stability(table.name, asked, differs, flips, tries, found)


def _row(
    before: ScoreTable,
    after: ScoreTable,
    scorer: str,
    slice: str,
    rng: Any,
    level: float,
    resamples: int,
) -> SliceComparison | None:
    first, second = before.values(scorer), after.values(scorer, slice)
    shared = [case for case in second if case in first]
    if not shared:
        return None
    a, b = [first[case] for case in shared], [second[case] for case in shared]
    gained = tuple(c for c in shared if second[c] >= 1 > first[c])
    lost = tuple(c for c in shared if first[c] >= 1 > second[c])
    difference = paired_interval(a, b, level)
    n, size = len(shared), abs(difference.mean)
    # What the systems differ on, counting partial scores as the parts of a case that they are.
    discordance = sum(abs(y - x) for x, y in zip(a, b, strict=True)) / n
    p = mcnemar(len(lost), len(gained))
    return SliceComparison(
        scorer,
        slice,
        n,
        sum(a) / n,
        sum(b) / n,
        difference,
        _bootstrap(a, b, rng, level, resamples),
        gained,
        lost,
        p,
        p,
        detectable_difference(n, min(1.0, discordance), level=level, power=POWER),
        cases_to_detect(size, max(size, discordance), level=level, power=POWER) if size else None,
    )


def _bootstrap(
    a: Sequence[float], b: Sequence[float], rng: Any, level: float, resamples: int
) -> Difference:
    """`paired_bootstrap` in little memory: on 50,000 cases its matrix of draws takes 4 GB."""
    if len(a) <= 1000:
        return paired_bootstrap(a, b, rng, level=level, resamples=resamples)
    import numpy as np

    # To resample differences is to draw how often each distinct one comes up.
    deltas, counts = np.unique(np.subtract(b, a), return_counts=True)
    drawn = rng.multinomial(len(a), counts / len(a), size=resamples)
    means = drawn @ deltas / len(a)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Difference(float(np.subtract(b, a).mean()), float(low), float(high))
