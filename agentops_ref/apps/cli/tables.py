"""``agentops tables``: what the Delta tables hold, how they came about, and questions to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json

if TYPE_CHECKING:
    from agentops_ref.etl.tables import TablesReport


@click.group()
def tables() -> None:
    """Rows of files and databases, in Delta tables.

    `agentops ingest sync` fills them together with the index, `agentops tables sync` alone.
    """


@tables.command("list")
@json_option
@command
def list_(session: Session, as_json: bool) -> None:
    """Name the tables with rows, version, key and last change."""
    from agentops_ref.apps import screen

    held = session.app().tables
    found = []
    for name in held.names():
        (last,) = held.history(name, limit=1)
        found.append(
            {
                "table": name,
                "rows": held.rows(name),
                "version": last.number,
                "key": list(held.key(name)),
                "changed": last.made_at,
                "inserted": last.inserted,
                "updated": last.updated,
                "deleted": last.deleted,
            }
        )
    if as_json:
        print_json({"tables": found})
        return
    shown = [
        {
            "table": one["table"],
            "rows": one["rows"],
            "version": one["version"],
            "key": ", ".join(one["key"]),
            "changed": one["changed"].replace("T", " ")[:16],
            "+": one["inserted"],
            "~": one["updated"],
            "-": one["deleted"],
        }
        for one in found
    ]
    screen.records(console(), shown, "no tables yet: agentops tables sync")


@tables.command()
@click.option(
    "--allow-mass-deletion", is_flag=True, help="Apply deletions past etl.tables.max_share."
)
@json_option
@command
def sync(session: Session, allow_mass_deletion: bool, as_json: bool) -> None:
    """Merge the sources of tables, each in one transaction.

    A table whose source cannot be used stays as it is and is named; the others land, and the exit
    code is 1.
    """
    report = session.app().merge_tables(allow_mass_deletion=allow_mass_deletion)
    if as_json:
        print_json(
            {
                "tables": report.counts,
                "columns": report.notes,
                "failed": failed_tables(report),
            }
        )
    else:
        show_tables(report)
    if report.failed:
        raise click.exceptions.Exit(1)


def failed_tables(report: TablesReport) -> list[dict[str, str]]:
    return [{"table": name, "reason": str(error)} for name, error in report.failed.items()]


def show_tables(report: TablesReport) -> None:
    """Print what a sync did to the tables."""
    from agentops_ref.apps import screen

    screen.tables_report(console(), report.counts)
    for name, notes in report.notes.items():
        for note in notes:
            console().print(f"  {name}: {note}", markup=False)
    for name, error in report.failed.items():
        console().print(f"  {name} failed: {error}", markup=False)


@tables.command()
@click.argument("sql")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="Value of $NAME.")
@click.option("--at", type=click.IntRange(0), metavar="VERSION", help="Read an older version.")
@json_option
@command
def query(
    session: Session, sql: str, params: tuple[str, ...], at: int | None, as_json: bool
) -> None:
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
    rows = session.app().tables.query(sql, values, at=at)
    if as_json:
        print_json({"rows": rows} | ({"truncated": rows.truncated} if rows.truncated else {}))
    else:
        screen.records(console(), rows, "no rows")
    if rows.truncated:
        click.echo(rows.truncated, err=True)


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


@tables.command()
@click.argument("table")
@click.option(
    "--since", type=click.IntRange(-1), default=-1, metavar="VERSION", help="Changes after it."
)
@json_option
@command
def changes(session: Session, table: str, since: int, as_json: bool) -> None:
    """List the rows of a table that changed, version by version.

    Inserts, updates with the row before and after, and deletes. Without --since from the first
    version on.
    """
    from agentops_ref.apps import screen

    found = list(session.app().tables.changes(table, since=since))
    if as_json:
        print_json({"table": table, "since": since, "changes": found})
    else:
        screen.records(console(), [_shown(change) for change in found], "no changes")


def _shown(change: Any) -> dict[str, Any]:
    """One line of a change: of an update only the columns that differ."""
    before, after = change.before or {}, change.after or {}
    if change.kind == "update":
        values = [
            f"{name}: {before.get(name)} → {after.get(name)}"
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        ]
    else:
        values = [f"{n}: {v}" for n, v in (after or before).items() if v is not None]
    return {
        "version": change.version,
        "change": change.kind,
        "key": ", ".join(map(str, change.key)),
        "values": "; ".join(values),
    }
