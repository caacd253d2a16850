"""``agentops guard`` and ``agentops redteam``: judge texts, and attack the guards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args

import click

from agentops_ref.apps.cli.common import (
    Session,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
)
from agentops_ref.errors import ConfigError, printable

if TYPE_CHECKING:
    from agentops_ref.agents.guards import Decision, Guards

SHOWN = 60


@click.group()
def guard() -> None:
    """Guards: what may go into an agent, to its model, and out.

    The section `guards:` of the configuration says which look at what.
    """


@guard.command()
@click.option("--guard", "names", metavar="NAME", multiple=True, help="Only this one; repeatable.")
@click.option("--tenant", metavar="NAME", default="", help="On whose behalf.")
@json_option
@command
def check(session: Session, names: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Judge texts of standard input, one JSON object a line.

    A line is {"text": ..., "channel": "user" | "document" | "tool" | "answer"}; an answer may bring
    "question" and "shown", a list of what its model was shown. Where a line is none, its number and
    the error are printed, the others are judged, and the exit code is 1.
    """
    guards = session.app().guards_with(every=bool(names), traced=False)
    guards = guards.only(*names) if names else guards
    wrong = 0
    lines: Iterable[bytes] = sys.stdin.buffer
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            decision = _judged(guards, json.loads(raw.decode("utf-8-sig")), tenant)
        except (ValueError, RecursionError) as error:
            wrong += 1
            _say(as_json, {"line": number, "error": printable(str(error))[:300]})
            continue
        said: dict[str, Any] = {"decision": decision.verdict, "reasons": list(decision.reasons)}
        if decision.verdict == "redact":
            said["text"] = decision.text
        _say(as_json, said)
    if wrong:
        raise click.exceptions.Exit(1)


def _judged(guards: Guards, line: Any, tenant: str) -> Decision:
    """Judge one line.

    Raises
    ------
    ValueError
        It is not what it should be.
    """
    from agentops_ref.agents.guards import Channel, Context
    from agentops_ref.agents.request import Request

    if not isinstance(line, dict) or not isinstance(line.get("text"), str):
        raise ValueError('expected {"text": "...", "channel": "user"}')
    known = get_args(Channel)
    channel = line.get("channel", "user")
    if channel not in known:
        raise ValueError(f"channel: expected one of {', '.join(known)}, got {channel!r}")
    shown, question = line.get("shown", []), line.get("question", "")
    if not isinstance(shown, list) or not isinstance(question, str):
        raise ValueError("shown: expected a list of texts; question: a text")
    context = Context(Request(tenant=tenant), question, tuple(map(str, shown)))
    return guards.check(line["text"], channel, context)


def _say(as_json: bool, said: dict[str, Any]) -> None:
    if as_json:
        click.echo(json.dumps(said, ensure_ascii=True))
    elif "error" in said:
        click.echo(f"line {said['line']}: {said['error']}")
    else:
        text = f" -> {printable(said['text'])[:SHOWN]}" if "text" in said else ""
        click.echo(f"{said['decision']}: {', '.join(said['reasons']) or 'nothing found'}{text}")


@click.group()
def redteam() -> None:
    """Attacks on the running case's agent, and harmless texts that look like them."""


@redteam.command()
@click.option(
    "--guards",
    "name",
    metavar="NAME",
    default="all",
    show_default=True,
    help="none, all (those switched on), every, or one guard.",
)
@click.option("--category", "categories", metavar="NAME", multiple=True, help="Repeatable.")
@json_option
@command
def run(session: Session, name: str, categories: tuple[str, ...], as_json: bool) -> None:
    """Play the suite against a model that obeys every instruction it gets.

    Counts, by category, the attacks that succeeded and the harmless texts that were not let
    through, with Wilson's intervals; beside them the two halves, of which the guards' rules were
    written for one only.
    """
    from agentops_ref.apps.redteam import as_json as whole
    from agentops_ref.apps.redteam import play, rates, table

    app = session.app()
    if not app.config.path(app.config.guards.redteam).is_dir():
        raise ConfigError(f"guards.redteam: {app.config.guards.redteam} is no folder")
    with progress_bar(quiet=as_json) as update:
        outcomes = play(app, (name,), categories=categories, progress=update)
    found = rates(outcomes)
    bad = [one.case.id for one in outcomes if one.bad]
    if as_json:
        counted = whole(found)[name]
        total = counted.pop("total")
        print_json({"guards": name, "level": 0.95, "categories": counted, "total": total,
                    "failed": bad})  # fmt: skip
        return
    out = console()
    from rich.table import Table

    shown = Table(box=None)
    rows = table(found)
    for column in list(rows[0])[1:]:
        shown.add_column(column)
    for row in rows:
        shown.add_row(*list(row.values())[1:])
    out.print(shown)
    if bad:
        out.print(f"failed: {', '.join(bad)}", markup=False)
