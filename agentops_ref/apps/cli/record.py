"""``agentops record``: recordings of the models' answers, made and verified."""

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
def record() -> None:
    """Recordings of the models' real answers."""


@record.command()
@json_option
@command
def run(session: Session, as_json: bool) -> None:
    """Run everything that asks a model; keep what was asked, drop what nothing asks for."""
    from agentops_ref.apps import recording

    report = recording.record(
        session.config(), announce=lambda step: click.echo(f"recording: {step}", err=True)
    )
    if as_json:
        print_json(report)
    else:
        console().print(f"{report.used} recordings in use, {len(report.dropped)} dropped")


@record.command()
@click.option("--sample", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the sample.")
@json_option
@command
def verify(session: Session, sample: int, seed: int, as_json: bool) -> None:
    """Re-run a random SAMPLE of the recorded chats live; report the share that is identical."""
    from agentops_ref.apps import screen

    app = session.app()
    with progress_bar(quiet=as_json) as update:
        report = app.verify_recordings(sample=sample, seed=seed, progress=update)
    if as_json:
        print_json(report)
    else:
        screen.verify_report(console(), report)
