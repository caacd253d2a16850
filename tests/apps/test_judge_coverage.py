"""The published simulation says what is claimed of the methods."""

from __future__ import annotations

from agentops_ref.apps.measured import RESULTS, judge_coverage
from agentops_ref.evals.calibration import GRID, METHODS
from agentops_ref.evals.calibration.plots import describe_coverage

ROOT = __file__.rpartition("/tests/")[0]


def test_the_published_rows_hold_what_the_methods_are_recommended_for() -> None:
    rows = judge_coverage(f"{ROOT}/{RESULTS}")
    assert {(row.setting, row.method) for row in rows} == {(s, m) for s in GRID for m in METHODS}
    for method in ("combined", "rogan-gladen"):
        mine = [row for row in rows if row.method == method]
        assert min(row.n for row in mine) >= 2000
        assert all(row.coverage >= 0.94 for row in mine), method
        assert sum(row.coverage for row in mine) / len(mine) >= 0.945
    for method in ("bootstrap-labels", "bootstrap-both", "ppi++", "naive"):
        assert any(row.high < 0.94 for row in rows if row.method == method)
    ours, peer = (
        {row.setting: row for row in rows if row.method == name}
        for name in ("combined", "bootstrap-both")
    )
    fair = [ours[at].width / peer[at].width for at in GRID if peer[at].coverage >= 0.94]
    assert len(fair) > 50
    assert max(fair) < 1, "no wider than a bootstrap that covers, too"
    assert f"of {len(GRID)} points" in describe_coverage(rows)


def test_labels_by_class_are_for_one_method_only() -> None:
    rows = judge_coverage(f"{ROOT}/{RESULTS}", balanced=True)
    assert all(row.setting.balanced for row in rows)
    assert all(row.high >= 0.94 for row in rows if row.method == "rogan-gladen")
    assert min(row.coverage for row in rows if row.method == "combined") < 0.5
