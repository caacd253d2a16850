"""What was measured and published is whole, and is of the code that is here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agentops_ref.apps.chunking import WAYS
from agentops_ref.apps.measured import (
    OURS,
    RESULTS,
    Ratio,
    chunking,
    faults,
    gate_errors,
    gate_table,
    number,
    parsers,
    ratios,
    table,
)
from agentops_ref.errors import OperatorError
from tests.etl.test_crash import WRITE_POINTS, points


def test_every_published_ratio_is_one_of_a_benchmark_that_is_here(repo_root: Path) -> None:
    programs = {
        path.stem for path in (repo_root / "benchmarks").glob("*.py") if path.stem[0] != "_"
    }
    for one in ratios(repo_root / RESULTS):
        assert any(one.name.startswith(program) for program in programs), one.name
        assert one.low <= one.ratio <= one.high
        assert one.n >= 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", one.measured)


def test_the_published_crash_matrix_has_each_write_point_that_the_sinks_have(
    repo_root: Path,
) -> None:
    rows = faults(repo_root / RESULTS)
    shown = {
        (row["sink"], row["killed at"], row["sync"] == "first")
        for row in rows
        if "instants" not in row["killed at"]
    }
    assert shown == {(kind, at, first) for kind in WRITE_POINTS for at, first in points(kind)}
    assert sum(row["killed at"] == "200 random instants" for row in rows) == len(WRITE_POINTS)
    assert all(row["holds"] for row in rows)


def test_a_measurement_is_read_and_shown(tmp_path: Path) -> None:
    noted = {"name": "a_b", "what": "w", "against": "them", "ratio": 0.123, "low": 0.1,
             "high": 0.2, "n": 5, "target": 0.15, "machine": "m", "measured": "2026-01-01",
             "more": 1}  # fmt: skip
    (tmp_path / "a_b.json").write_text(json.dumps(noted))
    (one,) = ratios(tmp_path, "a_")
    assert isinstance(one, Ratio)
    assert (one.facts, one.verdict) == ({"more": 1}, "missed")
    assert table([one]).iloc[0].tolist() == ["w", "them", "0.12 (0.1 to 0.2)", "0.15 or less",
                                             "missed"]  # fmt: skip
    assert [number(v) for v in (0.0123, 2.53, 31.4)] == ["0.012", "2.5", "31"]


def test_parsers_are_shown_with_the_same_figures_ours_first(repo_root: Path) -> None:
    found = parsers(repo_root / RESULTS)
    assert next(iter(found)) == OURS
    assert {name.split()[0] for name in found} >= {"unstructured", "pypdf", "pdfplumber"}
    noted = [json.loads(p.read_text()) for p in (repo_root / RESULTS).glob("parse_pdf_*.json")]
    assert all(one["figures_ours"] == found[OURS] for one in noted), "figures of several runs"
    for figures in found.values():
        assert {"born_digital", "scanned", "seconds_a_page"} <= set(figures)
        assert (
            figures["born_digital"]["text_recall"]["of"]
            == (found[OURS]["born_digital"]["text_recall"]["of"])
        )


def test_each_way_of_chunking_was_measured_on_the_same_cases(repo_root: Path) -> None:
    ways = chunking(repo_root / RESULTS)["ways"]
    assert list(ways) == list(WAYS)
    first, *others = ways.values()
    for one in others:
        cases = [{name: s["cases"] for name, s in w["slices"].items()} for w in (first, one)]
        assert cases[0] == cases[1]
        difference = one["mrr_difference"]
        assert difference["low"] <= difference["mean"] <= difference["high"]
        by_hand = one["slices"]["all"]["mrr"] - first["slices"]["all"]["mrr"]
        assert difference["mean"] == pytest.approx(by_hand, abs=1e-4)


def test_what_was_not_measured_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="make bench PUBLISH=1"):
        ratios(tmp_path, "x")
    with pytest.raises(OperatorError, match="make faults PUBLISH=1"):
        faults(tmp_path)
    with pytest.raises(OperatorError, match="no measurement of parsers"):
        parsers(tmp_path)
    with pytest.raises(OperatorError, match="no measurement of chunking"):
        chunking(tmp_path)


def test_the_errors_of_gates_are_a_row_for_each_kind_of_release(repo_root: Path) -> None:
    noted = gate_errors(repo_root / RESULTS)
    found = gate_table(noted)
    kinds = {(c["rule"], c["n"], c["discordance"]) for c in noted["cells"]}
    assert len(found) == len(kinds)
    row = found[(found.rule == "no_worse_than") & (found.cases == "30") & (found.differ == "10%")]
    (cell,) = (
        c
        for c in noted["cells"]
        if (c["gate"], c["truth"]) == ("means", "as good")
        and (c["rule"], c["n"], c["discordance"]) == ("no_worse_than", 30, 0.1)
    )
    assert row["failed, means"].item() == f"{cell['failed']:.1%}"
    assert set(found[found.rule == "at_least"]["passed, bootstrap"]) == {""}, "not simulated"
