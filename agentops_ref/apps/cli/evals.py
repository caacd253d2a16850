"""``agentops eval run``: the evaluation set through the agent, scored, compared with the gate."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import (
    Session,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
)


@click.group(name="eval")
def evaluation() -> None:
    """Evaluate the agent."""


@evaluation.command()
@click.option("--slice", "slices", multiple=True, help="Only these slices; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N cases.")
@json_option
@command
def run(session: Session, slices: tuple[str, ...], limit: int | None, as_json: bool) -> None:
    """Ask every case, score the answers, print the verdict.

    The run is kept in MLflow, with a trace for each case.

    Exits with 1 when the gate fails.
    """
    from agentops_ref.apps import screen
    from agentops_ref.evals import verdict

    app = session.app()
    cases = app.cases(slices=slices, corpus_version=1)[:limit]
    with progress_bar(quiet=as_json) as update:
        app.ensure_index(progress=update)
        result = app.evaluate(cases, progress=update)
    decision = verdict(result, app.config.evals.gate, level=app.config.evals.level)
    if as_json:
        print_json({**result.to_dict(), "verdict": decision.to_dict()})
    else:
        screen.evaluation(console(), result, decision)
    if decision.outcome == "fail":
        raise click.exceptions.Exit(1)
