"""``agentops config show``: every value with the place it came from."""

from __future__ import annotations

import json

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json


@click.group()
def config() -> None:
    """See the configuration."""


@config.command()
@click.argument("prefix", default="")
@json_option
@command
def show(session: Session, prefix: str, as_json: bool) -> None:
    """Print each value and where it came from.

    PREFIX limits it, e.g. models.chat.
    """
    rows = [row for row in session.config().rows() if row[0].startswith(prefix)]
    if not rows:
        raise click.UsageError(f"no key begins with '{prefix}'")
    if as_json:
        print_json([{"key": key, "value": value, "from": place} for key, value, place in rows])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("key", style="bold", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", style="dim", overflow="fold")
    for key, value, place in rows:
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(key, text, place)
    console().print(table)
