"""``agentops eval optimise``: let an optimiser write a prompt."""

from __future__ import annotations

import random
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
from agentops_ref.errors import ConfigError
from agentops_ref.records import CaseSplit

if TYPE_CHECKING:
    from agentops_ref.evals.optimising import Optimised
    from agentops_ref.wiring import App

HOW = ("gepa", "metaprompt", "examples")


@click.command()
@click.argument("how", type=click.Choice(HOW))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where a better prompt is written, a file like those of paths.prompts.",
)
@click.option(
    "--split",
    type=click.Choice(get_args(CaseSplit)),
    default="dev",
    show_default=True,
    help="The cases that it may see; measure what it wrote on the other.",
)
@click.option("--cases", "number", type=click.IntRange(min=2), help="How many of them.")
@json_option
@command
def optimise(
    session: Session, how: str, out: Path, split: CaseSplit, number: int | None, as_json: bool
) -> None:
    """Let an optimiser write a better prompt for the chain.

    gepa and metaprompt rewrite its instructions (MLflow), examples chooses its examples among right
    answers (DSPy). It is judged by the first scorer on cases drawn from the split. The score that
    it reports is that of the best of many on cases it was chosen by: what it gained, two runs on
    the other split say, `agentops eval run --split test` and `agentops eval compare`.
    """
    app = session.app()
    settings = app.config.evals.optimise
    if out.exists():
        raise ConfigError(f"{out} exists: name a new file, prompts are not written over")
    if not out.parent.is_dir():
        raise ConfigError(f"{out.parent} is no folder: make it, or choose another --out")
    given = app.cases(corpus_version=1, split=split)
    number = min(number or settings.cases, len(given))
    cases = random.Random(settings.seed).sample(given, number)
    with progress_bar(quiet=as_json) as update:
        app.ensure_index(progress=update)
        found = _search(app, how, cases, update)
    better = found.after > found.before
    if better:
        out.write_text(app.prompt_with(found.best).text, encoding="utf-8")
    if as_json:
        print_json(
            {
                "prompt": str(out) if better else None,
                "before": round(found.before, 4),
                "after": round(found.after, 4),
                "cases": found.judged,
                "candidates": len(found.tried),
                "answers": found.answers,
            }
        )
        return
    searched = f"{len(found.tried)} prompts, {found.answers} answers"
    if not better:
        console().print(f"No other prompt was better ({searched}); nothing is written.")
        return
    console().print(
        f"{out}: {found.after:.0%} right on the cases it was chosen by, {found.before:.0%} before "
        f"({searched}). That is no estimate of the gain: compare both on cases that it never saw."
    )


def _search(app: App, how: str, cases: Any, update: Any) -> Optimised:
    settings = app.config.evals.optimise
    if how == "examples":
        return app.choose_examples(
            cases,
            candidates=settings.candidates,
            most=settings.examples,
            seed=settings.seed,
            progress=update,
        )
    from mlflow.genai.optimize.optimizers import GepaPromptOptimizer, MetaPromptOptimizer

    if how == "metaprompt":
        optimiser: Any = MetaPromptOptimizer(settings.model)
    else:
        optimiser = GepaPromptOptimizer(settings.model, max_metric_calls=settings.answers)
    return app.rewrite_instructions(cases, optimiser, progress=update)
