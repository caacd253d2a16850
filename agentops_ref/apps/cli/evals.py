"""``agentops eval``: run the evaluation set, compare two runs, decide on a release."""

from __future__ import annotations

from pathlib import Path
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
from agentops_ref.records import CaseSplit

if TYPE_CHECKING:
    from agentops_ref.evals import ScoreTable, Verdict
    from agentops_ref.wiring import App

CODES = "Exits with 0 when the gate passes, 1 when it fails, 3 when it is undecided, 2 for a wrong"
baseline_option = click.option(
    "--baseline", metavar="RUN|FILE", help="Scores that a rule with no_worse_than compares with."
)


@click.group(name="eval")
def evaluation() -> None:
    """Evaluate the agent: run, compare, gate."""


@evaluation.command(epilog=f"{CODES} call or configuration.")
@click.option("--slice", "slices", multiple=True, help="Only these slices; may be repeated.")
@click.option(
    "--split", type=click.Choice(get_args(CaseSplit)), help="Only this split; by default both."
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N cases.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, help="Ask each case N times.")
@click.option("--name", default="", help="The run's name, for --from, --baseline and compare.")
@click.option("--from", "source", metavar="RUN|FILE", help="Score recorded outputs; ask nothing.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Outputs, as JSONL.")
@baseline_option
@json_option
@command
def run(
    session: Session,
    slices: tuple[str, ...],
    split: CaseSplit | None,
    limit: int | None,
    repeat: int,
    name: str,
    source: str | None,
    out: Path | None,
    baseline: str | None,
    as_json: bool,
) -> None:
    """Ask every case, score the answers, print the verdict.

    The run is kept in MLflow: a trace for each case, and all answers in outputs.jsonl. With --from,
    the answers of a run (its id, or its name) or of any JSONL file with id, question and answer are
    scored instead.

    Rules of the gate that need a baseline are left out where none is given.
    """
    from agentops_ref.evals.gate import check_rules

    if source and (slices or split or limit or repeat > 1):
        raise click.UsageError(
            "--from scores what is recorded: no --slice, --split, --limit or --repeat"
        )
    app = session.app()
    check_rules(app.config.evals.gate, app.scorers())
    before = app.scores(app.recorded(baseline)) if baseline else None
    if source:
        _rescore(app, source, name, out, before, as_json)
        return
    from agentops_ref.evals.outputs import row_of, write_row

    cases = app.cases(slices=slices, corpus_version=1, split=split)[:limit]
    with progress_bar(quiet=as_json) as update:
        app.ensure_index(progress=update)
        result = app.evaluate(cases, run_name=name or "evaluation", progress=update, repeat=repeat)
    if out:
        with out.open("w", encoding="utf-8") as file:
            for one in result.results:
                write_row(file, row_of(one))
    decision = _decide(app, result.table, before)
    if as_json:
        print_json({**result.to_dict(), "verdict": decision and decision.to_dict()})
    else:
        _print(result.table, result.failures(next(iter(result.scorers))), decision)
    _exit(decision)


def _rescore(
    app: App, source: str, name: str, out: Path | None, before: ScoreTable | None, as_json: bool
) -> None:
    recorded = app.recorded(source)
    with progress_bar(quiet=as_json) as update:
        found = app.rescore(recorded, run_name=name or "re-scored", out=out, progress=update)
    decision = _decide(app, found.table, before)
    if as_json:
        print_json(
            {
                "name": found.table.name,
                "run_id": found.run_id,
                "from": recorded.run_id or str(recorded.path),
                "cases": len(found.table),
                "seconds": round(found.seconds, 3),
                "aggregates": [row.to_dict() for row in found.table.aggregates()],
                "verdict": decision and decision.to_dict(),
            }
        )
    else:
        _print(found.table, found.failures, decision)
    _exit(decision)


@evaluation.command()
@click.option(
    "--user",
    type=click.Choice(["scripted", "simulated"]),
    default="scripted",
    show_default=True,
    help="Who talks: the script's lines, or a model that pursues the goal.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N conversations.")
@click.option("--name", default="conversations", show_default=True, help="The run's name.")
@json_option
@command
def talk(session: Session, user: str, limit: int | None, name: str, as_json: bool) -> None:
    """Hold conversations with a simulated user, and score each as a whole.

    They stand in evals.dialogues.file. The run is kept like those of `agentops eval run`, so
    compare and gate take it, too.
    """
    app = session.app()
    with progress_bar(quiet=as_json) as update:
        app.ensure_index(progress=update)
        result = app.talk(
            app.dialogues()[:limit],
            user="simulated" if user == "simulated" else "scripted",
            run_name=name,
            progress=update,
        )
    app.memory.close()
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result.table, result.failures("goal_reached"), None)


@evaluation.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--scorer", "scorers", multiple=True, help="Only these scorers; may be repeated.")
@click.option("--rescore", is_flag=True, help="Score both with the configured scorers first.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report as .png, .html or .md.",
)
@json_option
@command
def compare(
    session: Session,
    before: str,
    after: str,
    scorers: tuple[str, ...],
    rescore: bool,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare runs A and B (names, ids, or JSONL files) on the cases that both scored.

    For each scorer and slice: the difference with its interval, the exact McNemar test, corrected
    for the number of slices, and how many cases it takes to see such a difference. Where A or B is
    a run, the comparison is kept in MLflow, too.
    """
    import numpy as np

    from agentops_ref.evals.compare_report import comparison_tables, save, sentences
    from agentops_ref.evals.comparing import compare_tables

    app = session.app()
    first, second = app.recorded(before), app.recorded(after)
    report = compare_tables(
        app.scores(first, again=rescore),
        app.scores(second, again=rescore),
        np.random.default_rng(seed),
        scorers=scorers,
        level=app.config.evals.level,
    )
    if out:
        save(report, out)
    kept = app.keep_comparison(report, first, second)
    if as_json:
        print_json({**report.to_dict(), "run_id": kept})
        return
    screen = console()
    for table in comparison_tables(report):
        screen.print(table)
        screen.print()
    for sentence in sentences(report):
        screen.print(sentence, markup=False)


@evaluation.command(epilog=f"{CODES} call or configuration, as without a needed --baseline.")
@click.argument("run", metavar="[RUN|FILE]", required=False, default="evaluation")
@baseline_option
@click.option("--rescore", is_flag=True, help="Score with the configured scorers first.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML.")
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write Markdown.")
@json_option
@command
def gate(
    session: Session,
    run: str,
    baseline: str | None,
    rescore: bool,
    junit: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> None:
    """Decide whether what RUN measured may go on, by the rules under evals.gate.

    RUN is a run's name or id, or a JSONL file; by default the newest run of `agentops eval run`.
    """
    from agentops_ref.evals.gate import check_rules
    from agentops_ref.evals.gate_report import to_junit, to_markdown
    from agentops_ref.evals.report import verdict_table

    app = session.app()
    check_rules(app.config.evals.gate, app.scorers())
    table = app.scores(app.recorded(run), again=rescore)
    before = app.scores(app.recorded(baseline), again=rescore) if baseline else None
    decision = app.gate(table, before)
    for path, made in ((junit, to_junit), (markdown, to_markdown)):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made(decision, table.name), encoding="utf-8")
    if as_json:
        print_json({"run": table.name, **decision.to_dict()})
    else:
        console().print(verdict_table(decision))
    _exit(decision)


def _decide(app: App, table: ScoreTable, before: ScoreTable | None) -> Verdict | None:
    """Apply the rules that can be; None where each needs a baseline and there is none."""
    rules = [rule for rule in app.config.evals.gate if before or rule.no_worse_than is None]
    return app.gate(table, before, rules=rules) if rules else None


def _print(table: ScoreTable, failures: Any, decision: Verdict | None) -> None:
    from agentops_ref.apps import screen

    screen.evaluation(console(), table, failures, decision)


def _exit(decision: Verdict | None) -> None:
    if decision is None:
        return
    for check in decision.checks:
        if check.outcome == "undecided" and check.undecided == "warn":
            click.echo(f"warning: {check.name} is undecided, which its rule lets pass", err=True)
    if decision.exit_code:
        raise click.exceptions.Exit(decision.exit_code)
