"""``agentops chat``: a conversation that is kept, and goes on where it was left."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator

import click

from agentops_ref.apps.cli.common import (
    Session,
    answer_fields,
    architecture_option,
    asking,
    command,
    console,
    print_json,
    progress_bar,
    tenant_option,
)


@click.command()
@click.option("--thread", metavar="ID", help="Conversation to go on with; a new one by default.")
@click.option(
    "--subject",
    metavar="WHO",
    help='Whom it is about, such as "customer C1001": what is known of them is recalled, and what '
    "is said of them learned.",
)
@click.option("--user", metavar="WHO", help="Who asks; by default the subject. Facts name it.")
@architecture_option
@tenant_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document an answer.")
@command
def chat(
    session: Session,
    thread: str | None,
    subject: str | None,
    user: str | None,
    architecture: str | None,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Ask question after question; a follow-up is understood by what was said before.

    Questions are read from standard input, one a line; an empty line, or the end of the input, ends
    the conversation. It is kept, and --thread goes on with it. With auth.required it belongs to the
    tenant of the token in auth.token_env, whatever --tenant and --user say.
    """
    from agentops_ref.agents.request import Request
    from agentops_ref.apps import screen
    from agentops_ref.errors import AgentOpsError

    app = session.app(*asking(architecture, tenant))
    with progress_bar(quiet=as_json) as update:
        app.ensure_index(progress=update)
    conversation = app.memory.conversation(app.agent)
    name = thread or uuid.uuid4().hex[:12]
    who = app.identity if app.permissions else None
    out, owner, failed = console(), who.tenant if who else app.config.agent.tenant, False
    try:
        if thread:
            held = conversation.threads.read(name, owner=owner).messages
            asked = sum(message.type == "human" for message in held)
            click.echo(f"questions so far: {asked}", err=True)
        for question in _questions():
            try:
                request = Request(
                    tenant=owner,
                    desk=app.config.agent.desk,
                    user=user or "",
                    subjects=(subject,) if subject else (),
                )
                request = request.of(who) if who else request
                answer = conversation(question, thread=name, owner=owner, request=request)
            except AgentOpsError as error:
                click.echo(f"error: {error}", err=True)  # the conversation is as it was
                failed = True
                continue
            if as_json:
                print_json({"thread": name, **answer_fields(answer)})
            else:
                screen.answer(out, answer)
            # What failed and left no answer is not kept: the conversation is as it was.
            failed = failed or bool(answer.abstained and answer.problem)
    finally:
        app.memory.close()
        about = f' --subject "{subject}"' if subject else ""
        click.echo(f"go on with it: agentops chat --thread {name}{about}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _questions() -> Iterator[str]:
    """Yield what is typed or piped in, until an empty line or the end."""
    typed = sys.stdin.isatty()
    while True:
        if typed:
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield line.strip()
