"""How records look in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentops_ref.records import Answer, SyncReport

if TYPE_CHECKING:
    from rich.console import Console

    from agentops_ref.apps.tour import Step
    from agentops_ref.evals import EvalResult, Interval, Verdict
    from agentops_ref.models import VerifyReport
    from agentops_ref.tracing import SpanLine


def answer(out: Console, given: Answer) -> None:
    """Print an answer, its citations and what it cost."""
    from rich.markup import escape

    out.print(f"[yellow]{escape(given.text)}[/]" if given.abstained else escape(given.text))
    for citation in given.citations:
        page = f", page {citation.page}" if citation.page else ""
        out.print(f"  [cyan]{escape(citation.document)}[/]{page} [dim]({citation.version})[/]")
        out.print(f"    [italic]“{escape(shorten(citation.quote, 220))}”[/]")
    spent = given.usage
    out.print(
        f"[dim]{given.model}; {spent.input_tokens} + {spent.output_tokens} tokens, "
        f"${spent.cost:.6f}, {given.seconds:.2f} s; trace {given.trace_id or 'off'}[/]"
    )


def trace(out: Console, lines: Sequence[SpanLine]) -> None:
    """Print a trace as a tree with time, tokens and cost."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("span")
    table.add_column("kind", style="dim")
    for name in ("seconds", "in", "out", "cost $"):
        table.add_column(name, justify="right")
    for line in lines:
        indent = "  " * (line.depth - 1) + "└ " if line.depth else ""
        tokens = line.input_tokens or line.output_tokens
        table.add_row(
            f"{indent}{line.name}",
            line.kind,
            f"{line.seconds:.3f}",
            str(line.input_tokens) if tokens else "",
            str(line.output_tokens) if tokens else "",
            f"{line.cost:.6f}" if tokens else "",
        )
    out.print(table)


def sync_report(out: Console, report: SyncReport) -> None:
    """Print what a sync did; long lists are shortened."""
    if report.refused:
        out.print(f"[red]refused:[/] {report.refused}")
        return
    out.print(
        f"index version {report.index_version}: [green]{len(report.created)} created[/], "
        f"[yellow]{len(report.updated)} updated[/], [red]{len(report.deleted)} deleted[/], "
        f"{len(report.tombstoned)} tombstoned, {report.kept} kept; {report.seconds:.1f} s"
    )
    if report.work:
        out.print(f"[dim]work: {', '.join(f'{k} {v}' for k, v in report.work.items())}[/]")
    named = (("+", report.created), ("~", report.updated), ("-", report.deleted))
    if sum(len(documents) for _, documents in named) <= 24:
        for sign, documents in named:
            for document in documents:
                out.print(f"  {sign} {document}", markup=False)
    for document, reason in report.quarantined:
        out.print(f"  ! {document}: {reason}", markup=False, style="red")


def tables_report(out: Console, tables: Mapping[str, Any]) -> None:
    """Print one line for the Delta tables that changed."""
    changed = [f"{name} {counts}" for name, counts in tables.items() if counts]
    out.print(f"tables: {', '.join(changed) if changed else 'unchanged'}", markup=False)


def step(out: Console, done: Step) -> None:
    """Print one step of the tour."""
    from rich.markup import escape
    from rich.rule import Rule

    out.print()
    out.print(Rule(f"[bold]{escape(done.title)}[/]", align="left", style="dim"))
    if done.question:
        out.print(f"[bold cyan]?[/] {escape(done.question)}")
    if done.sync:
        sync_report(out, done.sync)
    if done.answer:
        answer(out, done.answer)
    if done.trace:
        trace(out, done.trace)
    if done.finding:
        out.print(f"[green]{escape(done.finding)}[/]")
    if done.result and done.verdict:
        evaluation(out, done.result, done.verdict)


def evaluation(out: Console, result: EvalResult, decision: Verdict) -> None:
    """Print an evaluation: the slices with intervals, a few failures, the verdict."""
    from agentops_ref.evals import failure_list, slice_table, verdict_table

    out.print(slice_table(result))
    out.print(failure_list(result.failures(), limit=3))
    out.print(verdict_table(decision))


def verify_report(out: Console, report: VerifyReport, interval: Interval) -> None:
    """Print how much of what is recorded the live models repeat."""
    out.print(
        f"{report.identical} of {report.compared} recorded answers repeated to the letter "
        f"({report.identical / max(report.compared, 1):.0%}, 95 % interval {interval.low:.0%} to "
        f"{interval.high:.0%})"
    )
    for key, recorded, live in report.differing:
        out.print(f"  {key[:12]}", style="bold")
        out.print(f"    recorded: {shorten(recorded, 160)}", markup=False)
        out.print(f"    live:     {shorten(live, 160)}", markup=False)
    out.print(
        f"{report.vectors} vectors embedded again, largest difference of a number "
        f"{report.vector_difference:.1g}"
    )
    out.print(
        f"{report.images} scans read again, {len(report.images_differing)} with another text; "
        f"otherwise the largest difference of a confidence is {report.confidence_difference:.1g}"
    )


def shorten(text: str, limit: int) -> str:
    """Cut at a word's end and say so with an ellipsis; line breaks become spaces."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rsplit(" ", 1)[0] + "…"
