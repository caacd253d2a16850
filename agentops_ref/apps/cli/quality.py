"""``agentops ingest quality``: how good the index is, against ``etl.quality.expectations``."""

from __future__ import annotations

from dataclasses import asdict
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
from agentops_ref.errors import OperatorError


@click.command()
@click.option("--track", is_flag=True, help="Log the report and its plot to MLflow as well.")
@click.option(
    "--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Draw the report: .png, .svg or .pdf.",
)  # fmt: skip
@place_options
@json_option
@command
def quality(session: Session, track: bool, picture: Path | None, as_json: bool) -> None:
    """Say how good the indexed documents are.

    Each expectation of etl.quality with what was measured, and the worst documents. Exits with 1
    when one fails that does more than warn.
    """
    from agentops_ref.apps import screen_quality as screen

    app = session.app()
    with progress_bar(quiet=as_json) as update:
        report = app.quality(progress=update)
    if picture is not None:
        from agentops_ref.etl.quality.plot import plot_quality

        try:
            plot_quality(report, app.quality_reports("index")).savefig(picture, dpi=150)
        except (OSError, ValueError) as error:
            raise OperatorError(f"cannot draw {picture}: {error}; choose another --plot") from None
    run = app.track_quality(report) if track else None
    if as_json:
        print_json({**asdict(report), "mlflow_run": run})
    else:
        screen.quality_report(console(), report)
        if report.unknown:
            console().print(
                "What is not judged is quarantined, or made with other recipes than these: "
                "agentops ingest sync",
                style="dim",
                markup=False,
            )
        if run:
            console().print(f"MLflow run {run}", markup=False)
    if any(verdict.on_fail != "warn" for verdict in report.failed):
        raise click.exceptions.Exit(1)
