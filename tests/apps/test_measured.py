"""What was measured and published is whole, and is of the code that is here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agentops_ref.apps.measured import RESULTS, Ratio, faults, number, ratios, table
from agentops_ref.errors import OperatorError
from tests.etl.faults import SINKS, steps


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
    assert shown == {(kind, at, first) for kind in SINKS for at, first in steps(kind)}
    assert sum(row["killed at"] == "200 random instants" for row in rows) == len(SINKS)
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


def test_what_was_not_measured_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="make bench PUBLISH=1"):
        ratios(tmp_path, "x")
    with pytest.raises(OperatorError, match="make faults PUBLISH=1"):
        faults(tmp_path)
