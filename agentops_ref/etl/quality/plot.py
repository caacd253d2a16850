"""The picture of a quality report. Its text equivalent is `agentops_ref.etl.quality.describe`.

The background is transparent and every colour has a contrast of at least 3:1 on white and on
near-black, so that one figure serves a light and a dark page; what a colour says, a marker says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import MissingExtra
from agentops_ref.records import QualityReport, QualityState, QualityVerdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#767676"
LOOKS: dict[QualityState, tuple[str, str]] = {
    "pass": ("#008f68", "o"),
    "fail": ("#d55e00", "X"),
    "not enough": (INK, "D"),
}
RUNS = 12
"""Earlier runs that a line goes back over."""


def plot_quality(report: QualityReport, earlier: Sequence[QualityReport] = ()) -> Figure:
    """Draw each expectation against its limit, and over the last runs.

    On the left the measured value with its interval and the limit as a bar; what was not measured
    has no dot. On the right the same numbers over the earlier runs, the oldest first.

    Raises
    ------
    MissingExtra
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "book") from None
    shown = [v for v in report.verdicts if v.limit is not None]
    figure = Figure(figsize=(8.2, 1.1 + 0.3 * max(1, len(shown))), layout="constrained")
    figure.patch.set_alpha(0)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    for axes, title in ((left, "measured, with interval; bar: limit"), (right, "last runs")):
        _blank(axes, title)
    history = [*[r for r in earlier if r.made_at < report.made_at][-RUNS:], report]
    for y, verdict in enumerate(shown):
        _row(left, y, verdict)
        _line(right, y, verdict, history)
    left.set_yticks(range(len(shown)), [_label(v) for v in shown], fontsize=7)
    left.set_xscale("symlog", linthresh=1.0)  # shares stay linear, counts of characters fit as well
    left.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    left.invert_yaxis()
    right.set_xlim(-0.5, max(1, len(history) - 1) + 0.5)
    right.set_xticks([])
    _legend(figure, {v.state for v in shown})
    return figure


def _row(axes: Any, y: int, verdict: QualityVerdict) -> None:
    axes.plot([verdict.limit] * 2, [y - 0.36, y + 0.36], color=INK, linewidth=2)
    if verdict.measured is None:
        return
    colour, marker = LOOKS[verdict.state]
    if verdict.low is not None and verdict.high is not None:
        axes.plot([verdict.low, verdict.high], [y, y], color=colour, linewidth=2)
    axes.plot([verdict.measured], [y], marker, color=colour, markersize=6)


def _line(axes: Any, y: int, verdict: QualityVerdict, history: Sequence[QualityReport]) -> None:
    """Draw one expectation's values in a band of its own height, with its limit in the scale."""
    points = []
    for x, report in enumerate(history):
        same = next((v for v in report.verdicts if v.name == verdict.name), None)
        if same is not None and same.measured is not None:
            points.append((x, same.measured, same.state))
    values = [value for _, value, _ in points] + [verdict.limit or 0.0]
    low, high = min(values), max(values)
    scale = (high - low) or 1.0

    def height(value: float) -> float:
        return y + 0.3 - 0.6 * (value - low) / scale  # the axis is upside down

    axes.plot([x for x, _, _ in points], [height(v) for _, v, _ in points], color=INK, linewidth=1)
    axes.axhline(height(verdict.limit or 0.0), color=INK, linewidth=0.5, linestyle=":")
    for x, value, state in points:
        colour, marker = LOOKS[state]
        axes.plot([x], [height(value)], marker, color=colour, markersize=4)


def _label(verdict: QualityVerdict) -> str:
    return f"{verdict.name} ({verdict.n})"


def _legend(figure: Any, states: set[QualityState]) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=state)
        for state, (colour, marker) in LOOKS.items()
        if state in states
    ]
    if marks:
        figure.legend(
            handles=marks, loc="outside upper right", ncols=3, frameon=False, labelcolor=INK,
            fontsize=8,
        )  # fmt: skip


def _blank(axes: Any, title: str) -> None:
    axes.patch.set_alpha(0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(colors=INK, labelcolor=INK, length=0)
    axes.grid(axis="x", color=INK, alpha=0.25, linewidth=0.6)
    axes.set_xlabel(title, color=INK, fontsize=8)
    axes.set_axisbelow(True)
