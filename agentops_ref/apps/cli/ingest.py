"""``agentops ingest sync``: bring the index in step with the source."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import (
    Session,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
)


@click.group()
def ingest() -> None:
    """Documents and tables → index and Delta tables."""


@ingest.command()
@click.option("--allow-mass-deletion", is_flag=True, help="Apply deletions past etl.deletion.")
@json_option
@command
def sync(session: Session, allow_mass_deletion: bool, as_json: bool) -> None:
    """Bring the index in step with the source.

    Creates, updates and deletes in one atomic commit.
    """
    from agentops_ref.apps import screen

    app = session.app()
    with progress_bar(quiet=as_json) as update:
        report = app.sync(progress=update, allow_mass_deletion=allow_mass_deletion)
        tables = app.sync_tables(allow_mass_deletion=allow_mass_deletion)
    if as_json:
        print_json({"documents": report, "tables": tables})
    else:
        screen.sync_report(console(), report)
        screen.tables_report(console(), tables)
    if report.refused:
        raise click.exceptions.Exit(1)
