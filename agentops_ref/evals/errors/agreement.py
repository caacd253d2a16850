"""How far two people who read the same traces say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from agentops_ref.evals.errors.records import Readings
from agentops_ref.evals.errors.taxonomy import Taxonomy
from agentops_ref.intervals import Interval, proportion_interval


class Agreement(NamedTuple):
    """Two people on one question."""

    what: str
    """outcome, first failure, or category."""
    first: str
    second: str
    n: int
    """Traces on which both said something."""
    share: float
    """On which they say the same."""
    kappa: float | None
    """None where both said the same one thing of all: chance would agree as often."""
    interval: Interval
    """Of kappa; (-1, 1) where it is None."""


def cohen_kappa(
    first: Mapping[str, str], second: Mapping[str, str], level: float = 0.95
) -> tuple[float | None, Interval]:
    """Agreement of two people beyond chance, for any number of categories.

    Parameters
    ----------
    first, second
        Item → what that person called it. Only items that both named count.
    level
        Level of the interval, within 0..1 exclusive.

    Returns
    -------
    tuple
        Kappa, 1 for full agreement and 0 for as much as chance gives, down to -1, and its
        interval. As in Cohen's paper the agreement by chance is taken as known [1]_; the interval
        of the observed agreement is Wilson's, so that full agreement on few items is not certain.
        None and (-1, 1) where there is no item, or where both said one and the same of all.

    References
    ----------
    .. [1] J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
       Measurement 20 (1), 1960, pp. 37-46, eq. 1 and 7.
    """
    items = [item for item in first if item in second]
    n = len(items)
    a = Counter(first[item] for item in items)
    b = Counter(second[item] for item in items)
    chance = sum(a[name] * b[name] for name in a) / (n * n) if n else 1.0
    if chance == 1.0:
        return None, Interval(-1.0, 1.0)
    same = sum(first[item] == second[item] for item in items)
    observed = proportion_interval(same, n, level)

    def beyond(share: float) -> float:
        return max(-1.0, (share - chance) / (1 - chance))

    return beyond(same / n), Interval(beyond(observed.low), beyond(observed.high))


def agreements(readings: Readings, taxonomy: Taxonomy, *, level: float = 0.95) -> list[Agreement]:
    """Return every pair of people who have something in common, on every question."""
    rows = []
    for what, said in _said(readings, taxonomy).items():
        for first, second in combinations(sorted(said), 2):
            a, b = said[first], said[second]
            shared = [item for item in a if item in b]
            if not shared:
                continue
            kappa, interval = cohen_kappa(a, b, level)
            share = sum(a[item] == b[item] for item in shared) / len(shared)
            rows.append(Agreement(what, first, second, len(shared), share, kappa, interval))
    return rows


def _said(readings: Readings, taxonomy: Taxonomy) -> dict[str, dict[str, dict[str, str]]]:
    """Return question → person → trace → what the person said."""
    said: dict[str, dict[str, dict[str, str]]] = {"outcome": {}, "first failure": {}}
    for (trace, coder), one in readings.by_coder.items():
        said["outcome"].setdefault(coder, {})[trace] = one.outcome
        if one.first_failure:
            said["first failure"].setdefault(coder, {})[trace] = one.first_failure
    said["category"] = {coder: taxonomy.said_by(coder) for coder in taxonomy.coders}
    return said
