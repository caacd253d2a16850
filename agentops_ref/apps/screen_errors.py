"""How error analysis looks in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentops_ref.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from agentops_ref.evals.errors import (
        Agreement,
        Count,
        Matrix,
        Reading,
        Readings,
        Taxonomy,
        Trace,
        Trajectories,
    )


def codes(out: Console, held: Readings, failures: Sequence[Count], states: Sequence[Count]) -> None:
    """Print how many failed, where, and the notes."""
    read = f"{len(held.decided)} of {len(held.traces)} traces are read"
    out.print(f"{read}, by {', '.join(held.coders) or 'nobody'}", markup=False)
    if not held.decided:
        out.print("agentops errors codes next shows one to read", style="dim", markup=False)
        return
    out.print(counts("", failures))
    if states:
        out.print()
        out.print(counts("first failure", states))
    for one in held.failed:
        for note in one.notes:
            where = f" [{one.first_failure}]" if one.first_failure else ""
            out.print(f"{one.trace}{where} {printable(note)}", markup=False)


def counts(heading: str, rows: Sequence[Count]) -> Table:
    """Return a table of counts with their intervals."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(heading, overflow="fold")
    table.add_column("slice", overflow="fold")
    for name in ("count", "of", "share", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            Text(row.name if row.slice == "all" else ""),
            Text(row.slice),
            str(row.count),
            str(row.n),
            f"{row.share:.0%}",
            f"{row.interval.low:.0%} to {row.interval.high:.0%}",
        )
    return table


def trace(out: Console, one: Trace, read: Sequence[Reading], known: Sequence[str]) -> None:
    """Print a trace to read: conversation, states, what is expected, what was said of it."""
    from rich.table import Table
    from rich.text import Text

    about = " · ".join(filter(None, (one.system, one.slice, one.source)))
    out.print(Text(one.id, style="bold"), Text(about, style="dim"))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for message in one.messages:
        table.add_row(message.role, Text(message.content or "(nothing)"))
    if one.expected:
        table.add_row("expected", Text(one.expected))
    if one.verdict:
        table.add_row("scorer", Text(one.verdict))
    out.print(table)
    for number, visit in enumerate(one.visits, start=1):
        style = "" if visit.status == "ok" else "red"
        said = "" if visit.status == "ok" else f" ({visit.status})"
        out.print(Text(f"{number:>3}. {visit.state}{said}", style=style or "bold"))
        for mark, text in (("<", visit.input), (">", visit.output)):
            if text:
                out.print(Text(f"     {mark} {printable(text)}", style="dim"))
    if found := one.suggested():
        out.print(f"an error says: {found[0]} > {found[1]}", markup=False, style="yellow")
    for reading in read:
        said = "; ".join(reading.notes)
        where = f"{reading.last_success} > {reading.first_failure}" if reading.placed else ""
        out.print(
            " ".join(filter(None, (f"{reading.coder}:", reading.outcome, where, said))),
            markup=False,
        )
    if known and not read:
        out.print(Text(f"states: start, {', '.join(known)}", style="dim"))
    if not read:
        out.print(
            Text(f"agentops errors codes add {one.id} --first-failure STATE --note TEXT", "dim")
        )


def taxonomy(
    out: Console,
    groups: Taxonomy,
    found: Sequence[Count],
    covered: Count,
    pairs: Sequence[Agreement],
    lost: Sequence[str],
) -> None:
    """Print the categories with their counts, what is proposed, and how far people agree."""
    if found:
        out.print(counts("category", found))
    else:
        out.print("no category is decided: agentops errors taxonomy add", markup=False)
    out.print(
        f"{covered.count} of {covered.n} failed traces have a category ({covered.share:.0%}, "
        f"{covered.interval.low:.0%} to {covered.interval.high:.0%})",
        markup=False,
    )
    for one in groups.categories:
        if one.proposed:
            out.print(f"proposed, not counted: {one.name}: {one.definition}", markup=False)
    for pair in pairs:
        beyond = "-" if pair.kappa is None else f"{pair.kappa:.2f}"
        ends = f"{pair.interval.low:.2f} to {pair.interval.high:.2f}"
        out.print(
            f"{pair.first} and {pair.second}, {pair.what}: {pair.share:.0%} the same of {pair.n}, "
            f"kappa {beyond} ({ends})",
            markup=False,
        )
    if lost:
        out.print(f"not read as failed (any more): {', '.join(lost)}", markup=False, style="yellow")


def matrix(out: Console, found: Matrix, paths: Trajectories) -> None:
    """Print the transitions at which runs failed, then loops and dead ends."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("last success", overflow="fold")
    table.add_column("first failure", overflow="fold")
    for name in ("count", "share", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in found.cells:
        table.add_row(
            Text(cell.last_success),
            Text(cell.first_failure),
            str(cell.count),
            f"{cell.share:.0%}",
            f"{cell.interval.low:.0%} to {cell.interval.high:.0%}",
        )
    out.print(table)
    told = f", {len(found.unplaced)} more without" if found.unplaced else ""
    out.print(f"{found.placed} failed traces with a place{told}", markup=False)
    for loop in paths.loops:
        way = " > ".join((*loop.states, loop.states[0]))
        out.print(f"loop {way}: {len(loop.runs)} runs, at most {loop.most} rounds", markup=False)
    for end in paths.dead_ends:
        out.print(
            f"dead end {end.state}: {end.failed} of {end.ended} runs that ended there failed "
            f"({end.interval.low:.0%} to {end.interval.high:.0%})",
            markup=False,
        )
