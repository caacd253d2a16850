"""``agentops errors saturation``, ``matrix`` and ``case``: what the readings show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json
from agentops_ref.apps.cli.errors_common import file_option, rows
from agentops_ref.errors import ConfigError, OperatorError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command()
@click.option("--out", "picture", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Draw the curve: .png, .svg or .pdf.")  # fmt: skip
@file_option
@json_option
@command
def saturation(session: Session, picture: Path | None, file: Path | None, as_json: bool) -> None:
    """Say whether enough was read: would the next failed trace show something new?"""
    import numpy as np

    from agentops_ref.evals.errors import assess_saturation, describe_saturation

    app = session.app()
    settings = app.config.evals.errors
    found = assess_saturation(
        app.readings(file),
        app.taxonomy(file),
        np.random.default_rng(settings.seed),
        limit=settings.new_category,
        orders=settings.orders,
        level=app.config.evals.level,
    )
    if picture is not None:
        from agentops_ref.evals.errors.plots import plot_saturation

        _draw(plot_saturation(found), picture)
    if as_json:
        print_json(
            {
                "stop": found.stop,
                "verdict": found.verdict,
                "limit": found.limit,
                "without_category": found.without,
                "unseen": {**found.unseen._asdict(), "total": _finite(found.unseen.total)},
                "curve": found.curve._asdict(),
            }
        )
    else:
        console().print(describe_saturation(found), markup=False)


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value


@click.command()
@click.option("--slice", metavar="NAME", help="Only this slice.")
@click.option("--out", "drawn", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Draw it: .html with links to the traces, or .png, .svg, .pdf.")  # fmt: skip
@file_option
@json_option
@command
def matrix(
    session: Session, slice: str | None, drawn: Path | None, file: Path | None, as_json: bool
) -> None:
    """Count the last state that succeeded against the first that failed; loops and dead ends."""
    from agentops_ref.apps import screen_errors as screen
    from agentops_ref.evals.errors import failure_matrix, matrix_dict, trajectories

    app = session.app()
    held = app.readings(file)
    if slice is not None and slice not in held.slices:
        raise ConfigError(f"no slice '{slice}' in the readings{nearest(slice, held.slices)}")
    held, level = held.within(slice=slice), app.config.evals.level
    found, paths = failure_matrix(held, level=level), trajectories(held, level=level)
    slices = {name: failure_matrix(held.within(slice=name), level=level) for name in held.slices}
    if drawn is not None and drawn.suffix == ".html":
        from agentops_ref.evals.errors.page import matrix_page

        parts = {name: one for name, one in slices.items() if one.placed and len(slices) > 1}
        drawn.write_text(matrix_page(held, {"all": found, **parts}, paths), encoding="utf-8")
    elif drawn is not None:
        from agentops_ref.evals.errors.plots import plot_matrix

        _draw(plot_matrix(found), drawn)
    if as_json:
        print_json(
            {
                **matrix_dict(found),
                "level": level,
                "slices": {name: matrix_dict(one) for name, one in slices.items()},
                "runs": paths.runs,
                "transitions": rows(paths.transitions),
                "loops": rows(paths.loops),
                "dead_ends": rows(paths.dead_ends),
            }
        )
    else:
        screen.matrix(console(), found, paths)


@click.command()
@click.argument("name", metavar="ID|CATEGORY")
@click.option("--out", "out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it to this new file; printed otherwise.")  # fmt: skip
@click.option("--fact", "facts", multiple=True, help="Must be stated; repeatable.")
@click.option("--source", "sources", multiple=True, help="Holds the answer; repeatable.")
@click.option("--forbidden", multiple=True, help="Must not be stated; repeatable.")
@click.option("--abstain", is_flag=True, help="The right answer is silence.")
@click.option("--origin", type=click.Choice(["trace", "incident"]), default="trace",
              show_default=True)  # fmt: skip
@file_option
@json_option
@command
def case(
    session: Session,
    name: str,
    out: Path | None,
    facts: tuple[str, ...],
    sources: tuple[str, ...],
    forbidden: tuple[str, ...],
    abstain: bool,
    origin: Any,
    file: Path | None,
    as_json: bool,
) -> None:
    """Make a regression case of a failed trace, or cases of a category's clearest ones.

    Without --fact and --source (or --abstain) it is a draft for a person to finish, and no dataset
    takes it before. Says how to add it, and the gate's rule that the cases can meet.
    """
    from agentops_ref.evals.errors import (
        Expected,
        can_fail,
        draft_cases,
        gate_rule,
        write_draft,
    )

    if abstain and facts:
        raise click.UsageError("--abstain and --fact exclude each other")
    told = Expected(facts, sources, forbidden, abstain)
    app = session.app()
    draft = draft_cases(
        app.taxonomy(file), app.readings(file), name, origin=origin,
        expected=told if any(told) else None,
    )  # fmt: skip
    if out is not None:
        write_draft(out, draft)
    scorer = app.scorers()[0].__name__
    rule = gate_rule(draft.slice, len(draft.ids), scorer=scorer, level=app.config.evals.level)
    steps = [
        f"agentops dataset add --file {out or 'FILE'}",
        f"agentops eval run --slice {draft.slice} --set 'evals.gate=[{rule}]'",
    ]
    fails = can_fail(len(draft.ids), level=app.config.evals.level)
    if as_json:
        print_json(
            {"file": out, "cases": draft.ids, "slice": draft.slice, "finished": draft.finished,
             "gate": rule, "can_fail": fails, "next": steps, "text": draft.text}
        )  # fmt: skip
        return
    if out is None:
        click.echo(draft.text, nl=False)
    else:
        state = "finished" if draft.finished else "a draft to finish by hand"
        click.echo(f"{out}: {len(draft.ids)} cases, {state}")
    click.echo("\n".join(["# then:", *(f"#   {step}" for step in steps)]))
    if not fails:
        click.echo(
            "# With so few cases that rule is undecided at worst, which does not pass either."
        )


def _draw(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise OperatorError(f"cannot draw {path}: {error}; choose another --out") from None
