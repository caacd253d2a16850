"""How evaluation datasets look in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from agentops_ref.evals.datasets import DatasetDiff

STYLES = {"added": "green", "restored": "green", "removed": "red", "retired": "yellow"}


def datasets(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print each dataset with its figures, slices below it."""
    for row in rows:
        out.print(f"{row['name']}  {row['file']}", style="bold", markup=False)
        lines = {
            "cases": f"{row['cases']}, {row['retired']} retired",
            "splits": _counts(row["splits"]),
            "origins": _counts(row["origins"]),
            "slices": _counts(row["slices"]),
            "digest": row["digest"],
            "MLflow": row["mlflow"] or "not published: agentops dataset publish",
            "stale": _stale(row["stale"]),
        }
        for name, value in lines.items():
            out.print(f"  {name:<8} {value}", markup=False)


def stale(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each reason to look at a case again."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("case", "its source", "is", "by"):
        table.add_column(name, overflow="fold")
    for row in rows:
        for one in row["stale"] or ():
            table.add_row(one["case"], one["document"], one["why"], one["by"])
    if table.row_count:
        out.print(table)


def diff(out: Console, found: DatasetDiff) -> None:
    """Print a line for each difference."""
    from rich.markup import escape
    from rich.table import Table

    from agentops_ref.evals.datasets import diff_lines

    if not found:
        out.print(f"no difference, digest {found.before}", markup=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for what, case, how in diff_lines(found):
        table.add_row(f"[{STYLES.get(what, 'cyan')}]{what}[/]", escape(case), escape(how))
    out.print(table)
    out.print(f"digest {found.before} -> {found.after}", markup=False)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def _stale(found: Sequence[Mapping[str, str]] | None) -> str:
    if found is None:
        return "unknown: no older index version to compare with"
    cases = {one["case"] for one in found}
    return f"{len(cases)} cases" + ("; see --stale" if cases else "")
