"""A run that is not good enough, as people meet it: told once, kept, drawn, logged, printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentops_ref import load_config
from agentops_ref.apps.cli.main import cli
from agentops_ref.etl.quality import describe
from agentops_ref.etl.quality.plot import plot_quality
from agentops_ref.ops import notify
from agentops_ref.wiring import App, build
from tests.ops.test_notify import Hook, hook

__all__ = ["hook"]

BASE = (
    "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
    "etl:\n  source: {root: docs}\n  tables: {root: null}\n"
)
WORDS = "The pump stops when the flow sensor reports too little water, so look at the filter first."


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(BASE)
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n}.md").write_text(f"# Pump {n}\n\n{WORDS} See chapter {n}.\n\n" * 3)
    return folder


def app(**overrides: Any) -> App:
    return build(load_config(overrides=overrides))


def spoil(docs: Path) -> None:
    for path in docs.iterdir():
        path.write_text("x %%%% $$$$ !!!! ++++ y ==== %%%% (((( )))) $$$$\n\n" * 12)


def test_a_refused_run_is_posted_once_and_readers_keep_what_they_had(
    docs: Path, hook: Hook
) -> None:
    webhook = {"etl.notify.webhook": {"url": hook.url}}
    notify.sync(app(**webhook))
    assert hook.bodies == []
    spoil(docs)
    for _ in range(3):
        report = notify.sync(app(**webhook))
        assert "letters >= 0.5 for 80%" in report.refused
        assert report.index_version == 1
    ((body),) = hook.bodies
    assert body["refused"] == report.refused
    assert body["version"] == 1
    assert "Readers stay on the old version" in body["text"]
    assert "--accept-quality" in body["text"]
    assert app().search("flow sensor"), "it is still found"
    assert notify.sync(app(**webhook), accept_quality=True).index_version == 2


def test_a_question_over_an_index_that_was_refused_is_no_silence(docs: Path) -> None:
    from agentops_ref.errors import SyncRefused

    spoil(docs)
    with pytest.raises(SyncRefused, match="letters"):
        app().ensure_index()


def test_a_store_that_fails_fails_no_sync(docs: Path, caplog: pytest.LogCaptureFixture) -> None:
    (docs.parent / "state").mkdir()
    (docs.parent / "state" / "quality").write_text("in the way")
    assert app().sync().index_version == 1
    assert "cannot keep the quality report" in caplog.text


@pytest.mark.slow
def test_a_run_in_mlflow_has_numbers_report_and_plot(docs: Path) -> None:
    made = app(**{"etl.quality.mlflow": True})
    made.sync()
    spoil(docs)
    made.sync()
    mlflow = made.tracer.connect()
    runs = mlflow.search_runs(experiment_names=["fjordvarm"], output_format="list")
    assert [run.data.tags["refused"] for run in runs] == ["true", "false"]
    newest = runs[0]
    assert newest.data.tags["index_version"] == "1"
    assert newest.data.tags["source"] == str(docs)
    assert newest.data.metrics["letters"] < 0.1
    assert newest.data.metrics["expectations.fail"] >= 1
    client = mlflow.MlflowClient()
    assert {a.path for a in client.list_artifacts(newest.info.run_id)} == {
        "quality.json",
        "quality.png",
        "quality.txt",
    }
    assert "- fail: letters >= 0.5" in mlflow.artifacts.load_text(
        f"{newest.info.artifact_uri}/quality.txt"
    )


def test_the_plot_shows_each_expectation_and_has_a_text(docs: Path) -> None:
    made = app()
    made.sync()
    spoil(docs)
    made.sync()
    earlier = made.quality_reports()
    figure = plot_quality(earlier[-1], earlier)
    left, right = figure.axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert len(names) == len(earlier[-1].verdicts)
    assert "letters >= 0.5 for 80% (12)" in names
    assert figure.patch.get_alpha() == left.patch.get_alpha() == 0
    assert right.get_xlabel() == "last runs"
    text = describe(earlier[-1])
    for verdict in earlier[-1].verdicts:
        assert verdict.name in text


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["ingest", *arguments])
    return done.exit_code, done.output


def test_the_command_line(docs: Path) -> None:
    code, text = call("sync")
    assert code == 0
    assert "quality: " in text
    assert " failed" in text
    spoil(docs)
    code, text = call("sync")
    assert code == 1
    assert "letters >= 0.5" in " ".join(text.split())
    code, text = call("sync", "--json")
    assert code == 1
    failed = [v for v in json.loads(text)["quality"]["verdicts"] if v["state"] == "fail"]
    assert "letters" in {v["metric"] for v in failed}
    code, text = call("sync", "--accept-quality")
    assert code == 0
    code, text = call("quality", "--plot", "q.png")
    assert code == 1
    assert "fail" in text
    assert max(map(len, text.splitlines())) <= 80
    assert (docs.parent / "q.png").read_bytes().startswith(b"\x89PNG")
    code, text = call("quality", "--json")
    assert code == 1
    assert json.loads(text)["documents"] == 12
    assert json.loads(text)["mlflow_run"] is None


def test_mlflow_is_not_imported_unless_asked_for(docs: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys\nfrom agentops_ref import load_config\nfrom agentops_ref.wiring import build\n"
        "app = build(load_config())\nassert app.sync().quality.documents == 12\n"
        "app.quality()\nassert 'mlflow' not in sys.modules\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
