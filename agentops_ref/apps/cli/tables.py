"""``agentops tables``: what the Delta tables hold, how they came about, and questions to them."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json


@click.group()
def tables() -> None:
    """Rows of the structured data, in Delta tables; `agentops ingest sync` fills them."""


@tables.command("list")
@json_option
@command
def list_(session: Session, as_json: bool) -> None:
    """Name the tables with their rows and versions."""
    from agentops_ref.apps import screen

    held = session.app().tables
    found = [
        {"table": name, "rows": held.rows(name), "version": held.version(name)}
        for name in held.names()
    ]
    if as_json:
        print_json({"tables": found})
    else:
        screen.records(console(), found, "no tables yet: agentops ingest sync")


@tables.command()
@click.argument("sql")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="Value of $NAME.")
@json_option
@command
def query(session: Session, sql: str, params: tuple[str, ...], as_json: bool) -> None:
    """Run one SELECT; values go in as parameters.

    agentops tables query 'SELECT * FROM customers WHERE city = $city' --param city=Bergen
    """
    from agentops_ref.apps import screen

    values: dict[str, str] = {}
    for one in params:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"expected NAME=VALUE, got {one}", param_hint="--param")
        values[name.removeprefix("$")] = value
    rows = session.app().tables.query(sql, values)
    if as_json:
        print_json({"rows": rows})
    else:
        screen.records(console(), rows, "no rows")


@tables.command()
@click.argument("table")
@json_option
@command
def history(session: Session, table: str, as_json: bool) -> None:
    """List a table's versions, newest first, with the rows that each changed."""
    from agentops_ref.apps import screen

    lines = [line._asdict() for line in session.app().tables.history(table)]
    if as_json:
        print_json({"table": table, "versions": lines})
    else:
        screen.records(console(), lines, "no versions")
