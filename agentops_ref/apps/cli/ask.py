"""``agentops ask``: one question, one answer with citations."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import (
    Session,
    answer_fields,
    architecture_option,
    asking,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
    tenant_option,
)


@click.command()
@click.argument("question")
@architecture_option
@tenant_option
@click.option("--live", is_flag=True, help="Use the live model, not its recordings.")
@click.option("--trace", is_flag=True, help="Print the trace's tree as well.")
@json_option
@command
def ask(
    session: Session,
    question: str,
    architecture: str | None,
    tenant: str | None,
    live: bool,
    trace: bool,
    as_json: bool,
) -> None:
    """Answer QUESTION with citations, or abstain.

    Says so when the documents do not hold the answer.
    """
    from agentops_ref.apps import screen

    if not question.strip():
        raise click.UsageError("the question is empty")
    app = session.app(
        *(["models.mode=live"] if live else []),
        *asking(architecture, tenant),
    )
    with progress_bar(quiet=as_json) as update:
        app.ensure_index(progress=update)
    answer = app.agent(question)
    if as_json:
        print_json(answer_fields(answer))
        return
    out = console()
    screen.answer(out, answer)
    if trace:
        screen.trace(out, app.trace(answer.trace_id))
