"""``agentops judge calibrate`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from agentops_ref.apps.cli.main import cli
from agentops_ref.errors import OperatorError


def labels(path: Path, *, odd: int) -> Path:
    """Forty rows; the judge is wrong on every ``odd``-th."""
    lines = [
        {
            "id": f"i{i}",
            "label": int(i % 5 > 0),
            "judge": int(i % 5 > 0) ^ (i % odd == 0),
            "split": "dev" if i < 20 else "test",
        }
        for i in range(40)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_calibrate_prints_a_table_or_json_and_refuses_a_second_judge(tmp_path: Path) -> None:
    file = labels(tmp_path / "labels.jsonl", odd=7)
    judged = tmp_path / "judged.jsonl"
    judged.write_text(
        "".join(f'{{"id": "j{i}", "judge": {int(i < 70)}}}\n' for i in range(100)), encoding="utf-8"
    )
    call = ["judge", "calibrate", "--labels", str(file), "--judged", str(judged)]
    shown = CliRunner().invoke(cli, call, env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    for word in ("TPR", "kappa", "rogan-gladen", "bootstrap-labels", "70 of 100 judged"):
        assert word in shown.output
    found = json.loads(CliRunner().invoke(cli, [*call, "--json"]).output)
    assert found["remembered"] is True
    assert len(found["corrected"]["estimates"]) == 8
    labels(file, odd=6)
    refused = CliRunner().invoke(cli, call)
    assert isinstance(refused.exception, OperatorError)
    assert "--again" in str(refused.exception)
    again = CliRunner().invoke(cli, [*call, "--again", "--json"])
    assert json.loads(again.output)["use"]["others"] == 1
