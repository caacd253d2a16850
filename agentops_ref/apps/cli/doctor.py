"""``agentops doctor``: what is present, what is missing, and the command that mends it."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json


@click.command()
@json_option
@command
def doctor(session: Session, as_json: bool) -> None:
    """Say what is missing, and which command mends it."""
    from agentops_ref.ops.health import examine

    checks = examine(session.config())
    if as_json:
        print_json(checks)
    else:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        marks = {"ok": "[green]ok[/]", "optional": "[yellow]--[/]", "missing": "[red]no[/]"}
        for check in checks:
            mend = f"\n[cyan]→ {check.mend}[/]" if check.mend else ""
            table.add_row(marks[check.state], check.name, f"{check.detail}{mend}")
        console().print(table)
    if any(check.state == "missing" for check in checks):
        raise click.exceptions.Exit(1)
