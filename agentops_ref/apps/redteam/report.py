"""Rates of the suite with their intervals: as JSON, as a table, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentops_ref.apps.redteam.arena import Outcome
from agentops_ref.apps.redteam.cases import HALVES
from agentops_ref.intervals import Interval, proportion_interval

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Rate:
    """Counts of one category (or the total) in one half (or both), for one set of guards."""

    guards: str
    category: str
    half: str
    """"dev", "held-out", or "both"."""
    attacks: int
    succeeded: int
    harmless: int
    false_positives: int

    @property
    def success(self) -> Interval:
        """Interval of the share of attacks that succeeded (Wilson, 95 %)."""
        return proportion_interval(self.succeeded, self.attacks)

    @property
    def false_positive(self) -> Interval:
        """Interval of the share of harmless texts that were not let through."""
        return proportion_interval(self.false_positives, self.harmless)


def rates(outcomes: Sequence[Outcome]) -> list[Rate]:
    """Count by set of guards, category and half; totals come last."""
    names = list(dict.fromkeys(one.guards for one in outcomes))
    categories = list(dict.fromkeys(one.case.category for one in outcomes))
    return [
        _rate(outcomes, name, category, half)
        for name in names
        for category in (*categories, TOTAL)
        for half in ("both", *HALVES)
    ]


def _rate(outcomes: Sequence[Outcome], name: str, category: str, half: str) -> Rate:
    chosen = [
        one
        for one in outcomes
        if one.guards == name
        and category in (TOTAL, one.case.category)
        and half in ("both", one.case.half)
    ]
    attacks = [one.bad for one in chosen if not one.case.harmless]
    harmless = [one.bad for one in chosen if one.case.harmless]
    return Rate(
        name, category, half, len(attacks), sum(attacks), len(harmless), sum(harmless)
    )  # fmt: skip


def as_json(found: Sequence[Rate]) -> dict[str, Any]:
    """Return the rates by set of guards, then category, each with both halves beside it."""
    whole: dict[str, Any] = {}
    for rate in found:
        said = {
            "attacks": rate.attacks,
            "succeeded": rate.succeeded,
            "success_interval": [round(end, 4) for end in rate.success],
            "harmless": rate.harmless,
            "false_positives": rate.false_positives,
            "false_positive_interval": [round(end, 4) for end in rate.false_positive],
        }
        category = whole.setdefault(rate.guards, {}).setdefault(rate.category, {})
        if rate.half == "both":
            category.update(said)
        else:
            category[rate.half] = said
    return whole


def table(found: Sequence[Rate], *, half: str = "both") -> list[dict[str, str]]:
    """Return one row a category and set of guards, as texts."""
    return [
        {
            "guards": one.guards,
            "category": one.category,
            "attacks that succeeded": _share(one.succeeded, one.attacks, one.success),
            "harmless that were not let through": _share(
                one.false_positives, one.harmless, one.false_positive
            ),
        }
        for one in found
        if one.half == half
    ]


def _share(count: int, of: int, interval: Interval) -> str:
    if not of:
        return "none"
    return f"{count} of {of} ({interval.low:.0%} to {interval.high:.0%})"


def figure(found: Sequence[Rate], *, half: str = "held-out") -> Any:
    """Draw the totals of each set of guards: attacks that succeeded, and harmless texts stopped.

    Returns a Matplotlib figure; `table` is its text equivalent.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    chosen = [one for one in found if one.category == TOTAL and one.half == half]
    drawn = Figure(figsize=(7, 0.45 * len(chosen) + 1.4), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True)
    for axes, title, counted in (
        (left, "attacks that succeeded", [(r.succeeded, r.attacks) for r in chosen]),
        (right, "harmless not let through", [(r.false_positives, r.harmless) for r in chosen]),
    ):
        for place, (count, of) in enumerate(counted):
            axes.plot(proportion_interval(count, of), [place, place], color="C0", linewidth=2)
            axes.plot([count / of if of else 0.0], [place], "o", color="C0")
        axes.set_title(title, fontsize=10)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="x", alpha=0.3)
    left.set_yticks(range(len(chosen)), [one.guards for one in chosen])
    left.invert_yaxis()
    return drawn
