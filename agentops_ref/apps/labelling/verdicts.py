"""What scorers say of the labelled items: a judge's verdicts, and those of `correct`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from agentops_ref.apps.labelling.items import AGENT_CASES, COMPANY_CASES, Item, as_scored
from agentops_ref.apps.labelling.labels import Label
from agentops_ref.evals import Scorer, load_cases
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


def confusion(labels: Iterable[Label], scores: Mapping[str, Score]) -> dict[str, int]:
    """Count labels against verdicts: tp, fn, tn, fp, and failed where there is no verdict.

    A label without a score is left out. A positive is a label of 1; a score of 1 agrees with it,
    any lower one does not.
    """
    counts = dict.fromkeys(("tp", "fn", "tn", "fp", "failed"), 0)
    for label in labels:
        score = scores.get(label.id)
        if score is None:
            continue
        if score.value is None:
            counts["failed"] += 1
        elif score.value >= 1:
            counts["tp" if label.label else "fp"] += 1
        else:
            counts["fn" if label.label else "tn"] += 1
    return counts


def write_judged(labels: Iterable[Label], scores: Mapping[str, Score], file: Path) -> int:
    """Write labels with verdicts, a line each, as `agentops judge calibrate` reads them.

    Items without a verdict are left out; returns how many were written.
    """
    rows = [
        {"id": label.id, "label": label.label, "judge": int(value >= 1), "split": label.split}
        for label in labels
        if (score := scores.get(label.id)) and (value := score.value) is not None
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return len(rows)
