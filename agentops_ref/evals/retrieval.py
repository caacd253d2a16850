"""Retrieval measured without a model: is the right document, and the right passage, among the hits?

Taught in chapter 8 and used in chapter 3 to choose the weights of hybrid search. Costs one search
per case, so many settings can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from agentops_ref.evals.matching import states
from agentops_ref.evals.statistics import (
    Difference,
    Interval,
    paired_bootstrap,
    proportion_interval,
)
from agentops_ref.records import Case, Hit

if TYPE_CHECKING:
    import numpy as np

Search = Callable[[str], Sequence[Hit]]


class Ranks(NamedTuple):
    """Where a case's answer stands in the results; 1-based, None when it is not among them."""

    case: Case
    document: int | None
    """First hit from one of the case's sources."""
    passage: int | None
    """First hit from a source whose text also states one of the case's facts."""


class RetrievalRow(NamedTuple):
    """The figures of one slice under one setting."""

    name: str
    slice: str
    """"all" for the whole set."""
    n: int
    document_hit: float
    """Share of cases with a source among the first k, 0..1."""
    passage_hit: float
    """Share of cases with the fact itself among the first k, 0..1; what the model can use."""
    interval: Interval
    """95 % interval of ``passage_hit``."""
    mrr: float
    """Mean reciprocal rank of the passage, 0 where it is not among the results."""


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """The ranks of every case under one setting."""

    name: str
    ranks: tuple[Ranks, ...]

    def row(self, k: int, *, slice: str = "all") -> RetrievalRow:
        """Figures of one slice at cut-off ``k``."""
        chosen = [r for r in self.ranks if slice == "all" or r.case.slice == slice]
        n = len(chosen)
        hits = sum(r.passage is not None and r.passage <= k for r in chosen)
        documents = sum(r.document is not None and r.document <= k for r in chosen)
        total = sum(reciprocal(r.passage) for r in chosen)
        return RetrievalRow(
            self.name,
            slice,
            n,
            documents / n if n else 0.0,
            hits / n if n else 0.0,
            proportion_interval(hits, n),
            total / n if n else 0.0,
        )

    def rows(self, k: int) -> list[RetrievalRow]:
        """The whole set, then each slice by name."""
        slices = sorted({r.case.slice for r in self.ranks})
        return [self.row(k), *(self.row(k, slice=name) for name in slices)]

    def missed(self, k: int) -> list[Ranks]:
        """The cases whose passage is not among the first ``k``."""
        return [r for r in self.ranks if r.passage is None or r.passage > k]


def measure_retrieval(search: Search, cases: Sequence[Case], *, name: str = "") -> RetrievalResult:
    """Search for every case that has sources. Let ``search`` return more than k for a fair MRR."""
    ranks = []
    for case in cases:
        if not case.sources:
            continue
        document = passage = None
        for rank, hit in enumerate(search(case.question), start=1):
            if hit.chunk.document not in case.sources:
                continue
            document = document or rank
            if any(states(hit.chunk.text, fact, bare="always") for fact in case.facts):
                passage = rank
                break
        ranks.append(Ranks(case, document, passage))
    return RetrievalResult(name, tuple(ranks))


def compare_retrieval(
    searches: Mapping[str, Search], cases: Sequence[Case]
) -> dict[str, RetrievalResult]:
    """Measure each search on the same cases."""
    return {name: measure_retrieval(search, cases, name=name) for name, search in searches.items()}


def retrieval_difference(
    a: RetrievalResult, b: RetrievalResult, rng: np.random.Generator
) -> Difference:
    """Difference of mean reciprocal ranks (passage), ``b`` minus ``a``, with its interval."""
    return paired_bootstrap(
        [reciprocal(r.passage) for r in a.ranks], [reciprocal(r.passage) for r in b.ranks], rng
    )


def reciprocal(rank: int | None) -> float:
    """1/rank, 0 for None."""
    return 1 / rank if rank else 0.0
