"""The figures of a judge's calibration, each with its words. Taught in chapter 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentops_ref.evals.calibration.counts import Estimate
from agentops_ref.evals.calibration.coverage import Coverage, Setting
from agentops_ref.evals.plots import COLOURS, INK, _blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_estimates(
    estimates: Sequence[Estimate], *, true_rate: float | None = None, level: float = 0.95
) -> Figure:
    """Draw one dot with its interval a method; a method without a rate has none.

    Its text equivalent is `agentops_ref.evals.calibration.report.describe_estimates`.
    """
    figure, axes = _blank()
    figure.set_size_inches(6.4, 0.9 + 0.3 * len(estimates))
    for at, one in enumerate(estimates):
        if one.rate is not None:
            axes.plot([one.low, one.high], [at, at], color=COLOURS[0], linewidth=2)
            axes.plot(one.rate, at, "o", color=COLOURS[0], markersize=6)
    if true_rate is not None:
        axes.axvline(true_rate, color=INK, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(estimates)), [one.method for one in estimates])
    axes.set_ylim(len(estimates) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel(f"estimated rate and its {level:.0%} interval")
    return figure


def plot_coverage(rows: Sequence[Coverage], methods: Sequence[str]) -> Figure:
    """Draw a heat map a method: labels and judged items down, judge and rate across.

    A cell's number is the coverage in percent, so that nothing hangs on its colour. Its text
    equivalent is `describe_coverage`.
    """
    import numpy as np
    from matplotlib.figure import Figure

    settings = [row.setting for row in rows]
    downs = sorted({_down(one) for one in settings})
    acrosses = sorted({_across(one) for one in settings})
    figure = Figure(layout="constrained", figsize=(3.4 * len(methods), 1.2 + 0.24 * len(downs)))
    figure.patch.set_alpha(0)
    for index, method in enumerate(methods):
        axes = figure.add_subplot(1, len(methods), index + 1)
        values = np.full((len(downs), len(acrosses)), np.nan)
        for row in rows:
            if row.method == method:
                at = downs.index(_down(row.setting)), acrosses.index(_across(row.setting))
                values[at] = row.coverage
        axes.imshow(values, cmap="cividis", vmin=0.8, vmax=1, aspect="auto")
        for (y, x), value in np.ndenumerate(values):
            if not np.isnan(value):
                ink = "black" if value > 0.9 else "white"
                text = f"{100 * value:.0f}"
                axes.text(x, y, text, ha="center", va="center", color=ink, fontsize=6)
        axes.set_title(method, color=INK, fontsize=9)
        labels = [f"{100 * skill:.0f}/{100 * rate:.0f}" for skill, rate in acrosses]
        axes.set_xticks(range(len(acrosses)), labels, rotation=90, fontsize=6)
        names = [f"{n_labels}, {n_judged}" for n_labels, n_judged in downs] if not index else []
        axes.set_yticks(range(len(downs)) if names else [], names, fontsize=6)
        axes.tick_params(colors=INK, labelcolor=INK, length=0)
        axes.set_xlabel("TPR / rate, %", color=INK, fontsize=8)
        if not index:
            axes.set_ylabel("labels, judged", color=INK, fontsize=8)
    return figure


def describe_coverage(rows: Sequence[Coverage]) -> str:
    """The heat map in words, one line a method: lowest coverage and where, points below 94 %."""
    lines = []
    for method in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == method]
        worst, below = min(mine, key=lambda row: row.coverage), sum(r.coverage < 0.94 for r in mine)
        s = worst.setting
        lines.append(
            f"{method}: lowest {worst.coverage:.1%} ({worst.low:.1%} to {worst.high:.1%}) with "
            f"{s.n_labels} labels, {s.n_judged} judged, TPR {s.tpr:.0%}, rate {s.rate:.0%}; below "
            f"94% at {below} of {len(mine)} points"
        )
    return "\n".join(lines)


def _down(setting: Setting) -> tuple[int, int]:
    return setting.n_labels, setting.n_judged


def _across(setting: Setting) -> tuple[float, float]:
    return setting.tpr, setting.rate
