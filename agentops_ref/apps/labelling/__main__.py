"""``python -m agentops_ref.apps.labelling items``, ``... agreement`` and ``... judge NAME``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agentops_ref.apps.antipatterns import desk
from agentops_ref.apps.labelling.items import (
    LABELS,
    Documents,
    make_items,
    read_items,
    recorded_systems,
    write_items,
)
from agentops_ref.apps.labelling.labels import FIRST_PASS, compare_passes
from agentops_ref.apps.labelling.verdicts import score_items, verdicts, write_judged
from agentops_ref.config import load_config
from agentops_ref.evals.calibration import Estimate
from agentops_ref.evals.calibration import agreement as agreement_of
from agentops_ref.evals.calibration.labels import SPLITS, count, read_labels
from agentops_ref.records import CaseSplit
from agentops_ref.tracing import NoTracer
from agentops_ref.wiring import App, build

STATE = "_build/labels"
SEED = 8
"""Of the draws behind the interval of kappa."""


def wired(documents: Documents, settings: Mapping[str, Any]) -> App:
    """Return an app over some documents, with an index of its own; keeps no traces."""
    config = load_config()
    corpus, state = config.settings.paths.corpus, Path(STATE)
    if documents == "both-worlds":
        # One index for each bot: the narrow one does not see the technical documents.
        name = "narrow" if "etl.source.include" in settings else "broad"
        root = desk.everything(corpus, "corpus/company", state / "both-worlds")
    else:
        name, root = documents, corpus / documents / "docs"
    own: dict[str, Any] = {"paths.state": str(state / name), "etl.source.root": str(root)}
    own["guards.checks.injection.channels"] = ["user", "tool"]  # documents: chapter 7
    app = build(load_config(overrides={**own, **settings}))
    app.__dict__["tracer"] = NoTracer()  # hundreds of answers that are recorded already
    return app


@click.group()
def main() -> None:
    """Items to be labelled, and what a judge says of them."""


@main.command()
def items() -> None:
    """Make the items again from the recordings."""
    app = wired("v1", {})
    made = make_items(recorded_systems(app), wired)
    file = app.config.path(LABELS) / "items.jsonl"
    file.parent.mkdir(exist_ok=True)
    write_items(made, file)
    click.echo(f"{file}: {len(made)} items, {sum(i.split == 'dev' for i in made)} of them dev")


@main.command()
def agreement() -> None:
    """Say how far the second pass agrees with the first, and where it does not."""
    import numpy as np

    folder = load_config().path(LABELS)
    counts, differing = compare_passes(read_labels(folder / "answers.jsonl"))
    found = agreement_of(counts, np.random.default_rng(SEED))
    same = counts.n - len(differing)
    share = [f"{100 * value:.0f}" for value in _numbers(found.share)]
    kappa = [f"{value:.2f}" for value in _numbers(found.kappa)]
    click.echo(
        f"{counts.n} items in both passes; the same label on {same}, "
        f"{share[0]} % ({share[1]} to {share[2]} %)"
    )
    click.echo(f"Cohen's kappa {kappa[0]} ({kappa[1]} to {kappa[2]})")
    by_id = {item.id: item for item in read_items(folder / "items.jsonl")}
    for pair in differing:
        item = by_id[pair[0].id]
        click.echo(f"\n{item.id} ({item.split}): {item.question}\n  {item.answer}")
        for one in pair:
            click.echo(f"  {one.labeller}: {one.label}. {one.reason}")


def _numbers(estimate: Estimate) -> tuple[float, float, float]:
    rate = float("nan") if estimate.rate is None else estimate.rate
    return rate, estimate.low, estimate.high


@main.command()
@click.argument("name")
@click.option("--split", type=click.Choice(SPLITS), default="dev", show_default=True)
@click.option("--most", type=click.IntRange(min=1), help="Items, in the order of their ids.")
def judge(name: str, split: CaseSplit, most: int | None) -> None:
    """Ask the judge NAME about the labelled items of a split.

    Ids are hashes, so the first few are a random sample. What is recorded is replayed;
    AGENTOPS__MODELS__MODE=record keeps the rest. Writes what `agentops judge calibrate` reads.
    """
    app = build(load_config())
    folder = app.config.path(LABELS)
    every = read_labels(folder / "answers.jsonl")
    labels = [one for one in every if (one.split, one.labeller) == (split, FIRST_PASS)]
    wanted = sorted(one.id for one in labels)[:most]
    by_id = {item.id: item for item in read_items(folder / "items.jsonl")}
    scores = score_items(app.judge(name), [by_id[one] for one in wanted], progress=_progress)
    said = verdicts(scores)
    written = write_judged(labels, said, Path(STATE) / f"{name}-{split}.jsonl")
    counts = f"{len(scores) - len(said)} failed"
    if c := count(labels, said):
        right = f"{c.true_positives} tp, {c.false_negatives} fn"
        counts = f"{right}, {c.true_negatives} tn, {c.false_positives} fp, {counts}"
    click.echo(f"{STATE}/{name}-{split}.jsonl: {written} verdicts; {counts}")
    if errors := [score.error for score in scores.values() if score.error]:
        click.echo(f"without a verdict: {len(errors)}; the first: {errors[0]}", err=True)


def _progress(done: int, total: int) -> None:
    click.echo(f"\r{done} of {total}", nl=done == total, err=True)


if __name__ == "__main__":
    main()
