"""Files of labels, and the memory of which judge has used the test rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.config import load_config
from agentops_ref.errors import ConfigError, ModelError, OperatorError
from agentops_ref.evals.calibration.labels import load_labels, load_verdicts
from agentops_ref.evals.calibration.report import agreement_table, estimates_table, notes
from agentops_ref.evals.calibration.uses import load_uses, uses_file
from agentops_ref.evals.judge import Judge
from agentops_ref.wiring import App, build


def rows() -> list[dict[str, Any]]:
    """Forty rows, half of them test: of each split 16 good, 14 so called, 4 bad, 3 so called."""
    made = []
    for split in ("dev", "test"):
        for i in range(20):
            label = int(i < 16)
            judge = 1 - label if i in (0, 1, 19) else label
            made.append({"id": f"{split}{i}", "label": label, "judge": judge, "split": split})
    return made


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def app(tmp_path: Path) -> App:
    return build(load_config(overrides={"paths.state": str(tmp_path / "state")}))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write(tmp_path / "labels.jsonl", rows())


def flipped(item: str) -> list[dict[str, Any]]:
    """Another judge: it differs on one item."""
    return [{**r, "judge": 1 - r["judge"]} if r["id"] == item else r for r in rows()]


def test_the_test_split_gives_tpr_and_tnr_and_is_remembered(app: App, labels: Path) -> None:
    first = app.calibrate(labels)
    assert (first.test.agreement.tpr.rate, first.test.agreement.tnr.rate) == (14 / 16, 3 / 4)
    assert not first.remembered
    second = app.calibrate(labels)
    assert second.remembered
    assert second.test == first.test
    assert second.use == first.use
    assert len(load_uses(uses_file(labels))) == 1
    assert any("used on" in note for note in notes(second))


def test_another_judge_is_refused_unless_it_is_said_and_then_marked(app: App, labels: Path) -> None:
    app.calibrate(labels)
    write(labels, flipped("test5"))
    with pytest.raises(OperatorError, match=r"20 of the 20 test rows.*--again"):
        app.calibrate(labels)
    assert len(load_uses(uses_file(labels))) == 1
    found = app.calibrate(labels, again=True)
    assert found.use.others == 1
    assert any("may be too good" in note for note in notes(found))
    assert load_uses(uses_file(labels))[-1].others == 1
    assert app.calibrate(labels).use.others == 1, "the mark stays"


def test_another_row_does_not_make_the_test_rows_new(app: App, labels: Path) -> None:
    app.calibrate(labels)
    more = {"id": "new", "label": 1, "judge": 1, "split": "test"}
    write(labels, [*flipped("test5"), more])
    with pytest.raises(OperatorError, match="20 of the 21"):
        app.calibrate(labels)


def test_a_refused_call_uses_nothing(app: App, labels: Path, tmp_path: Path) -> None:
    judged = write(tmp_path / "judged.jsonl", [{"id": "a", "judge": 2}])
    with pytest.raises(ConfigError, match=r"judged.jsonl, line 1: 'judge' must be 0 or 1, got 2"):
        app.calibrate(labels, judged=judged)
    known = write(tmp_path / "known.jsonl", [{"id": "dev1", "judge": 1}])
    with pytest.raises(ConfigError, match="nothing to correct"):
        app.calibrate(labels, judged=known)
    other = write(tmp_path / "frozen.jsonl", [{"id": "none", "judge": 1}])
    with pytest.raises(ConfigError, match="freeze the same items"):
        app.calibrate(labels, frozen=other)
    assert not uses_file(labels).exists()


def test_a_spoilt_memory_is_not_skipped(app: App, labels: Path) -> None:
    app.calibrate(labels)
    uses_file(labels).write_text('{"judge": "x"}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="restore it"):
        app.calibrate(labels)


def test_a_judge_is_asked_where_a_row_has_no_verdict(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real `Judge`, with a model that reads the answer off what it is shown."""

    def named(name: str) -> Judge:
        def ask(values: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, str]:
            if "unreadable" in values["answer"] and name == "mine":
                raise ModelError("no JSON")
            return {"verdict": "yes" if values["answer"] in values["excerpts"] else "no"}

        return Judge(name, criterion="?", ask=ask, recipe=name, reason="none", chars=900)

    monkeypatch.setattr(app, "judge", named)
    bare = [{k: v for k, v in row.items() if k != "judge"} for row in rows()]
    for row in bare:
        shown = {"question": "q?", "answer": "17 bar", "excerpts": ["it is 17 bar"]}
        row.update(shown if row["label"] else {**shown, "excerpts": [{"text": "12 bar"}]})
    bare[20]["answer"] = "unreadable"
    labels = write(tmp_path / "bare.jsonl", bare)
    with pytest.raises(ConfigError, match="20 of 20 labelled rows"):
        app.calibrate(labels)
    assert not uses_file(labels).exists()
    found = app.calibrate(labels, judge="mine")
    assert found.test.unjudged == 1
    assert (found.test.agreement.tpr.rate, found.test.agreement.tnr.rate) == (1, 1)
    assert app.calibrate(labels, judge="mine").remembered
    with pytest.raises(OperatorError, match="another judge"):
        app.calibrate(labels, judge="other")
    incomplete = write(tmp_path / "few.jsonl", [{"id": "a", "label": 1, "split": "test"}])
    with pytest.raises(ConfigError, match=r"'a' has no verdict.*'excerpts', a list"):
        app.calibrate(incomplete, judge="mine")


def test_judged_and_frozen_items(app: App, labels: Path, tmp_path: Path) -> None:
    items = [{"id": f"j{i}", "judge": int(i < 70)} for i in range(100)]
    judged = write(tmp_path / "judged.jsonl", [*items, {"id": "dev1", "judge": 1}])
    frozen = write(
        tmp_path / "frozen.jsonl", [{"id": r["id"], "judge": r["judge"]} for r in flipped("dev3")]
    )
    found = app.calibrate(labels, judged=judged, frozen=frozen)
    assert found.corrected is not None
    assert (found.corrected.n, found.corrected.positive, found.corrected.labelled) == (100, 70, 1)
    assert found.corrected.headline == "rogan-gladen"
    by_name = {one.method: one for one in found.corrected.estimates}
    assert by_name["rogan-gladen"].rate == pytest.approx((0.7 - 0.25) / (0.875 - 0.25))
    assert found.drift is not None
    assert (found.drift.n, found.drift.gained + found.drift.lost) == (40, 1)
    again = app.calibrate(labels, judged=judged, same_population=True)
    assert again.corrected is not None
    assert again.corrected.headline == "combined"
    shown = json.loads(json.dumps(found.to_dict()))
    assert shown["test"]["agreement"]["tpr"]["rate"] == 14 / 16
    assert shown["drift"]["n"] == 40


def test_tables_fit_80_columns(app: App, labels: Path, tmp_path: Path) -> None:
    from rich.console import Console

    items = [{"id": f"j{i}", "judge": int(i < 70)} for i in range(100)]
    found = app.calibrate(labels, judged=write(tmp_path / "judged.jsonl", items))
    assert found.corrected is not None
    out = Console(width=80, record=True)
    out.print(agreement_table(found), estimates_table(found.corrected))
    text = out.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "88% (64–97%)" in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: expected one JSON object a line, got [1]"),
        ('{"label": 1, "split": "dev"}', "'id' is missing"),
        ('{"id": "a", "label": true, "split": "dev"}', "'label' must be 0 or 1, got True"),
        ('{"id": "a", "label": 1, "split": "train"}', '"dev" or "test", got \'train\''),
        ('{"id": "a", "label": 1, "split": "dev", "judge": "1"}', "'judge' must be 0 or 1"),
        ('{"id": "a", "label": 1, "split": "dev", "reason": 3}', "'reason' must be a text"),
        ('{"id": "a", "label": 1, "split": "dev", "labeller": 3}', "'labeller' must be a text"),
        ("", "no rows"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_labels(path)
    assert said in str(caught.value)
    assert "labels.jsonl" in str(caught.value)


def test_ids_are_used_once_and_files_exist(tmp_path: Path, app: App) -> None:
    twice = write(tmp_path / "twice.jsonl", [rows()[0], rows()[0]])
    with pytest.raises(ConfigError, match="'dev0' is used twice"):
        load_labels(twice)
    with pytest.raises(ConfigError, match="line 2: the id 'a' is used twice"):
        load_verdicts(write(tmp_path / "v.jsonl", [{"id": "a", "judge": 1}] * 2))
    with pytest.raises(ConfigError, match="not found"):
        load_labels(tmp_path / "none.jsonl")
    only_dev = write(tmp_path / "dev.jsonl", rows()[:20])
    with pytest.raises(ConfigError, match="nothing can be calibrated"):
        app.calibrate(only_dev)
