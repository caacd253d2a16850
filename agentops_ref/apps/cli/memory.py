"""``agentops memory``: what is remembered of customers and technicians, and forgetting it."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json
from agentops_ref.errors import OperatorError

_TENANT = click.option("--tenant", metavar="T", help="Of this tenant only.")


@click.group()
def memory() -> None:
    """Facts that conversations taught, about customers and technicians."""


@memory.command()
@click.option("--subject", metavar="S", help='Of this subject only: "customer C1001".')
@_TENANT
@json_option
@command
def show(session: Session, subject: str | None, tenant: str | None, as_json: bool) -> None:
    """List facts with their source, those that count no more included."""
    from agentops_ref.apps import screen

    facts = session.app().memory.facts.show(tenant=tenant, subject=subject)
    if as_json:
        print_json({"facts": facts})
        return
    screen.facts(console(), facts, datetime.now(UTC))


@memory.command()
@click.option("--subject", metavar="S", required=True, help='For example "customer C1001".')
@click.option("--fact", metavar="ID", help="One fact, as `show` names it; else all of the subject.")
@_TENANT
@click.option(
    "--thread",
    "threads",
    metavar="ID",
    multiple=True,
    help="Delete this conversation as well, all of it.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@command
def forget(
    session: Session,
    subject: str,
    fact: str | None,
    tenant: str | None,
    threads: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Remove facts for good, from the database's files too.

    With a conversation goes what it asked approval for: of the record only who decided stays. The
    conversations in which they were said or shown are named, and stay unless --thread names
    them. Traces, logs and backups are not looked into.
    """
    app = session.app()
    facts = app.memory.facts.show(tenant=tenant, subject=subject)
    tenants = sorted({one.tenant for one in facts})
    if len(tenants) > 1:
        raise click.UsageError(
            f"'{subject}' is a subject of {', '.join(tenants)}: choose one with --tenant"
        )
    chosen = [one for one in facts if fact in (None, one.id)]
    if fact is not None and not chosen:
        raise OperatorError(
            f"no fact {fact} of '{subject}': `agentops memory show --subject \"{subject}\"` lists "
            "them"
        )
    if not yes:
        if as_json:
            raise click.UsageError("--json asks nothing: add --yes")
        named = "".join(f", conversation {thread}" for thread in threads)
        for one in chosen:
            click.echo(f"  {one.attribute}: {one.text}", err=True)
        click.confirm(f"Forget {len(chosen)} facts of '{subject}'{named}?", abort=True, err=True)
    of = tenants[0] if tenants else tenant or ""
    gone = app.forget(tenant=of, subject=subject, fact=fact, threads=threads)
    left = [thread for thread in gone.threads if thread not in threads]
    if as_json:
        print_json({"facts": gone.facts, "threads": list(threads), "threads_left": left})
        return
    click.echo(f"forgot {gone.facts} facts of '{subject}'")
    if threads:
        click.echo(f"deleted conversations: {', '.join(threads)}")
    if left:
        click.echo(
            f"said or shown in conversations that are kept: {', '.join(left)}; to delete one: "
            f'agentops memory forget --subject "{subject}" --thread {left[0]}'
        )
