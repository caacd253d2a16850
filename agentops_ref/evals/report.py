"""An evaluation for people: tables for the terminal, and the same as plain text.

Taught in chapter 8. Fits 80 columns. The first scorer is shown with its interval, the others as
means; a slice of a few cases shows by its wide interval that it says little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from agentops_ref.evals.gate import Check, Verdict
from agentops_ref.evals.result import CaseResult, Comparison, EvalResult
from agentops_ref.evals.retrieval import RetrievalResult
from agentops_ref.evals.table import ALL, Aggregate, ScoreTable

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"pass": "green", "fail": "red", "undecided": "yellow"}


def slice_table(
    result: EvalResult | ScoreTable, *, scorer: str = "correct", level: float = 0.95
) -> Table:
    """One line per slice: n, the main scorer with its interval, the means of the others."""
    from rich.table import Table

    main = scorer if scorer in result.scorers else next(iter(result.scorers))
    others = [name for name in result.scorers if name != main]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("slice", no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column(main.replace("_", "\n"), justify="right", no_wrap=True)
    table.add_column(f"{level:.0%} CI", justify="right", no_wrap=True)
    for name in others:
        table.add_column(name.replace("_", "\n"), justify="right", no_wrap=True)
    for slice in (ALL, *result.slices):
        row = result.aggregate(main, slice, level=level)
        cells = [_percent(result.aggregate(name, slice, level=level)) for name in others]
        interval = f"{100 * row.interval.low:.0f}–{row.interval.high:.0%}" if row.n else "-"
        style = "bold" if slice == ALL else None
        table.add_row(slice, str(row.n), _percent(row), interval, *cells, style=style)
    return table


def failure_list(results: Iterable[CaseResult], *, limit: int | None = None) -> Table:
    """Question, what was expected, what was said and cited, and why that is wrong."""
    from rich.table import Table
    from rich.text import Text

    found = list(results)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for result in found[:limit]:
        # Texts, not markup: an answer's square brackets are shown as they are.
        table.add_row("case", Text(f"{result.case.id}  {result.case.question}", style="bold"))
        for label, value in _lines(result):
            table.add_row(label, Text(value))
        table.add_row()
    if limit is not None and len(found) > limit:
        table.add_row("", f"... and {len(found) - limit} more")
    return table


def verdict_table(verdict: Verdict) -> Table:
    """One line per rule, with the interval that its limit was compared with."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title_justify="left")
    table.title = f"gate: [{_COLOURS[verdict.outcome]}]{verdict.outcome}[/]"
    for heading in ("check", "outcome", "limit", "measured", "interval", "n"):
        table.add_column(heading, justify="left" if heading in ("check", "outcome") else "right")
    for check in verdict.checks:
        table.add_row(
            check.name,
            f"[{_COLOURS[check.outcome]}]{check.outcome}[/]",
            amount(check, check.limit),
            amount(check, check.mean),
            f"{amount(check, check.interval.low)} to {amount(check, check.interval.high)}",
            str(check.n),
        )
        if check.reason:
            table.add_row(f"  [dim]{escape(check.reason)}[/]")
    return table


def amount(check: Check, value: float) -> str:
    """Return a number of a check in its unit."""
    if not isfinite(value):
        return "?"
    if check.kind in ("threshold", "margin"):
        return f"{value:+.0%}" if check.kind == "margin" else f"{value:.0%}"
    return f"{value:.4g}"


def retrieval_table(results: Sequence[RetrievalResult], k: int, *, slices: bool = False) -> Table:
    """One line per setting (and slice): document and passage hit rate at k, and MRR."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    headings = ("search", "slice", "n", f"document@{k}", f"passage@{k}", "interval", "MRR")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("search", "slice") else "right")
    for result in results:
        for row in result.rows(k) if slices else [result.row(k)]:
            table.add_row(
                row.name,
                row.slice,
                str(row.n),
                f"{row.document_hit:.0%}",
                f"{row.passage_hit:.0%}",
                f"{row.interval.low:.0%} to {row.interval.high:.0%}",
                f"{row.mrr:.2f}",
            )
    return table


def describe(result: EvalResult, *, scorer: str = "correct", level: float = 0.95) -> str:
    """The slice figure in words, one line per slice: its text equivalent."""
    lines = []
    for slice in (ALL, *result.slices):
        row = result.aggregate(scorer, slice, level=level)
        if row.n:
            ends = f"{row.interval.low:.0%} to {row.interval.high:.0%}"
            lines.append(f"{slice}: {row.mean:.0%} of {row.n} cases ({level:.0%} interval {ends})")
    return "\n".join(lines)


def describe_comparison(comparison: Comparison) -> str:
    """A comparison in one sentence."""
    d = comparison.difference
    return (
        f"{comparison.scorer}: {d.mean:+.0%} ({d.low:+.0%} to {d.high:+.0%}) on "
        f"{comparison.n} cases; {len(comparison.gained)} gained, {len(comparison.lost)} lost, "
        f"exact McNemar p = {comparison.p:.3f}"
    )


def _lines(result: CaseResult) -> list[tuple[str, str]]:
    case, answer = result.case, result.answer
    expected = "to abstain" if case.abstain else "; ".join(case.facts)
    got = answer.text or result.error or "nothing"
    if answer.abstained:
        got = f"(abstained) {got}"
    cited = [f"{c.document}, page {c.page}" if c.page else c.document for c in answer.citations]
    lines = [("expected", expected), ("got", got), ("cited", "; ".join(cited) or "nothing")]
    for score in result.scores:
        if score.error:
            lines.append(("error", f"{score.scorer}: {score.error}"))
        elif score.value is not None and score.value < 1:
            lines.append(("why", f"{score.scorer}: {score.rationale}"))
    return lines


def _percent(row: Aggregate) -> str:
    if row.n == 0:
        return "-"
    return f"{row.mean:.0%}" + (f" ({row.errors} failed)" if row.errors else "")
