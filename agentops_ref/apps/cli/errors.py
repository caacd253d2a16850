"""``agentops errors``: read traces, say where they went wrong, group it, see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from agentops_ref.apps.cli.common import (
    Session,
    architecture_option,
    asking,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
    tenant_option,
)
from agentops_ref.apps.cli.errors_common import coder_option, file_option, rows, who
from agentops_ref.apps.cli.errors_groups import taxonomy
from agentops_ref.apps.cli.errors_views import case, matrix, saturation
from agentops_ref.errors import ConfigError


@click.group()
def errors() -> None:
    """Error analysis: what goes wrong, where first, how often.

    Import traces, read them (codes next, codes add), group the notes (taxonomy), stop when it is
    saturated, see the matrix, and make a regression case of what was found.
    """


@errors.command(name="import")
@click.argument("file_in", metavar="[FILE]", required=False,
                type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
@click.option(
    "--runs", metavar="EXPERIMENT/RUN", help="The traces of an MLflow run, by id or name."
)
@click.option("--cases", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              metavar="FILE", help="Ask these cases now, and take their traces.")  # fmt: skip
@architecture_option
@tenant_option
@file_option
@coder_option
@json_option
@command
def import_(
    session: Session,
    file_in: Path | None,
    runs: str | None,
    cases: Path | None,
    architecture: str | None,
    tenant: str | None,
    file: Path | None,
    coder: str | None,
    as_json: bool,
) -> None:
    """Add traces, and readings of them, to the file of readings.

    FILE holds one JSON object a line: "id", "messages" (a list of role and content), and, where it
    was read, "first_failure", "last_success", "notes", "coder". Other keys are left alone. What is
    there already is not added again; where any line is wrong, nothing is added.
    """
    from agentops_ref.evals import load_cases, select
    from agentops_ref.evals.errors import add_records, parse_lines, records_of

    if sum(one is not None for one in (file_in, runs, cases)) != 1:
        raise click.UsageError("give one of FILE, --runs EXPERIMENT/RUN and --cases FILE")
    app = session.app(*asking(architecture, tenant))
    into = file or app.readings_file
    if file_in is not None:
        text = _text_of(file_in)
        lines = parse_lines(text, path=str(file_in), coder=who(coder))
        done = add_records(into, records_of(lines))
    elif runs is not None:
        done = app.import_traces(app.tracked_traces(runs), into)
    else:
        assert cases is not None
        with progress_bar(quiet=as_json) as update:
            app.ensure_index(progress=update)
            asked = select(load_cases(cases), corpus_version=1)
            traces = app.asked_traces(asked, app.config.agent.kind, progress=update)
        done = app.import_traces(traces, into)
    if as_json:
        print_json({"file": into, **done._asdict()})
        return
    console().print(
        f"{into}: {done.traces} traces and {done.readings} readings added, {done.unchanged} "
        "there already",
        markup=False,
        soft_wrap=True,
    )


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None


@errors.group(invoke_without_command=True)
@click.option("--slice", metavar="NAME", help="Only this slice.")
@file_option
@json_option
@click.pass_context
@command
def codes(
    session: Session,
    context: click.Context,
    slice: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Open codes: how many traces failed, where first, and what was noted."""
    if context.invoked_subcommand is not None:
        return
    from agentops_ref.apps import screen_errors as screen
    from agentops_ref.evals.errors import failure_counts, state_counts

    app = session.app()
    held = app.readings(file).within(slice=slice)
    level = app.config.evals.level
    failures, states = failure_counts(held, level=level), state_counts(held, level=level)
    notes = [
        {"id": one.trace, "coder": one.coder, "last_success": one.last_success,
         "first_failure": one.first_failure, "notes": one.notes}
        for one in held.failed
    ]  # fmt: skip
    if as_json:
        print_json(
            {
                "traces": len(held.traces),
                "read": len(held.decided),
                "coders": held.coders,
                "level": level,
                "failed": rows(failures),
                "first_failure": rows(states),
                "notes": notes,
            }
        )
    else:
        screen.codes(console(), held, failures, states)


@codes.command(name="add")
@click.argument("id_", metavar="ID")
@click.option("--note", "notes", multiple=True, metavar="TEXT", help="What went wrong; repeatable.")
@click.option("--first-failure", default="", metavar="STATE", help="The first that went wrong.")
@click.option("--last-success", default="", metavar="STATE",
              help="The last before it that was right, or start; by default the one visited "
              "before.")  # fmt: skip
@click.option("--right", is_flag=True, help="Nothing went wrong.")
@file_option
@coder_option
@json_option
@command
def add(
    session: Session,
    id_: str,
    notes: tuple[str, ...],
    first_failure: str,
    last_success: str,
    right: bool,
    file: Path | None,
    coder: str | None,
    as_json: bool,
) -> None:
    """Say what went wrong in trace ID, and where first. Saying it again revises it."""
    from dataclasses import asdict

    from agentops_ref.evals.errors import add_records, new_reading

    app = session.app()
    into = file or app.readings_file
    reading = new_reading(
        app.readings(into),
        id_,
        coder=who(coder),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=notes,
        first_failure=first_failure,
        last_success=last_success,
        right=right,
    )
    add_records(into, [reading])
    if as_json:
        print_json(asdict(reading))
    elif reading.failed:
        where = f"{reading.last_success} > {reading.first_failure}" if reading.placed else "noted"
        console().print(f"{id_}: failed, {where}", markup=False)
    else:
        console().print(f"{id_}: right", markup=False)


def _shown(function: Callable[..., None]) -> Callable[..., None]:
    return file_option(coder_option(json_option(command(function))))


@codes.command(name="next")
@click.option("--seed", type=int, metavar="N", help="Of the order; by default evals.errors.seed.")
@_shown
def next_(
    session: Session, seed: int | None, file: Path | None, coder: str | None, as_json: bool
) -> None:
    """Show the next trace to read: at random, each system and slice in its proportion."""
    from agentops_ref.evals.errors import next_unread

    app = session.app()
    held = app.readings(file)
    chosen = app.config.evals.errors.seed if seed is None else seed
    trace = next_unread(held, who(coder), chosen)
    if trace is None:
        done = f"all {len(held.traces)} traces are read" if held.traces else "there are no traces"
        if as_json:
            print_json({"trace": None, "read": len(held.decided)})
        else:
            console().print(f"{done}; agentops errors import brings more", markup=False)
        return
    _show(held, trace.id, as_json)


@codes.command()
@click.argument("id_", metavar="ID")
@_shown
def show(session: Session, id_: str, file: Path | None, coder: str | None, as_json: bool) -> None:
    """Show trace ID, and what was read in it."""
    _show(session.app().readings(file), id_, as_json)


def _show(held: Any, id_: str, as_json: bool) -> None:
    from dataclasses import asdict

    from agentops_ref.apps import screen_errors as screen
    from agentops_ref.evals.errors import trace_called

    trace = trace_called(held, id_)
    read = [one for key, one in held.by_coder.items() if key[0] == id_]
    if as_json:
        told = {"trace": asdict(trace), "states": held.known_states(trace)}
        print_json({**told, "readings": [asdict(one) for one in read]})
    else:
        screen.trace(console(), trace, read, held.known_states(trace))


for part in (taxonomy, saturation, matrix, case):
    errors.add_command(part)
