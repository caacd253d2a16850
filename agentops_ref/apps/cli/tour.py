"""``agentops tour``: the whole loop in the terminal."""

from __future__ import annotations

import time

import click

from agentops_ref.apps.cli.common import (
    Session,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
)


@click.command()
@json_option
@command
def tour(session: Session, as_json: bool) -> None:
    """Walk through the whole loop, in a minute or two.

    Sync, ask, trace, change, sync, ask again, evaluate.

    Works on a copy of the corpus; your own index stays as it is.
    """
    from agentops_ref.apps import screen
    from agentops_ref.apps.tour import walk

    started = time.perf_counter()
    session.app()  # sets the log levels
    out = console()
    steps = walk(session.config(), session.options, lambda: progress_bar(quiet=as_json))
    done = []
    for step in steps:
        if as_json:
            done.append(
                {
                    "title": step.title,
                    "sync": step.sync,
                    "question": step.question,
                    "answer": step.answer,
                    "trace": step.trace,
                    "finding": step.finding,
                    "evaluation": step.result.to_dict() if step.result else None,
                    "verdict": step.verdict.to_dict() if step.verdict else None,
                }
            )
        else:
            screen.step(out, step)
    if as_json:
        print_json({"steps": done, "seconds": round(time.perf_counter() - started, 1)})
    else:
        out.print(f"\n[dim]{time.perf_counter() - started:.0f} s. Next: agentops ask, make book[/]")
