"""``agentops judge calibrate``: what a judge is worth, and the true rate of what it judged."""

from __future__ import annotations

from pathlib import Path

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def judge() -> None:
    """Judges: instruments with an error of their own."""


@judge.command()
@click.option("--labels", type=FILE, required=True, help="Labelled items, JSON lines.")
@click.option(
    "--judged", type=FILE, help="Verdicts on other items, JSON lines: correct their rate."
)
@click.option("--frozen", type=FILE, help="Earlier verdicts on the labelled items: show drift.")
@click.option(
    "--same-population", is_flag=True,
    help="The test rows are a random sample of what was judged: use their labels, too.",
)  # fmt: skip
@click.option("--judge", "name", metavar="NAME", help="Ask this one where a row has no verdict.")
@click.option("--again", is_flag=True, help="Use test rows that another judge has used.")
@json_option
@command
def calibrate(
    session: Session,
    labels: Path,
    judged: Path | None,
    frozen: Path | None,
    same_population: bool,
    name: str | None,
    again: bool,
    as_json: bool,
) -> None:
    """Compare a judge's verdicts with people's labels.

    A labelled line is {"id": ..., "label": 0 or 1, "judge": 0 or 1, "split": "dev" or "test"}, a
    judged or frozen one {"id": ..., "judge": 0 or 1}. Look at dev as often as you like. The test
    rows are used once: FILE.uses.jsonl remembers for which judge, and another one is refused.
    """
    from agentops_ref.evals.calibration import report

    found = session.app().calibrate(
        labels,
        judged=judged,
        frozen=frozen,
        same_population=same_population,
        again=again,
        judge=name,
    )
    if as_json:
        print_json(found.to_dict())
        return
    out = console()
    out.print(report.agreement_table(found))
    if found.corrected is not None:
        out.print()
        out.print(report.estimates_table(found.corrected))
    for note in report.notes(found):
        out.print(note, markup=False, style="dim")
