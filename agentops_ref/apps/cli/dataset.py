"""``agentops dataset``: what is in the evaluation sets, what changed, what is no longer true."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json
from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.records import Case, CaseOrigin, CaseSplit

if TYPE_CHECKING:
    from agentops_ref.wiring import App

dataset_option = click.option(
    "--dataset", "name", metavar="NAME", help="By default the first one of the configuration."
)


@click.group(name="dataset")
def dataset() -> None:
    """Look after the evaluation datasets."""


@dataset.command(name="list")
@click.option("--stale", is_flag=True, help="Name each case whose documents changed, and why.")
@click.option(
    "--against", type=click.IntRange(min=1), metavar="VERSION",
    help="Index version at which the cases were true; by default the one before the present one.",
)  # fmt: skip
@click.option("--corpus-version", type=int, default=1, show_default=True,
              help="Hold cases of this version of the documents against the index.")  # fmt: skip
@json_option
@command
def listing(
    session: Session, stale: bool, against: int | None, corpus_version: int, as_json: bool
) -> None:
    """List the datasets: cases, slices, splits, digest, MLflow's id, stale cases."""
    from agentops_ref.apps import screen_dataset as screen

    app = session.app()
    rows = [
        _row(app, name, against, corpus_version, strict=stale or against is not None)
        for name in app.dataset_files
    ]
    if as_json:
        print_json(rows)
    else:
        screen.datasets(console(), rows)
        if stale:
            screen.stale(console(), rows)


def _row(
    app: App, name: str, against: int | None, corpus_version: int, *, strict: bool
) -> dict[str, Any]:
    _, path = app.dataset_file(name)
    version = app.dataset(name)
    cases = [case for case in version.live if case.corpus_version == corpus_version]
    try:
        stale: list[dict[str, str]] | None = [
            one._asdict() for one in app.stale_cases(cases, against=against)
        ]
    except OperatorError:
        if strict:
            raise
        stale = None  # no index, or only one version of it: nothing can be said
    held = app.published_datasets(name)
    return {
        "name": name,
        "file": str(path),
        "cases": len(version.live),
        "retired": len(version.cases) - len(version.live),
        "slices": version.counts("slice"),
        "splits": version.counts("split"),
        "origins": version.counts("origin"),
        "digest": version.digest,
        "mlflow": next((one.id for one in held if one.digest == version.digest), None),
        "published": [one._asdict() for one in held],
        "stale": stale,
    }


@dataset.command()
@click.argument("before")
@click.argument("after", required=False)
@json_option
@command
def diff(session: Session, before: str, after: str | None, as_json: bool) -> None:
    """Say what changed from version BEFORE to AFTER, by default the first dataset as it is now.

    A version is a dataset's name, a file, REV:PATH of git (HEAD~1:corpus/cases.yaml), or the id
    of an MLflow dataset (d-...).
    """
    from agentops_ref.apps import screen_dataset as screen
    from agentops_ref.evals import datasets

    app = session.app()
    found = datasets.diff(app.dataset(before), app.dataset(after))
    if as_json:
        print_json(found.to_dict())
    else:
        screen.diff(console(), found)


@dataset.command()
@dataset_option
@click.option("--file", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Add the cases of this file.")  # fmt: skip
@click.option("--trace", "trace_id", metavar="ID", help="Take the question of this trace.")
@click.option("--draft", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="With --trace: write a file to finish by hand; nothing is added.")  # fmt: skip
@click.option("--id", "case_id", metavar="ID", help="With --trace: the new case's id.")
@click.option("--slice", metavar="NAME", help="With --trace: the group that it belongs to.")
@click.option("--fact", "facts", multiple=True, help="With --trace: must be stated; repeat it.")
@click.option("--forbidden", multiple=True, help="With --trace: must not be stated; repeat it.")
@click.option("--source", "sources", multiple=True, help="With --trace: holds the answer; repeat.")
@click.option("--abstain", is_flag=True, help="With --trace: the right answer is silence.")
@click.option("--split", type=click.Choice(get_args(CaseSplit)), help="In place of the file's.")
@click.option("--origin", type=click.Choice(get_args(CaseOrigin)), help="In place of the file's.")
@click.option("--origin-note", metavar="TEXT", help="The incident; who validated, against what.")
@json_option
@command
def add(
    session: Session,
    name: str | None,
    file: Path | None,
    trace_id: str | None,
    draft: Path | None,
    case_id: str | None,
    slice: str | None,
    split: CaseSplit | None,
    origin: CaseOrigin | None,
    origin_note: str | None,
    as_json: bool,
    **expected: Any,
) -> None:
    """Append cases to a dataset's file, checked, with its comments left alone.

    Refuses an id that is used, and a question that nearly stands on the other side of the split.
    Adding what is there already changes nothing.
    """
    from agentops_ref.evals import load_cases
    from agentops_ref.evals.datasets import draft_of

    if (file is None) == (trace_id is None):
        raise click.UsageError("give either --file or --trace")
    if file is not None and (draft or case_id or slice or any(expected.values())):
        raise click.UsageError("what is expected stands in the --file; the options are for --trace")
    app = session.app()
    told: dict[str, Any] = {
        key: value
        for key, value in (("split", split), ("origin", origin), ("origin_note", origin_note))
        if value
    }
    if file is not None:
        cases = [replace(case, **told) for case in load_cases(file)]
    else:
        if not case_id or not slice:
            raise click.UsageError("--trace needs --id and --slice for the new case")
        asked = app.asked_in(str(trace_id))
        if draft is not None:
            if draft.exists():
                raise OperatorError(f"{draft} exists; choose another --draft, or remove it")
            draft.write_text(draft_of(asked, case_id=case_id, slice=slice), encoding="utf-8")
            if as_json:
                print_json({"draft": draft, "question": asked.question})
            else:
                console().print(f"draft in {draft}: finish it, then --file {draft}", markup=False)
            return
        lists = {key: value for key, value in expected.items() if key != "abstain"}
        told = {"origin": "trace", "origin_note": asked.trace_id, **told}
        cases = [
            Case(case_id, asked.question, slice=slice, abstain=expected["abstain"], **lists, **told)
        ]
    _append(app, name, cases, as_json)


def _append(app: App, name: str | None, cases: list[Case], as_json: bool) -> None:
    from agentops_ref.evals.datasets import add_cases, write_cases

    name, path = app.dataset_file(name)
    before = path.read_text(encoding="utf-8")
    after, new = add_cases(before, cases, path=str(path))
    ids = {case.id for case in new}
    for pair in app.duplicates_with(new):
        if {pair.first, pair.second} & ids:
            raise ConfigError(
                f"'{pair.first}' and '{pair.second}' ask nearly the same ({pair.similarity:.0%} of "
                f"their {pair.measure}) and are in different splits: give both the same --split, "
                "or ask something else (the limit is evals.datasets.near_duplicate)"
            )
    write_cases(path, before, after)
    version = app.dataset(name)
    if as_json:
        print_json(
            {
                "dataset": name,
                "added": [asdict(case) for case in new],
                "unchanged": len(cases) - len(new),
                "cases": len(version.live),
                "digest": version.digest,
            }
        )
    else:
        console().print(
            f"{len(new)} added to {name}, {len(cases) - len(new)} there already; "
            f"{len(version.live)} cases, digest {version.digest}",
            markup=False,
        )


@dataset.command()
@click.argument("case")
@click.option("--why", required=True, metavar="TEXT", help="Kept with the case.")
@dataset_option
@json_option
@command
def retire(session: Session, case: str, why: str, name: str | None, as_json: bool) -> None:
    """Mark CASE as retired: it stays in the file, with the reason, and is asked no more."""
    from agentops_ref.evals.datasets import retire_case, write_cases

    app = session.app()
    name, path = app.dataset_file(name)
    before = path.read_text(encoding="utf-8")
    today = datetime.now(UTC).date().isoformat()
    write_cases(path, before, retire_case(before, case, why=why, on=today, path=str(path)))
    version = app.dataset(name)
    reason = next(one.retired for one in version.cases if one.id == case)
    told = {"dataset": name, "case": case, "retired": reason, "digest": version.digest}
    if as_json:
        print_json({**told, "cases": len(version.live)})
    else:
        console().print(f"{case} retired: {reason}; {len(version.live)} cases left", markup=False)


@dataset.command()
@click.argument("name", required=False)
@json_option
@command
def publish(session: Session, name: str | None, as_json: bool) -> None:
    """Keep the present version as an MLflow evaluation dataset; what is there already stays."""
    kept = session.app().publish_dataset(name)
    if as_json:
        print_json(kept._asdict())
    else:
        console().print(f"{kept.id}: {kept.cases} cases, digest {kept.digest}", markup=False)
