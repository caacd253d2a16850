"""The wired ragas metric gives what its definition says."""

from __future__ import annotations

import pytest

from agentops_ref.evals.ragas_scorers import context_precision_by_id
from agentops_ref.records import Answer, Case, Chunk, Hit

CASE = Case("c", "q", ("x",), (), ("a.pdf", "b.pdf"), slice="value")


def shown(*documents: str) -> Answer:
    hits = tuple(Hit(Chunk(d, d, "v", 0, "text", ""), 1.0) for d in documents)
    return Answer("x", abstained=False, hits=hits)


def test_not_applicable_without_sources() -> None:
    assert context_precision_by_id(Case("u", "q", abstain=True), shown("a.pdf")).value is None
    assert context_precision_by_id(CASE, shown()).value == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_precision_counts_documents_once() -> None:
    answer = shown("a.pdf", "a.pdf", "x.pdf")
    assert context_precision_by_id(CASE, answer).value == pytest.approx(1 / 2)
