"""``agentops errors taxonomy``: group what was noted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json
from agentops_ref.apps.cli.errors_common import coder_option, file_option, rows, who

if TYPE_CHECKING:
    from agentops_ref.evals.errors import Category


@click.group(invoke_without_command=True)
@file_option
@json_option
@click.pass_context
@command
def taxonomy(session: Session, context: click.Context, file: Path | None, as_json: bool) -> None:
    """Axial codes: the categories of what goes wrong, how often, and how far people agree.

    The file is taxonomy.yaml beside the readings.
    """
    if context.invoked_subcommand is not None:
        return
    from agentops_ref.apps import screen_errors as screen
    from agentops_ref.evals.errors import agreements, category_counts, coverage, strays

    app = session.app()
    held, groups = app.readings(file), app.taxonomy(file)
    level = app.config.evals.level
    counts = category_counts(groups, held, level=level)
    covered = coverage(groups, held, level=level)
    pairs = agreements(held, groups, level=level)
    lost = strays(groups, held)
    if as_json:
        print_json(
            {
                "categories": groups.categories,
                "level": level,
                "counts": rows(counts),
                "coverage": rows([covered])[0],
                "agreement": rows(pairs),
                "strays": lost,
            }
        )
    else:
        screen.taxonomy(console(), groups, counts, covered, pairs, lost)


@taxonomy.command()
@click.argument("name")
@click.option("--definition", required=True, metavar="TEXT", help="When a trace belongs to it.")
@file_option
@json_option
@command
def add(session: Session, name: str, definition: str, file: Path | None, as_json: bool) -> None:
    """Add category NAME: words in lower case with dashes."""
    from agentops_ref.evals.errors import add_category

    app = session.app()
    made = app.change_taxonomy(lambda groups: add_category(groups, name, definition), file)
    _told(made.named(name), as_json)


@taxonomy.command()
@click.argument("id_", metavar="ID")
@click.argument("category")
@file_option
@coder_option
@json_option
@command
def assign(
    session: Session, id_: str, category: str, file: Path | None, coder: str | None, as_json: bool
) -> None:
    """Put the failed trace ID into CATEGORY, and out of any other that you put it into."""
    from agentops_ref.evals.errors import assign as put

    app = session.app()
    held = app.readings(file)
    made = app.change_taxonomy(
        lambda groups: put(groups, held, id_, category, coder=who(coder)), file
    )
    _told(made.named(category), as_json)


@taxonomy.command()
@file_option
@json_option
@command
def propose(session: Session, file: Path | None, as_json: bool) -> None:
    """Let the model group the notes that have no category; it counts when a person accepts it."""
    app = session.app()
    made = app.propose_categories(file)
    proposed = [one for one in made.categories if one.proposed]
    if as_json:
        print_json(proposed)
        return
    for one in proposed:
        ids = [id_ for held in one.members.values() for id_ in held]
        console().print(f"{one.name} ({len(ids)}): {one.definition}", markup=False)
    told = "agentops errors taxonomy accept NAME" if proposed else "nothing was proposed"
    console().print(told, style="dim", markup=False)


@taxonomy.command()
@click.argument("name")
@click.option(
    "--into", metavar="CATEGORY", help="Another name for it, or a category it belongs to."
)
@file_option
@coder_option
@json_option
@command
def accept(
    session: Session, name: str, into: str | None, file: Path | None, coder: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Stand for the proposed category NAME: from now on it counts, as yours."""
    from agentops_ref.evals.errors import accept as stand_for

    app = session.app()
    made = app.change_taxonomy(
        lambda groups: stand_for(groups, name, coder=who(coder), into=into), file
    )
    _told(made.named(into or name), as_json)


def _told(category: Category, as_json: bool) -> None:
    if as_json:
        print_json(category)
        return
    ids = {id_ for held in category.members.values() for id_ in held}
    console().print(f"{category.name}: {len(ids)} traces", markup=False)
