"""The figures of an evaluation. Their text equivalent is `agentops_ref.evals.report.describe`.

Taught in chapter 8. The background is transparent and every colour has a contrast of at least
3:1 on white and on near-black, so that one figure serves a light and a dark page; what a colour
says, a marker's shape says as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import MissingExtra
from agentops_ref.evals.result import Comparison, EvalResult
from agentops_ref.evals.table import ALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#767676"
COLOURS = ("#0072b2", "#d55e00", "#008f68", "#b5579b")  # after Okabe and Ito, darkened where needed
MARKERS = ("o", "s", "^", "D")


def plot_slices(
    result: EvalResult | Mapping[str, EvalResult],
    *,
    scorer: str = "correct",
    threshold: float | None = None,
    level: float = 0.95,
) -> Figure:
    """Draw one dot with its interval per slice, for one evaluation or several side by side."""
    figure, axes = _blank()
    results = dict(result) if isinstance(result, Mapping) else {result.name: result}
    names: list[str] = []
    for one in results.values():
        names += [n for n in (ALL, *one.slices) if n not in names and one.aggregate(scorer, n).n]
    figure.set_size_inches(6.4, 0.9 + 0.24 * len(names) * max(1.0, 0.7 * len(results)))
    step = 0.7 / len(results)
    for index, (label, one) in enumerate(results.items()):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        shift = (index - (len(results) - 1) / 2) * step
        rows = [(y, one.aggregate(scorer, name, level=level)) for y, name in enumerate(names)]
        rows = [(y, row) for y, row in rows if row.n]
        for y, row in rows:
            axes.plot(row.interval, [y + shift] * 2, color=colour, linewidth=2)
        means, heights = [row.mean for _, row in rows], [y + shift for y, _ in rows]
        axes.plot(means, heights, marker, color=colour, label=label, markersize=6)
    counts = next(iter(results.values()))
    axes.set_yticks(range(len(names)), [f"{n} ({counts.aggregate(scorer, n).n})" for n in names])
    axes.invert_yaxis()
    if threshold is not None:
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1)
        axes.annotate(
            "gate", (threshold, 1), xycoords=("data", "axes fraction"), color=INK, fontsize=8,
            ha="center", va="bottom",
        )  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    axes.set_xlabel(f"{scorer.replace('_', ' ')}, mean and {level:.0%} interval (number of cases)")
    if len(results) > 1:
        figure.legend(
            frameon=False, labelcolor=INK, loc="outside upper right", ncols=len(results), fontsize=8
        )
    return figure


def plot_comparisons(comparisons: Mapping[str, Comparison], *, base: str) -> Figure:
    """Draw the difference of each evaluation to the one named ``base``, with its interval.

    Its text equivalent is `agentops_ref.evals.report.describe_comparison` of each.
    """
    figure, axes = _blank()
    figure.set_size_inches(6.4, 0.9 + 0.34 * len(comparisons))
    for at, one in enumerate(comparisons.values()):
        axes.plot([one.difference.low, one.difference.high], [at, at], color=COLOURS[0])
        axes.plot(one.difference.mean, at, MARKERS[0], color=COLOURS[0], markersize=6)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(comparisons)), list(comparisons))
    axes.set_ylim(len(comparisons) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:+.0%}" if round(share, 3) else "0%")
    scorer = next(iter(comparisons.values())).scorer.replace("_", " ")
    axes.set_xlabel(f"{scorer}, difference to {base} with its 95% interval")
    return figure


def _blank() -> tuple[Figure, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "book") from None
    figure = Figure(layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelcolor=INK, length=0)
    axes.xaxis.label.set_color(INK)
    axes.grid(axis="x", color=INK, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes
