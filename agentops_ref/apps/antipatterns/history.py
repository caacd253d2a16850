"""Two histories of one agent: each version after a complaint, or after a look at all failures.

Taught in chapter 2; the versions are in ``corpus/chapter-02.yaml``, their prompts below
``config/prompts/chapter-02``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import ConfigError
from agentops_ref.evals import CaseResult, EvalResult
from agentops_ref.evals.outcomes import COLOURS, Outcome, outcome, outcomes
from agentops_ref.records import Case
from agentops_ref.wiring import App

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAID: dict[Outcome, str] = {"right": "right", "wrong": "wrong", "abstained": "silent"}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the agent: what is set, and why it was made."""

    name: str
    settings: Mapping[str, str]
    """Overrides of the configuration, all of them, not only what is new."""
    note: str
    """What its author did."""
    complaint: str = ""
    """The case that somebody complained of; empty where the suite was read."""


def load_versions(path: Path) -> dict[str, list[Version]]:
    """Read the histories, name → versions in order, from a YAML file.

    Raises
    ------
    ConfigError
        The file is missing or is no mapping of names to lists of versions.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {name: [Version(**row) for row in rows] for name, rows in loaded.items()}
    except FileNotFoundError:
        raise ConfigError(f"histories not found: {path}") from None
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: expected histories, each a list of versions with name, settings, note and "
            f"perhaps complaint: {error}"
        ) from None


def split(cases: Sequence[Case], *, each: int) -> tuple[list[Case], list[Case]]:
    """Return a set to work with and one to hold out: of each slice the first ones, and the next.

    The choice goes by the order of the file, so no result has a part in it.
    """
    own: list[Case] = []
    held: list[Case] = []
    seen: dict[str, int] = {}
    for case in cases:
        seen[case.slice] = at = seen.get(case.slice, 0) + 1
        if at <= 2 * each:
            (own if at <= each else held).append(case)
    return own, held


def run(
    wired: Callable[[Mapping[str, str]], App],
    versions: Sequence[Version],
    cases: Sequence[Case],
) -> dict[str, EvalResult]:
    """Evaluate each version on the same cases, over the same index."""
    return {one.name: wired(one.settings).evaluate(cases, run_name=one.name) for one in versions}


def next_complaint(result: EvalResult, told: Collection[str]) -> CaseResult | None:
    """Return the first failed case, in the order of the set, that nobody complained of yet."""
    return next((one for one in result.failures() if one.case.id not in told), None)


def added(before: str, after: str) -> str:
    """Return the lines that a prompt got, and those that it lost, as a diff without context."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return "\n".join(line for line in lines if line.startswith(("+ ", "- ")))


def changed(results: Mapping[str, EvalResult]) -> dict[str, tuple[set[str], set[str]]]:
    """Return what each version mended and broke, as case ids, compared with the one before."""
    passed = {
        name: {one.case.id for one in result.results if outcome(one) == "right"}
        for name, result in results.items()
    }
    return {
        new: (passed[new] - passed[old], passed[old] - passed[new]) for old, new in pairwise(passed)
    }


def describe_history(results: Mapping[str, EvalResult]) -> str:
    """The matrix in words: the figure's text equivalent."""
    marks = _marks(results)
    return "\n".join(
        f"{case}: " + ", ".join(f"{name} {marks[case, name]}" for name in row)
        for case, row in outcomes(results).items()
    )


def plot_history(results: Mapping[str, EvalResult]) -> Figure:
    """Draw a row for each case and a column for each version; "+" mended, "−" broken by it."""
    from matplotlib.figure import Figure

    from agentops_ref.evals.plots import INK

    table, marks = outcomes(results), _marks(results)
    figure = Figure(
        figsize=(1.9 + 1.05 * len(results), 0.6 + 0.27 * len(table)), layout="constrained"
    )
    figure.patch.set_alpha(0)
    axes: Any = figure.subplots()
    axes.patch.set_alpha(0)
    for y, (case, row) in enumerate(table.items()):
        for x, (name, said) in enumerate(row.items()):
            mark = marks[case, name]
            new = mark[0] in "+−"
            axes.barh(y, 0.94, left=x + 0.03, height=0.86, color=COLOURS[said], alpha=1)
            weight = "bold" if new else "normal"
            axes.text(
                x + 0.5, y, mark, color="white", ha="center", va="center", fontsize=8, weight=weight
            )
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlim(0, max(1, len(results)))
    axes.set_ylim(max(1, len(table)) - 0.5, -0.5)
    axes.set_xticks([x + 0.5 for x in range(len(results))], list(results), fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(table)), list(table), fontsize=8)
    axes.tick_params(colors=INK, labelcolor=INK, length=0)
    return figure


def _marks(results: Mapping[str, EvalResult]) -> dict[tuple[str, str], str]:
    """(case, version) → what a cell says."""
    moved = changed(results)
    marks = {}
    for case, row in outcomes(results).items():
        for name, said in row.items():
            mended, broke = moved.get(name, (set(), set()))
            sign = "+ " if case in mended else "− " if case in broke else ""
            marks[case, name] = f"{sign}{SAID[said]}"
    return marks
