"""How a report of quality looks in a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops_ref.records import QualityReport, QualityState, QualityVerdict

if TYPE_CHECKING:
    from rich.console import Console

STYLES: dict[QualityState, str] = {"pass": "green", "fail": "red", "not enough": "dim"}


def quality_report(out: Console, report: QualityReport) -> None:
    """Print each expectation with its verdict, then the worst documents of those that failed."""
    from rich.markup import escape
    from rich.table import Table

    from agentops_ref.etl.quality.report import headline

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("expectation", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("on fail", style="dim", no_wrap=True)
    for v in report.verdicts:
        table.add_row(
            f"[{STYLES[v.state]}]{v.state}[/]",
            escape(v.name),
            "" if v.measured is None else f"{v.measured:.3g}",
            "" if v.low is None or v.high is None else f"{v.low:.2g}..{v.high:.2g}",
            str(v.n),
            v.on_fail,
        )
    out.print(table)
    for v in report.failed:
        _worst(out, v)
    out.print(headline(report), markup=False)


def quality_line(out: Console, report: QualityReport) -> None:
    """Print one line of what a sync's check found, and what it warns of."""
    from agentops_ref.etl.quality.check import explained
    from agentops_ref.etl.quality.report import headline

    out.print(f"quality: {headline(report)}", markup=False, style="dim")
    if not report.refused:
        for v in report.failed:
            out.print(f"  ! {v.on_fail}: {explained(v)}", markup=False, style="yellow")


def _worst(out: Console, verdict: QualityVerdict) -> None:
    out.print(f"{verdict.name}: {verdict.reason or 'failed'}", style="red", markup=False)
    for document, value in verdict.worst:
        out.print(f"  {value:>8}  {document}", markup=False)
