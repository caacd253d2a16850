"""Several systems on the same cases, case by case: who was right, wrong, or silent.

Taught in chapter 1. A mean hides which questions a system answers; with a dozen cases the matrix
says more. "Silent" is apart from "wrong" because it costs less: whoever hears "I could not find
this" looks it up, whoever hears a wrong torque applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from agentops_ref.evals.result import CaseResult, EvalResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Outcome = Literal["right", "wrong", "abstained"]
COLOURS: dict[Outcome, str] = {"right": "#0072b2", "wrong": "#a84300", "abstained": "#767676"}
"""White letters have a contrast of at least 4.5:1 on each; the word stands in the cell as well."""


def outcome(result: CaseResult, *, scorer: str = "correct") -> Outcome:
    """``right`` includes a silence where the documents hold no answer; an error is ``wrong``."""
    score = result.score(scorer)
    if score is not None and score.value == 1:
        return "right"
    return "abstained" if result.answer.abstained and not result.error else "wrong"


def outcomes(results: Mapping[str, EvalResult]) -> dict[str, dict[str, Outcome]]:
    """Case → system → outcome, in the order of the cases."""
    table: dict[str, dict[str, Outcome]] = {}
    for system, result in results.items():
        for one in result.results:
            table.setdefault(one.case.id, {})[system] = outcome(one)
    return table


def describe_outcomes(table: Mapping[str, Mapping[str, Outcome]]) -> str:
    """The matrix in words, one line a case: the figure's text equivalent."""
    return "\n".join(
        f"{case}: " + ", ".join(f"{system} {said}" for system, said in row.items())
        for case, row in table.items()
    )


def plot_outcomes(
    table: Mapping[str, Mapping[str, Outcome]], *, labels: Mapping[str, str] | None = None
) -> Figure:
    """Draw the matrix, one row a case, the outcome as a word in each cell.

    ``labels`` replaces a case's id on the left.
    """
    from agentops_ref.evals.plots import INK, _blank

    figure, axes = _blank()
    systems = list(dict.fromkeys(name for row in table.values() for name in row))
    figure.set_size_inches(7.2, 0.7 + 0.32 * len(table))
    for y, row in enumerate(table.values()):
        for x, system in enumerate(systems):
            if said := row.get(system):
                axes.barh(y, 0.94, left=x + 0.03, height=0.86, color=COLOURS[said])
                axes.text(x + 0.5, y, said, color="white", ha="center", va="center", fontsize=8)
    axes.set_xlim(0, max(1, len(systems)))
    axes.set_xticks([x + 0.5 for x in range(len(systems))], systems, fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(table)), [(labels or {}).get(case, case) for case in table])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(max(1, len(table)) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(colors=INK, labelcolor=INK)
    return figure
