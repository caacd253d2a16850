"""What the benchmarks' files say: a ratio of medians, its interval, and what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks._report import ratio, write


def test_a_ratio_is_of_medians_with_an_interval_around_it() -> None:
    middle, low, high = ratio([1.0, 2.0, 9.0, 2.0, 2.0], [4.0, 4.0, 4.0, 8.0, 1.0])
    assert middle == 2.0 / 4.0
    assert low <= middle <= high
    assert low < high
    assert ratio([3.0], [6.0]) == (0.5, 0.5, 0.5), "one pair tells nothing of its spread"


def test_a_file_names_the_unit_and_whether_the_target_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--out", str(tmp_path)])
    write("memory", "itself", [3.0, 3.0], [2.0, 2.0], what="a sync", target=1.4, unit="MiB")
    noted = json.loads((tmp_path / "memory.json").read_text())
    assert (noted["MiB_ours"], noted["MiB_theirs"], noted["ratio"]) == (3.0, 2.0, 1.5)
    assert "seconds_ours" not in noted
    assert "MISSED" in capsys.readouterr().out
    write("times", "other", [1.0], [2.0], what="a sync", target=0.5)
    assert json.loads((tmp_path / "times.json").read_text())["seconds_theirs"] == 2.0
    assert "0.5: met" in capsys.readouterr().out
