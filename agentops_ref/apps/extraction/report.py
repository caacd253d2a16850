"""One measurement over the corpus, as numbers, a table and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentops_ref.apps.extraction.comparison import ALL, Quality, Wrong, compare, unprinted
from agentops_ref.apps.extraction.truth import VERSIONS, Item, look
from agentops_ref.wiring import App


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measurement found."""

    documents: int
    """Distinct contents."""
    qualities: tuple[Quality, ...]
    wrong: tuple[Wrong, ...]
    invented: Mapping[str, int]
    """"type, way" → values that were rejected because they do not stand in their source."""
    unfit: Mapping[str, int]
    unprinted: tuple[Item, ...]
    """Values of records that passed, and that the generator did not print in that document."""
    incomplete: Mapping[str, str]
    failed: Mapping[str, str]
    work: Mapping[str, int]


def measure(
    app: App,
    *,
    versions: Sequence[int] = VERSIONS,
    progress: Callable[[str, int, int], None] | None = None,
) -> Measured:
    """Extract from every document of these corpus versions and compare with the truth.

    Raises
    ------
    FileNotFoundError
        The corpus was not built.
    """
    extractor = app.extractor
    before = Counter(extractor.work)
    looked = list(look(app, versions=versions, progress=progress))
    qualities, wrong = compare(looked, extractor.schema)
    faults: dict[str, Counter[str]] = {"invented": Counter(), "unfit": Counter()}
    for one in looked:
        for no in one.found.rejected:
            faults[no.fault][f"{no.type}, {no.method}"] += 1
    return Measured(
        len(looked),
        tuple(qualities),
        tuple(wrong),
        faults["invented"],
        faults["unfit"],
        tuple(item for one in looked for item in unprinted(one, extractor.schema)),
        {one.document: one.found.incomplete for one in looked if one.found.incomplete},
        {one.document: one.found.failed for one in looked if one.found.failed},
        Counter(extractor.work) - before,
    )


def table(found: Measured, *, ways: Sequence[str] = (ALL,)) -> list[dict[str, Any]]:
    """Return one row a field, for a data frame or a terminal; intervals are at 95 %."""
    return [
        {
            "type": one.type,
            "field": one.field,
            "way": one.way,
            "medium": one.medium,
            "right": one.right,
            "found": one.found,
            "printed": one.wanted,
            "precision": one.precision,
            "precision low": one.precision_interval().low if one.found else None,
            "recall": one.recall,
            "recall low": one.recall_interval().low if one.wanted else None,
        }
        for one in found.qualities
        if one.way in ways
    ]


def lines(found: Measured) -> Iterator[str]:
    """Yield the table in at most 80 columns, and what there is to say besides."""
    yield f"{'record type, field':34}{'way':8}{'medium':8}{'right':>6}{'prec.':>8}{'recall':>8}"
    for one in sorted(found.qualities, key=lambda q: (q.type, q.way != ALL, q.way, q.medium)):
        shares = [one.precision, one.recall]
        told = "".join("       -" if share is None else f"{share:8.3f}" for share in shares)
        yield f"{f'{one.type}.{one.field}':34}{one.way:8}{one.medium:8}{one.right:6}{told}"
    yield f"{found.documents} contents; accepted and not printed: {len(found.unprinted)}"
    for name, counted in (("invented", found.invented), ("unfit", found.unfit)):
        told = "; ".join(f"{what}: {n}" for what, n in counted.items()) or "none"
        yield f"rejected as {name}: {told}"
    for what, problems in (("incomplete", found.incomplete), ("failed", found.failed)):
        if problems:
            document, reason = next(iter(problems.items()))
            yield f"{what}: {len(problems)} documents, the first {document}: {reason[:200]}"
