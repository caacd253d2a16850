"""``agentops record``: recordings of the models' answers, made and verified."""

from __future__ import annotations

import dataclasses

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
    """Record all that asks a model, drop the rest."""
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
    """Ask the live models again; report the share that is identical.

    Compares a random SAMPLE each of the recorded chats, of the vectors of the index's texts and of
    the readings of scans. Differences are a result; the command exits with 1 when nothing is
    recorded of the chat model that could be compared.
    """
    from agentops_ref.apps import screen
    from agentops_ref.evals import proportion_interval

    app = session.app()
    with progress_bar(quiet=as_json) as update:
        report = app.verify_recordings(sample=sample, seed=seed, progress=update)
    interval = proportion_interval(report.identical, report.compared)
    if as_json:
        print_json({**dataclasses.asdict(report), "interval": interval})
    else:
        screen.verify_report(console(), report, interval)
    if not report.compared:
        raise click.exceptions.Exit(1)
