"""What scorers say of the labelled items: a judge's verdicts, and those of `correct`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from agentops_ref.apps.labelling.items import AGENT_CASES, COMPANY_CASES, Item, as_scored
from agentops_ref.evals import Scorer, load_cases
from agentops_ref.evals.calibration.labels import Row
from agentops_ref.evals.scorers import apply
from agentops_ref.records import Case, Score
from agentops_ref.wiring import App

Told = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


def score_items(
    scorer: Scorer,
    items: Sequence[Item],
    *,
    cases: Mapping[str, Case] | None = None,
    progress: Told | None = None,
) -> dict[str, Score]:
    """Return item's id → score.

    Parameters
    ----------
    cases
        For a scorer that needs expectations: item's id → case, see `expected`. A judge needs none.
    """
    found = {}
    for done, item in enumerate(items, start=1):
        blank, answer = as_scored(item)
        case = blank if cases is None else cases[item.id]
        found[item.id] = apply(scorer, case, answer)
        if progress:
            progress(done, len(items))
    return found


def expected(app: App, items: Iterable[Item]) -> dict[str, Case]:
    """Return item's id → the case that says what a right answer holds.

    Of the documents that the answer was given from: those of version 2 for the index that has them.
    """
    sets = [load_cases(app.config.path(file)) for file in (AGENT_CASES, COMPANY_CASES)]
    by_id = {case.id: case for case in chain(app.cases(), *sets)}
    later = {case.question: case for case in app.cases(corpus_version=2)}
    return {
        item.id: later[item.question] if item.system == "new-index" else by_id[item.case]
        for item in items
    }


def verdicts(scores: Mapping[str, Score]) -> dict[str, int]:
    """Return item's id → verdict, 1 for a score of 1, else 0; failures are left out."""
    return {
        name: int(score.value >= 1) for name, score in scores.items() if score.value is not None
    }


def write_judged(labels: Iterable[Row], said: Mapping[str, int], file: Path) -> int:
    """Write labels with verdicts, a line each, as `agentops judge calibrate` reads them.

    Items without a verdict are left out; returns how many were written.
    """
    rows = [
        {"id": row.id, "label": row.label, "judge": said[row.id], "split": row.split}
        for row in labels
        if row.id in said
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return len(rows)
