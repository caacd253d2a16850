"""Ways of chunking compared: each has an index of its own, and the same cases are asked of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentops_ref.apps.chunking import STRUCTURE, WAYS, Compared, compare
from agentops_ref.config import load_config
from agentops_ref.errors import ConfigError
from agentops_ref.etl.splitter import chunker
from agentops_ref.evals.statistics import Difference
from agentops_ref.records import Case

ROWS = "\n".join(f"| Joint {n} of the frame | {20 + n} Nm |" for n in range(12))
DOCS = {
    "frame.md": f"# Frame\n\n## Torques\n\n| Connection | Torque |\n|---|---|\n{ROWS}\n",
    "filter.md": "# Filter\n\nClean the filter with warm water and dry it for 30 minutes.\n",
    "pump.md": "# Pump\n\nA pump that hums and does not turn has been standing for too long.\n",
}
CASES = [
    Case("a", "torque of joint 7 of the frame", ("27 Nm",), (), ("frame.md",), slice="table"),
    Case("b", "torque of joint 2 of the frame", ("22 Nm",), (), ("frame.md",), slice="table"),
    Case("c", "dry the filter with warm water", ("30 minutes",), (), ("filter.md",), slice="text"),
    Case("d", "who won", abstain=True, slice="unanswerable"),
]
# Cut every 25 characters, a joint is parted from its torque.
CRUMBS = {
    "splitter": "langchain_text_splitters:CharacterTextSplitter",
    "options": {"separator": " ", "chunk_size": 25, "chunk_overlap": 0},
}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "docs").mkdir()
    for name, text in DOCS.items():
        (tmp_path / "docs" / name).write_text(text)
    return {
        "models.mode": "scripted",
        "etl.source.root": str(tmp_path / "docs"),
        "paths.cache": str(tmp_path / "cache"),
        "paths.state": str(tmp_path / "state"),
        "retrieval.mode": "text",  # what these vectors find is chance
    }


def compared(ways: dict[str, dict[str, Any]], given: dict[str, Any]) -> dict[str, Compared]:
    return compare(ways, rng=np.random.default_rng(1), cases=CASES, overrides=given)


def test_each_way_is_asked_the_same_cases_of_its_own_index(given: dict[str, Any]) -> None:
    found = compared({STRUCTURE: {}, "crumbs": CRUMBS}, given)
    assert list(found) == [STRUCTURE, "crumbs"]
    ours, crumbs = found.values()
    assert ours.chunks < crumbs.chunks
    assert ours.result.name == STRUCTURE
    asked = [[r.case.id for r in one.result.ranks] for one in found.values()]
    assert asked == [["a", "b", "c"]] * 2, "a case without a source has no rank"
    assert ours.result.row(4).passage_hit == 1
    assert crumbs.result.row(4, slice="table").document_hit == 1
    assert not Path(given["paths.state"], "index").exists(), "the configured index is left alone"


def test_the_difference_is_of_this_way_minus_the_first(given: dict[str, Any]) -> None:
    ours, crumbs = compared({STRUCTURE: {}, "crumbs": CRUMBS}, given).values()
    assert ours.difference is None
    assert crumbs.difference is not None
    by_hand = crumbs.result.row(20).mrr - ours.result.row(20).mrr
    assert by_hand < 0
    assert crumbs.difference.mean == pytest.approx(by_hand)
    assert crumbs.difference.low <= crumbs.difference.mean <= crumbs.difference.high


def test_the_same_way_under_another_name_differs_by_nothing(given: dict[str, Any]) -> None:
    _, again = compared({"first": {}, "second": {}}, given).values()
    assert again.difference == Difference(0, 0, 0)


def test_an_option_that_a_splitter_does_not_have_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"etl\.chunk\.options"):
        compared({"wrong": {**CRUMBS, "options": {"sizes": 3}}}, given)


@pytest.mark.parametrize("name", WAYS)
def test_the_ways_that_are_compared_by_default_can_be_made(name: str) -> None:
    chosen = {f"etl.chunk.{key}": value for key, value in WAYS[name].items()}
    assert chunker(load_config(overrides=chosen).etl.chunk)
