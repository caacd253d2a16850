"""How extracted records look in a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from agentops_ref.apps.screen import shorten

if TYPE_CHECKING:
    from rich.console import Console

    from agentops_ref.etl.extract import Extracted, ExtractReport, Record, RecordType

SHOWN = 8
"""Documents with a problem that are named."""


def as_json(found: Extracted, types: Mapping[str, RecordType]) -> dict[str, Any]:
    """Return the records with their provenance, each once, and what was rejected."""
    from agentops_ref.etl.extract import distinct

    return {
        "records": distinct(found.records, types),
        "rejected": found.rejected,
        "incomplete": found.incomplete,
        "failed": found.failed,
    }


def records(out: Console, found: Extracted, types: Mapping[str, RecordType]) -> None:
    """Print each record with its values, the place where it stands, and the quote."""
    from rich.markup import escape

    from agentops_ref.etl.extract import distinct

    kept = distinct(found.records, types)
    for record in kept:
        at = record.provenance
        page = f"page {at.page}, " if at.page else ""
        values = ", ".join(f"{name} {value}" for name, value in _values(record))
        out.print(f"[cyan]{record.type}[/] {escape(values)}")
        out.print(f"  [dim]{page}element {at.element}, by {at.method}[/]")
        out.print(f"    [italic]“{escape(shorten(at.quote, 220))}”[/]")
    for no in found.rejected:
        out.print(f"! {no.type}, by {no.method}: {no.reason}", markup=False, style="red")
    out.print(f"{len(kept)} records, {len(found.rejected)} rejected", markup=False)
    _problems(out, {"incomplete": found.incomplete, "failed": found.failed})


def report(out: Console, done: ExtractReport) -> None:
    """Print what an extraction over the index did."""
    told = [f"{name} {_counts(counts)}" for name, counts in done.tables.items()]
    out.print(f"records: {'; '.join(told) if told else 'unchanged'}", markup=False)
    out.print(
        f"{done.documents} documents, {len(done.changed)} looked at, {len(done.removed)} gone; "
        f"rejected: {done.invented} invented, {done.unfit} unfit; {done.seconds:.1f} s",
        markup=False,
    )
    if done.work:
        out.print(f"[dim]work: {', '.join(f'{k} {v}' for k, v in done.work.items())}[/]")
    for what, problems in (("incomplete", done.incomplete), ("failed", done.failed)):
        for document, reason in list(problems.items())[:SHOWN]:
            text = shorten(reason, 300)
            out.print(f"  ! {document} is {what}: {text}", markup=False, style="red")
        if len(problems) > SHOWN:
            out.print(f"  ... and {len(problems) - SHOWN} more in table extractions")


def _values(record: Record) -> Iterator[tuple[str, str]]:
    for name, value in record.values.items():
        if value is None:
            continue
        unit = f" {record.units[name]}" if name in record.units else ""
        if isinstance(value, tuple):
            text = ", ".join(value)
        elif isinstance(value, float):
            text = f"{value:g}"
        else:
            text = value.isoformat() if isinstance(value, date) else value
        yield name, f"{text}{unit}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n)


def _problems(out: Console, told: Mapping[str, str]) -> None:
    for what, reason in told.items():
        if reason:
            out.print(f"{what}: {reason}", markup=False, style="red")
