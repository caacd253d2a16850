"""Ranks, hit rates and MRR, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from agentops_ref.evals.report import retrieval_table
from agentops_ref.evals.retrieval import (
    compare_retrieval,
    measure_retrieval,
    retrieval_difference,
)
from agentops_ref.records import Case, Chunk, Hit

CASES = [
    Case("a", "one", ("42 Nm",), (), ("m.pdf",), slice="value"),
    Case("b", "two", ("18 Nm",), (), ("m.pdf", "n.pdf"), slice="value"),
    Case("c", "three", ("fan",), (), ("o.pdf",), slice="fault-code"),
    Case("d", "nothing", abstain=True, slice="unanswerable"),
]
CHUNKS = {
    "right": Hit(Chunk("1", "m.pdf", "v", 0, "Flare nut | 42 | Nm", ""), 1),
    "beside": Hit(Chunk("2", "m.pdf", "v", 1, "Use two spanners.", ""), 1),
    "other": Hit(Chunk("3", "x.pdf", "v", 0, "Flare nut | 42 | Nm", ""), 1),
    "second": Hit(Chunk("4", "n.pdf", "v", 0, "Tighten to 18 Nm", ""), 1),
}
FOUND = {"one": ["other", "beside", "right"], "two": ["second"], "three": ["other"]}


def search(question: str) -> list[Hit]:
    return [CHUNKS[name] for name in FOUND[question]]


def test_ranks() -> None:
    ranks = measure_retrieval(search, CASES).ranks
    assert [(r.case.id, r.document, r.passage) for r in ranks] == [
        ("a", 2, 3),
        ("b", 1, 1),
        ("c", None, None),
    ]


def test_rows() -> None:
    result = measure_retrieval(search, CASES, name="text")
    row = result.row(2)
    assert (row.n, row.document_hit, row.passage_hit) == (3, pytest.approx(2 / 3), 1 / 3)
    assert row.mrr == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert [r.slice for r in result.rows(2)] == ["all", "fault-code", "value"]
    assert result.row(3, slice="value").passage_hit == 1
    assert [r.case.id for r in result.missed(2)] == ["a", "c"]


def test_comparison() -> None:
    results = compare_retrieval({"text": search, "none": lambda question: []}, CASES)
    assert results["none"].row(4).mrr == 0
    difference = retrieval_difference(results["none"], results["text"], np.random.default_rng(1))
    assert difference.mean == pytest.approx(4 / 9)
    console = Console(width=80, record=True)
    console.print(retrieval_table(list(results.values()), 4, slices=True))
    assert max(map(len, console.export_text().splitlines())) <= 80
