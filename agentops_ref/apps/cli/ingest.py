"""``agentops ingest``: keep an index in step with its source, look at it, take it back."""

from __future__ import annotations

from pathlib import Path

import click

from agentops_ref.apps.cli.common import (
    Session,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
)
from agentops_ref.apps.cli.place import place_options
from agentops_ref.apps.cli.quality import quality
from agentops_ref.apps.cli.tables import failed_tables, show_tables
from agentops_ref.errors import OperatorError


@click.group()
def ingest() -> None:
    """Documents and tables → index and Delta tables.

    Without --source these work on the configured one. With it, on any folder, bucket, web site or
    SQL table, in an index of its own unless --sink names one.

    \b
    First:       plan, sync, status; then agentops search
    In doubt:    audit, audit --repair
    Taken back:  history, rollback VERSION
    To stay on a version: agentops search --set etl.sink.pin=VERSION
    \b
    etl.deletion, etl.retry and etl.notify say when documents are removed, what
    is read again, and who is told: agentops config show
    """


wait_option = click.option(
    "--wait",
    type=float,
    default=0,
    metavar="SECONDS",
    help="Wait for another sync to end, not to give up at once.",
)


@ingest.command()
@place_options
@json_option
@command
def plan(session: Session, as_json: bool) -> None:
    """Say what a sync would do; changes nothing."""
    from agentops_ref.apps import screen

    made = session.app().plan()
    if as_json:
        print_json(
            {
                "create": [change._asdict() for change in made.create],
                "update": [change._asdict() for change in made.update],
                "delete": [change._asdict() for change in made.delete],
                "tombstone": [change._asdict() for change in made.tombstone],
                "unchanged": len(made.keep),
                "refused": made.refused,
            }
        )
    else:
        screen.plan(console(), made)
    if made.refused:
        raise click.exceptions.Exit(1)


@ingest.command()
@click.option(
    "--allow-mass-deletion",
    is_flag=True,
    help="Believe a listing that drops more than etl.deletion.max_share.",
)
@click.option("--accept-quality", is_flag=True, help="Take documents that etl.quality would stop.")
@wait_option
@place_options
@json_option
@command
def sync(
    session: Session, allow_mass_deletion: bool, accept_quality: bool, wait: float, as_json: bool
) -> None:
    """Bring the index in step with the source.

    Creates, updates and deletes in one atomic commit. A document that cannot be read or parsed is
    quarantined with its reason, and the others go on. What newly failed is told as etl.notify says.

    Exits with 1 when it changed nothing: too much is missing, or the source was not listed.
    """
    from agentops_ref.apps import screen
    from agentops_ref.apps.cli import extraction
    from agentops_ref.apps.screen_quality import quality_line
    from agentops_ref.ops import notify

    app = session.app()
    with progress_bar(quiet=as_json) as update:
        report = notify.sync(
            app,
            progress=update,
            allow_mass_deletion=allow_mass_deletion,
            accept_quality=accept_quality,
            wait=wait,
        )
        tables = app.merge_tables(allow_mass_deletion=allow_mass_deletion)
        wanted = app.config.etl.extract.on_sync and not session.elsewhere and not report.refused
        extracted = app.extract(progress=update) if wanted else None
    if as_json:
        print_json(
            {
                "source": report.source,
                "version": report.index_version,
                "created": report.created,
                "updated": report.updated,
                "deleted": report.deleted,
                "tombstoned": report.tombstoned,
                "renamed": [{"from": old, "to": new} for old, new in report.renamed],
                "unchanged": report.unchanged,
                "quarantined": [{"document": d, "reason": why} for d, why in report.quarantined],
                "refused": report.refused,
                "work": report.work,
                "seconds": round(report.seconds, 3),
                "quality": report.quality,
                "tables": tables.counts,
                "tables_failed": failed_tables(tables),
                **({} if extracted is None else {"extracted": extracted}),
            }
        )
    else:
        screen.sync_report(console(), report)
        if report.quality is not None:
            quality_line(console(), report.quality)
        if not session.elsewhere:
            show_tables(tables)
        if extracted is not None:
            extraction.report(console(), extracted)
    if report.refused or tables.failed:
        raise click.exceptions.Exit(1)


@ingest.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended, in one commit.")
@wait_option
@place_options
@json_option
@command
def audit(session: Session, repair: bool, wait: float, as_json: bool) -> None:
    """Compare source, ledger, chunks and vectors.

    Reads every document, and names what is missing, stale, orphaned, duplicated, altered, of
    another recipe or unreadable. Exits with 1 when something disagrees and was not mended.
    """
    from agentops_ref.apps import screen

    app = session.app()
    with progress_bar(quiet=as_json) as update:
        report = app.audit(repair=repair, wait=wait, progress=update)
    if as_json:
        print_json(
            {
                "source": report.source,
                "checked": report.checked,
                "counts": report.counts(),
                "findings": [finding._asdict() for finding in report.findings],
                "repaired": report.repaired,
                "version": report.index_version,
            }
        )
    else:
        screen.audit_report(console(), report)
    if len({f.document for f in report.findings}) > len(report.repaired):
        raise click.exceptions.Exit(1)


@ingest.command()
@place_options
@json_option
@command
def status(session: Session, as_json: bool) -> None:
    """Say what the index holds, and what is quarantined."""
    from agentops_ref.apps import screen

    app = session.app()
    held = app.sink.snapshot()
    ledger = held.ledger()
    lines = app.sink.history()
    found = {
        "source": app.source.name,
        "version": held.version,
        "made_at": lines[0].made_at if lines else None,
        "documents": len(ledger),
        "chunks": held.count(),
        "quarantined": [
            {"document": e.document, "reason": e.error} for e in ledger.values() if e.error
        ],
        "tombstoned": [
            {"document": e.document, "listings": e.missing} for e in ledger.values() if e.missing
        ],
    }
    if as_json:
        print_json(found)
    else:
        screen.index_status(console(), found)


@ingest.command()
@place_options
@json_option
@command
def history(session: Session, as_json: bool) -> None:
    """List the index's versions, newest first.

    A reader stays on one with --set etl.sink.pin=VERSION; rollback makes it the newest again.
    """
    from agentops_ref.apps import screen

    lines = session.app().sink.history()
    if as_json:
        print_json({"versions": [line._asdict() for line in lines]})
    else:
        screen.index_history(console(), lines)


@ingest.command()
@click.argument("version", type=int)
@wait_option
@place_options
@json_option
@command
def rollback(session: Session, version: int, wait: float, as_json: bool) -> None:
    """Return the index to VERSION, as a new version.

    The next sync brings it in step with the source again.
    """
    sink = session.app().sink
    with sink.hold(wait):
        number = sink.rollback(version)
    if as_json:
        print_json({"version": number, "rolled_back_to": version, "chunks": sink.count()})
    else:
        console().print(
            f"index version {number} is equal to version {version}: {sink.count()} chunks\n"
            "[dim]The next sync brings it in step with the source again. "
            "To stay, pin readers: --set etl.sink.pin="
            f"{number}[/]"
        )


ingest.add_command(quality)

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@ingest.command()
@file_argument
@json_option
@command
def parse(session: Session, file: Path, as_json: bool) -> None:
    """Show what the parser makes of FILE.

    The index is not touched. --json prints a list of kind, text, page, box (left, top, right,
    bottom as shares of the page) and confidence.
    """
    from agentops_ref.apps import screen
    from agentops_ref.etl.parse import parse as parsed
    from agentops_ref.etl.parse.figure import Sight

    app = session.app()
    sight = Sight(session.ocr, app.config.etl.parse.figures, app.describe)
    elements = parsed(file.as_posix(), file.read_bytes(), ocr=sight)
    if as_json:
        print_json(elements)
    else:
        screen.elements(console(), elements)


@ingest.command()
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
@command
def extract(session: Session, file: Path | None, as_json: bool) -> None:
    """Extract typed records, each with its place, as etl.extract.schema says.

    Of FILE, which need not be in the index: they are shown and not kept. Without FILE, of all
    documents of the index: they are landed in Delta tables, `agentops tables` shows them.
    """
    from agentops_ref.apps.cli import extraction

    app = session.app()
    if file is not None:
        types = app.extractor.schema.types
        found = app.extract_file(file.as_posix(), file.read_bytes())
        if as_json:
            print_json(extraction.as_json(found, types))
        else:
            extraction.records(console(), found, types)
        return
    with progress_bar(quiet=as_json) as update:
        report = app.extract(progress=update)
    if as_json:
        print_json(report)
    else:
        extraction.report(console(), report)


@ingest.command()
@file_argument
@json_option
@command
def summarise(session: Session, file: Path, as_json: bool) -> None:
    """Let the chat model summarise FILE and each of its sections.

    A number that does not stand in the source is marked and counted. The index is not touched:
    a summary is no source, and no answer cites it. --json also tells which elements and pages each
    is made from, and how much of them the model was shown.
    """
    from agentops_ref.apps import screen
    from agentops_ref.etl.summary import as_json as plain

    with progress_bar(quiet=as_json) as update:
        found = session.app().summarise(file.as_posix(), file.read_bytes(), progress=update)
    if as_json:
        print_json({**plain(found), "invented": found.invented})
    else:
        screen.summaries(console(), found)


@ingest.command()
@file_argument
@click.option("--page", type=click.IntRange(1), default=1, show_default=True)
@click.option("--quote", required=True, help="Passage to mark, as an answer or a chunk has it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("page.png"))
@json_option
@command
def show(session: Session, file: Path, page: int, quote: str, out: Path, as_json: bool) -> None:
    """Draw a page of FILE, a PDF or image, with a quoted passage marked on it."""
    from agentops_ref.etl.show import show as shown

    found = shown(file.as_posix(), file.read_bytes(), page=page, quote=quote, ocr=session.ocr)
    try:
        out.write_bytes(found.png)
    except OSError as error:
        raise OperatorError(f"cannot write {out}: {error.strerror}; choose another --out") from None
    if as_json:
        print_json({"out": out, "page": page, "boxes": found.boxes})
    else:
        n = len(found.boxes)
        console().print(f"{out}: page {page}, {n} line{'s' * (n > 1)} marked", markup=False)
