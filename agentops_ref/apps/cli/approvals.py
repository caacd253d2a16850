"""``agentops approvals``: actions that wait for a person, and their decisions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json

if TYPE_CHECKING:
    from agentops_ref.agents.approvals import Approval, Decider
    from agentops_ref.wiring import App

_as = click.option(
    "--as",
    "user",
    metavar="NAME",
    help="Who decides, of approvals.people; where auth.required is set, the token says it.",
)
_note = click.option("--note", metavar="TEXT", default="", help="Kept with the decision, and told.")


@click.group()
def approvals() -> None:
    """Actions that wait for a person.

    The section `approvals:` of the configuration says which actions wait, and who decides.
    """


@approvals.command("list")
@click.option("--all", "every", is_flag=True, help="Those that were decided, too.")
@click.option("--tenant", metavar="T", help="Of this tenant only.")
@json_option
@command
def list_(session: Session, every: bool, tenant: str | None, as_json: bool) -> None:
    """Name what waits: what would be done, why it waits, who decides and until when."""
    from agentops_ref.apps import screen

    held = session.app().approvals
    found = held.store.list(every=every, tenant=tenant)
    if as_json:
        print_json({"approvals": found})
        return
    screen.approvals(console(), found, held.clock())


@approvals.command()
@click.argument("id_", metavar="ID")
@click.option("--approve", is_flag=True, help="Let it be done, now.")
@click.option("--reject", is_flag=True, help="It is not to be done.")
@_as
@_note
@json_option
@command
def decide(
    session: Session,
    id_: str,
    approve: bool,
    reject: bool,
    user: str | None,
    note: str,
    as_json: bool,
) -> None:
    """Approve or reject what waits; what is approved is done at once, as it was asked for.

    A decision that comes twice, late, or from the wrong person changes nothing; the exit code is 1.
    """
    if approve == reject:
        raise click.UsageError("say --approve or --reject")
    app = session.app()
    _show(app.decide(id_, approve=approve, by=_decider(app, user), note=note), as_json)


@approvals.command()
@click.argument("id_", metavar="ID")
@click.option("--done", is_flag=True, help="It was done.")
@click.option("--not-done", is_flag=True, help="It was not.")
@_as
@_note
@json_option
@command
def close(
    session: Session,
    id_: str,
    done: bool,
    not_done: bool,
    user: str | None,
    note: str,
    as_json: bool,
) -> None:
    """State what became of an approved action that was cut off, after looking.

    Nothing is done by it. It is for the role that decides, and for actions that were approved ten
    minutes ago or more and have not ended.
    """
    if done == not_done:
        raise click.UsageError("say --done or --not-done")
    app = session.app()
    _show(
        app.close_approval(id_, done=done, by=_decider(app, user), note=note), as_json, closed=True
    )


def _decider(app: App, user: str | None) -> Decider:
    from agentops_ref.agents.approvals import Decider
    from agentops_ref.errors import ConfigError, nearest

    if app.permissions is not None:
        if user is not None:
            raise click.UsageError("--as proves nothing where auth.required is set: a token does")
        who = app.identity
        return Decider(who.subject, tuple(who.roles), who.tenant)
    people = app.config.approvals.people
    if user is None:
        raise click.UsageError("Missing option '--as'.")
    if user not in people:
        known = nearest(user, list(people))
        raise ConfigError(f"approvals.people: nobody is named '{user}'{known}")
    return Decider(user, tuple(people[user].roles), people[user].tenant)


def _show(done: Approval, as_json: bool, *, closed: bool = False) -> None:
    if as_json:
        print_json(done)
    else:
        given = json.dumps(done.arguments, ensure_ascii=False)
        click.echo(f"{done.id}: {done.state}: {done.tool} {given}")
        if done.result:
            click.echo(f"    {done.result}")
    if not closed and done.state not in ("done", "rejected"):
        raise click.exceptions.Exit(1)
