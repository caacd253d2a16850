"""The figures of error analysis. Their words: `describe_matrix`, `describe_saturation`.

Colours and background as in `agentops_ref.evals.plots`: one figure serves a light and a dark page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops_ref.evals.errors.matrix import Matrix
from agentops_ref.evals.errors.saturation import Saturation
from agentops_ref.evals.plots import COLOURS, INK, _blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_matrix(matrix: Matrix) -> Figure:
    """Draw the cells as squares whose areas are the counts, with the counts as numbers.

    Rows and columns without a failure are left out. An area is read on any background, where a
    shade would need one.
    """
    figure, axes = _blank()
    rows, columns = matrix.used
    figure.set_size_inches(2.4 + 0.62 * max(1, len(columns)), 1.9 + 0.46 * max(1, len(rows)))
    most = max((cell.count for cell in matrix.cells), default=1)
    for y, i in enumerate(rows):
        for x, j in enumerate(columns):
            if count := matrix.counts[i][j]:
                side = 0.25 + 0.65 * (count / most) ** 0.5
                axes.add_patch(_square(x, y, side))
                axes.text(x, y, str(count), ha="center", va="center", color="white", fontsize=8)
    axes.set_xlim(-0.5, max(0, len(columns) - 1) + 0.5)
    axes.set_ylim(max(0, len(rows) - 1) + 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [matrix.states[i] for i in rows])
    names = [matrix.states[j] for j in columns]
    axes.set_xticks(range(len(columns)), names, rotation=40, ha="right")
    axes.set_xlabel(f"first state that failed ({matrix.placed} failed traces)")
    axes.set_ylabel("last state that succeeded", color=INK)
    axes.grid(axis="y", color=INK, alpha=0.25, linewidth=0.6)
    return figure


def _square(x: int, y: int, side: float) -> object:
    from matplotlib.patches import Rectangle

    return Rectangle((x - side / 2, y - side / 2), side, side, color=COLOURS[1])


def plot_saturation(found: Saturation) -> Figure:
    """Draw categories found against traces read: as read, and in random orders with their band."""
    figure, axes = _blank()
    figure.set_size_inches(6.4, 3.2)
    read = range(1, len(found.curve.found) + 1)
    axes.fill_between(read, found.curve.low, found.curve.high, color=INK, alpha=0.25, linewidth=0)
    axes.plot(read, found.curve.mean, color=INK, linestyle="--", label="random orders, with band")
    axes.step(read, found.curve.found, where="post", color=COLOURS[0], linewidth=2, label="as read")
    axes.set_xlabel("traces read")
    axes.set_ylabel("categories found", color=INK)
    axes.set_ylim(bottom=0)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, labelcolor=INK, loc="lower right", fontsize=8)
    return figure
