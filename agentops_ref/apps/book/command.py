"""The builder's command line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from agentops_ref.apps.book.layout import Layout, find_layout
from agentops_ref.errors import AgentOpsError

if TYPE_CHECKING:
    from agentops_ref.apps.book.execute import Outcome


class _Book(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AgentOpsError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Book)
@click.pass_context
def book(context: click.Context) -> None:
    """Execute and render the book of the checkout around the working directory."""
    context.obj = find_layout()


only = click.option("--only", multiple=True, metavar="NAME", help="A notebook; may be repeated.")
force = click.option("--force", is_flag=True, help="Do what is unchanged as well.")
jobs = click.option("--jobs", default=2, show_default=True, help="Notebooks at a time.")
draft = click.option("--draft", is_flag=True, help="Leave out missing pages, allow old results.")
mode = click.option("--mode", help="How models answer: live, replay, record, scripted.")


@book.command()
@only
@force
@jobs
@draft
@mode
@click.pass_obj
def build(
    layout: Layout, only: tuple[str, ...], force: bool, jobs: int, draft: bool, mode: str | None
) -> None:
    """Execute what changed, render, and say which file to open."""
    _execute(layout, only, force, jobs, mode)
    _render(layout, draft, force)


@book.command()
@only
@force
@jobs
@mode
@click.pass_obj
def execute(
    layout: Layout, only: tuple[str, ...], force: bool, jobs: int, mode: str | None
) -> None:
    """Execute the notebooks into _build/executed."""
    _execute(layout, only, force, jobs, mode)


@book.command()
@draft
@force
@click.pass_obj
def render(layout: Layout, draft: bool, force: bool) -> None:
    """Render what was executed to _build/html."""
    _render(layout, draft, force)


@book.command()
@click.pass_obj
def student(layout: Layout) -> None:
    """Write the notebooks without their solutions to _build/student."""
    from agentops_ref.apps.book.student import write_students

    for name in write_students(layout):
        click.echo(f"_build/student/{name}")


@book.command()
@click.option("--fix", is_flag=True, help="Strip outputs, counts and editors' metadata.")
@click.pass_obj
def hygiene(layout: Layout, fix: bool) -> None:
    """Check that the notebooks are as they are to be committed."""
    from agentops_ref.apps.book.hygiene import check

    notebooks = [*layout.sources(), *sorted(layout.root.glob("tests/notebooks/*.ipynb"))]
    lines = [f"{path.name}: {line}" for path in notebooks for line in check(path, fix=fix)]
    for line in lines:
        click.echo(line, err=True)
    if lines:
        click.echo("`make fix` strips notebooks; titles and parameters are yours", err=True)
        sys.exit(1)
    click.echo(f"{len(notebooks)} notebooks are clean")


def _execute(
    layout: Layout, only: tuple[str, ...], force: bool, jobs: int, mode: str | None
) -> None:
    from agentops_ref.apps.book.execute import execute as run
    from agentops_ref.apps.book.progress import progress

    if mode:
        os.environ["AGENTOPS__MODELS__MODE"] = mode
    with progress() as listen:
        outcome = run(layout, only=only, force=force, jobs=jobs, listen=listen)
    click.echo(f"{len(outcome.ran)} notebooks executed, {len(outcome.kept)} unchanged")
    _report(outcome)


def _report(outcome: Outcome) -> None:
    for failure in outcome.failures:
        click.secho(f"\n{failure.notebook}: {failure.error}", fg="red", err=True)
        if failure.source:
            click.echo(f"in cell {failure.cell + 1}:\n", err=True)
            click.echo("    " + failure.source.replace("\n", "\n    "), err=True)
        click.echo("\n" + "\n".join(failure.traceback[-15:]), err=True)
        if failure.output.exists():
            kept = f"{failure.output.parent.parent.name}/{failure.output.parent.name}"
            click.echo(f"what it got to: {kept}/{failure.output.name}", err=True)
    if outcome.failures:
        names = ", ".join(failure.notebook for failure in outcome.failures)
        raise click.ClickException(f"failed: {names}")


def _render(layout: Layout, draft: bool, force: bool) -> None:
    from agentops_ref.apps.book.render import render as make

    index, was_built = make(layout, draft=draft, force=force)
    click.echo(f"{'Rendered' if was_built else 'Nothing changed'}; open {index.as_uri()}")
