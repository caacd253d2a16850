"""How records look in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import about, printable
from agentops_ref.records import Answer, Element, Hit, SyncReport

if TYPE_CHECKING:
    from rich.console import Console

    from agentops_ref.agents.approvals import Approval
    from agentops_ref.agents.memory import Fact
    from agentops_ref.apps.tour import Step
    from agentops_ref.etl import AuditReport, IndexVersion, Plan
    from agentops_ref.etl.summary import Summaries
    from agentops_ref.evals import EvalResult, Interval, Verdict
    from agentops_ref.models import VerifyReport
    from agentops_ref.tracing import SpanLine


SHOWN = 20
"""Documents of one kind that a screen names."""


def answer(out: Console, given: Answer) -> None:
    """Print an answer, its citations and what it cost."""
    from rich.markup import escape

    out.print(f"[yellow]{escape(given.text)}[/]" if given.abstained else escape(given.text))
    for citation in given.citations:
        page = f", page {citation.page}" if citation.page else ""
        out.print(f"  [cyan]{escape(citation.document)}[/]{page} [dim]({citation.version})[/]")
        out.print(f"    [italic]“{escape(shorten(citation.quote, 220))}”[/]")
    for step in given.steps:
        said = (
            ""
            if step.status == "ok"
            else f" [yellow]{escape(step.status)}: {escape(step.detail)}[/]"
        )
        out.print(
            f"  [dim]{step.agent} › {step.action} {escape(shorten(step.input, 100))}[/]{said}"
        )
    if given.problem:
        out.print(f"  [yellow]{escape(given.problem)}[/]")
    for waits in given.waiting:
        out.print(f"  [yellow]waits for a person: agentops approvals list, {waits}[/]")
    spent = given.usage
    out.print(
        f"[dim]{given.model or 'no model'}; {spent.input_tokens} + {spent.output_tokens} tokens, "
        f"${spent.cost:.6f}, {given.seconds:.2f} s; trace {given.trace_id or 'off'}[/]"
    )


def summaries(out: Console, found: Summaries) -> None:
    """Print a document's summary and those of its sections, with what the source lacks in red."""
    from rich.markup import escape

    from agentops_ref.etl.summary import MARK

    for one in (found.whole, *found.sections):
        pages = f"page {one.pages[0]}" if len(one.pages) == 1 else ""
        if len(one.pages) > 1:
            pages = f"pages {one.pages[0]} to {one.pages[-1]}"
        cut = f"{one.shown} of {one.of} characters were read" if one.shown < one.of else ""
        notes = ", ".join(filter(None, (pages, cut)))
        beside = f" [dim]({notes})[/]" if notes else ""
        out.print(f"[bold]{escape(one.section or found.title)}[/]{beside}")
        text = escape(one.text).replace(escape(MARK), f"[red]{escape(MARK)}[/]")
        out.print(f"  {text}", highlight=False)
    total = 1 + len(found.sections)
    out.print(
        f"[dim]summaries: {total}, calls to the model: {found.calls}, numbers that the source "
        f"lacks: {found.invented}[/]"
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
        out.print(f"refused: {report.refused}", markup=False, style="red")
        return
    out.print(
        f"index version {report.index_version}: [green]{len(report.created)} created[/], "
        f"[yellow]{len(report.updated)} updated[/], [red]{len(report.deleted)} deleted[/], "
        f"{len(report.tombstoned)} tombstoned, {report.unchanged} unchanged"
    )
    work = [f"{stage} {n}" for stage, n in report.work.items()]
    out.print(f"[dim]work: {', '.join([*work, f'{report.seconds:.1f} s'])}[/]")
    if not (report.unchanged or report.changed or report.tombstoned or report.quarantined):
        place = f"no documents in {report.source}, of those that etl.source.include names"
        out.print(place, markup=False)
    named = (("+", report.created), ("~", report.updated), ("-", report.deleted))
    if sum(len(documents) for _, documents in named) <= 24:
        for sign, documents in named:
            for document in documents:
                out.print(f"  {sign} {printable(document)}", markup=False)
        for old, new in report.renamed:
            out.print(f"  > {printable(old)} is now {printable(new)}", markup=False)
    else:
        out.print("[dim]which documents: --json names them[/]")
    failures(out, report.quarantined)


def failures(out: Console, quarantined: Sequence[tuple[str, str]]) -> None:
    """Print the first quarantined documents, each with its reason, and how many more there are."""
    for document, reason in quarantined[:SHOWN]:
        out.print(f"  ! {about(document, reason)}", markup=False, style="red")
    if len(quarantined) > SHOWN:
        more = len(quarantined) - SHOWN
        out.print(f"  ! and {more} more quarantined: --json names them", markup=False, style="red")


def tables_report(out: Console, tables: Mapping[str, Any]) -> None:
    """Print one line for the Delta tables that changed."""
    changed = [f"{name} {counts}" for name, counts in tables.items() if counts]
    out.print(f"tables: {', '.join(changed) if changed else 'unchanged'}", markup=False)


def records(out: Console, found: Sequence[Mapping[str, Any]], none: str) -> None:
    """Print rows as a table, or say that there are none."""
    from rich.markup import escape
    from rich.table import Table

    if not found:
        out.print(none, markup=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in found[0]:
        number = all(isinstance(row[name], int | float) for row in found)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in found:
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    out.print(table)


def approvals(out: Console, found: Sequence[Approval], now: datetime) -> None:
    """Print actions that wait or waited, a paragraph each."""
    from rich.markup import escape
    from rich.padding import Padding

    if not found:
        out.print("nothing waits")
    for one in found:
        state = "late" if one.late(now) else one.state
        out.print(f"[bold]{one.id}[/] {state}: [cyan]{escape(one.tool)}[/]")
        given = "; ".join(f"{name}: {value}" for name, value in one.arguments.items())
        by = f" for {one.requested_by}" if one.requested_by else ""
        lines = [
            escape(given),
            f"{escape(one.agent)}{escape(by)}, tenant {escape(one.tenant or 'none')}, "
            f"{one.requested_at[:16]} UTC",
            f"by the {escape(one.role)}, {escape(one.why)}; until {one.expires_at[:16]} UTC",
        ]
        if one.decided_by:
            note = f": {one.note}" if one.note else ""
            lines += [f"decided by {escape(one.decided_by)}{escape(note)}"]
        if one.state in ("approved", "running"):
            lines += ["[yellow]was cut off: look if it was done, then: agentops approvals close[/]"]
        lines += [escape(one.result)] if one.result else []
        for line in lines:
            out.print(Padding(line, (0, 0, 0, 4)))


def facts(out: Console, found: Sequence[Fact], now: datetime) -> None:
    """Print what is remembered, by subject; what counts no more is dim."""
    from rich.markup import escape
    from rich.padding import Padding

    if not found:
        out.print("nothing is remembered")
    of = ("", "")
    for fact in found:
        if (fact.tenant, fact.subject) != of:
            of = (fact.tenant, fact.subject)
            out.print(f"[bold]{escape(fact.subject)}[/] [dim]({escape(fact.tenant) or '-'})[/]")
        counts, until = fact.current(now), fact.valid_until
        state = f"{'until' if counts else 'over since'} {until:%Y-%m-%d}" if until else ""
        if fact.superseded_by is not None:
            state = f"superseded by {fact.superseded_by}"
        vague = " [yellow](vague)[/]" if fact.certainty == "vague" else ""
        told = f"[cyan]{escape(fact.attribute)}[/]: {escape(fact.text)}{vague}"
        out.print(Padding(told, (0, 0, 0, 2), expand=False), style="default" if counts else "dim")
        said = f"{fact.source.said_by}, {fact.learned_at:%Y-%m-%d %H:%M}"
        notes = [fact.id, said, f"conversation {fact.source.thread or '-'}", state]
        beside = escape("; ".join(filter(None, notes)))
        out.print(Padding(beside, (0, 0, 0, 4), expand=False), style="dim")


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
    flat = printable(text)
    return flat if len(flat) <= limit else flat[: limit - 1].rsplit(" ", 1)[0] + "…"


def plan(out: Console, made: Plan) -> None:
    """Print what a sync would do, each change with its reason."""
    if made.refused:
        out.print(f"refused: {made.refused}", markup=False, style="red")
        return
    changes = [*made.create, *made.update, *made.delete, *made.tombstone]
    signs = {"create": "+", "update": "~", "delete": "-", "keep": "?"}
    for change in changes[:40]:
        line = f"  {signs[change.kind]} {printable(change.document)} ({change.reason})"
        out.print(line, markup=False)
    if len(changes) > 40:
        out.print(f"  ... and {len(changes) - 40} more: --json names them")
    out.print(
        f"[green]{len(made.create)} to create[/], [yellow]{len(made.update)} to look at[/], "
        f"[red]{len(made.delete)} to delete[/], {len(made.tombstone)} missing and waited for, "
        f"{len(made.keep)} unchanged"
    )


def audit_report(out: Console, report: AuditReport) -> None:
    """Print each disagreement, what its kind means, and what was mended."""
    from agentops_ref.etl.audit import MEANING

    for kind, n in report.counts().items():
        out.print(f"[bold]{kind}[/] [dim]{MEANING[kind]}[/]")
        these = [finding for finding in report.findings if finding.kind == kind]
        for finding in these[:20]:
            out.print(f"  {about(finding.document, finding.detail)}", markup=False)
        if n > 20:
            out.print(f"  ... and {n - 20} more: --json names them")
    if not report.findings:
        out.print(f"[green]{report.checked} documents compared, nothing disagrees[/]")
    elif report.repaired:
        out.print(
            f"[green]{len(report.repaired)} documents mended[/], in index version "
            f"{report.index_version}"
        )
    elif any(finding.mendable for finding in report.findings):
        out.print(f"{report.checked} documents compared; mend with: agentops ingest audit --repair")
    else:
        out.print(
            f"{report.checked} documents compared; what is named is not for a repair: mend the "
            "document at its source, and sync"
        )


def index_status(out: Console, found: Mapping[str, Any]) -> None:
    """Print what an index holds."""
    made = f", made {found['made_at']}" if found["made_at"] else ""
    out.print(f"source   {found['source']}", markup=False)
    out.print(f"version  {found['version']}{made}")
    out.print(f"holds    {found['documents']} documents, {found['chunks']} chunks")
    waiting = found["tombstoned"]
    for one in waiting[:SHOWN]:
        missing = f"missing from {one['listings']} listings"
        out.print(f"  ? {about(one['document'], missing)}", markup=False)
    if len(waiting) > SHOWN:
        out.print(f"  ? and {len(waiting) - SHOWN} more missing: --json names them")
    failures(out, [(one["document"], one["reason"]) for one in found["quarantined"]])


def index_history(out: Console, lines: Sequence[IndexVersion]) -> None:
    """Print an index's versions, newest first."""
    from rich.table import Table

    if not lines:
        out.print("no version yet; make one with: agentops ingest sync")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("version", "made (UTC)", "documents", "chunks", "by"):
        table.add_column(heading, justify="left" if heading in ("made (UTC)", "by") else "right")
    for line in lines:
        made = line.made_at[:19].replace("T", " ")
        table.add_row(str(line.number), made, str(line.documents), str(line.chunks), line.note)
    out.print(table)


def hits(out: Console, found: Sequence[Hit]) -> None:
    """Print what a search found, best first."""
    from rich.markup import escape

    for rank, hit in enumerate(found, start=1):
        page = f", page {hit.chunk.page}" if hit.chunk.page else ""
        ranks = f"vectors {hit.vector_rank or '-'}, words {hit.text_rank or '-'}"
        why = f"[dim]{hit.score:.4f}; {ranks}[/]"
        out.print(f"{rank:2}  [cyan]{escape(hit.chunk.document)}[/]{page} {why}")
        out.print(f"    {escape(shorten(hit.chunk.text, 200))}")
    if not found:
        out.print("nothing found")


def elements(out: Console, found: Sequence[Element]) -> None:
    """Print a parsed document, each element below its kind and place."""
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    page = None
    for item in found:
        if item.page != page:
            page = item.page
            out.rule(f"page {page}", align="left", style="dim")
        where = "" if item.box is None else " " + " ".join(f"{side:.2f}" for side in item.box)
        sure = "" if item.confidence is None else f" confidence {item.confidence:.2f}"
        out.print(f"[cyan]{item.kind}[/][dim]{where}{sure}[/]")
        if item.kind == "table":
            rows = [[cell.strip() for cell in row.split("|")] for row in item.text.split("\n")]
            table = Table(*map(escape, rows[0]), padding=(0, 1, 0, 0), box=None)
            for row in rows[1:]:
                table.add_row(*map(escape, row))
            out.print(Padding(table, (0, 0, 0, 2)))
        elif item.text:
            out.print(Padding(escape(item.text), (0, 0, 0, 2)))
