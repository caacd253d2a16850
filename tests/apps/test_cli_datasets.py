"""``agentops dataset``: list, diff, add, retire and publish on a project of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentops_ref import build, load_config
from agentops_ref.apps.cli import cli
from agentops_ref.apps.cli.common import run
from agentops_ref.evals import load_cases
from agentops_ref.tracing import MlflowTracer

Agentops = Callable[..., tuple[int, str, str]]

CASES = """# The set of the test.
cases:
  - id: flare   # asked on site
    slice: value
    question: How tight is the flare nut of an NL-8?
    facts: ["18 Nm"]
    sources: [bulletins/SB-2024-014.md]
  - id: fuse
    slice: value
    split: test
    question: Which fuse does the electrician put in front of it?
    facts: ["20 A"]
    sources: [manual.md]
  - id: silent
    slice: unanswerable
    question: What does fault U4 mean?
    abstain: true
"""
MORE = """cases:
  - {id: noise, slice: value, question: "How loud is the NL-6?", facts: ["52 dB(A)"],
     sources: [manual.md]}
"""


OTHER = """cases:
  - {id: o1, slice: value, question: "What may the hot water of a BR-50 cost?", facts: ["1 EUR"],
     sources: [manual.md]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("config", "docs/bulletins"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\n"
        "paths: {state: state, cache: cache}\n"
        "etl: {source: {kind: folder, root: docs}}\n"
        "evals: {cases: desk.yaml, datasets: {files: [desk.yaml, other.yaml]}}\n"
    )
    (tmp_path / "desk.yaml").write_text(CASES)
    (tmp_path / "other.yaml").write_text(OTHER)
    (tmp_path / "docs" / "manual.md").write_text("# Manual\n\nThe fuse has 20 A.\n")
    (tmp_path / "docs" / "bulletins" / "SB-2024-014.md").write_text(
        "# Bulletin SB-2024-014\n\nTighten the flare nut of the NL-8 to 18 Nm.\n"
    )
    return tmp_path


@pytest.fixture
def agentops(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Agentops:
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["agentops", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(cli)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


def told(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_the_listing_says_what_is_in_a_dataset(agentops: Agentops) -> None:
    desk, other = told(agentops("dataset", "list", "--json"))
    assert (desk["name"], desk["cases"], desk["retired"]) == ("desk", 3, 0)
    assert desk["slices"] == {"value": 2, "unanswerable": 1}
    assert desk["splits"] == {"dev": 2, "test": 1}
    assert desk["mlflow"] is None
    assert desk["stale"] is None  # there is no index yet
    assert other["cases"] == 1
    code, out, _ = agentops("dataset", "list")
    assert code == 0
    assert "not published: agentops dataset publish" in out
    assert "unknown: no older index version" in out


def test_published_once_and_found_again(agentops: Agentops) -> None:
    kept = told(agentops("dataset", "publish", "--json"))
    assert told(agentops("dataset", "publish", "desk", "--json")) == kept
    (desk, _) = told(agentops("dataset", "list", "--json"))
    assert desk["mlflow"] == kept["id"]
    told(agentops("dataset", "retire", "silent", "--why", "answered now", "--json"))
    (desk, _) = told(agentops("dataset", "list", "--json"))
    assert desk["mlflow"] is None  # what is published is an older version
    assert desk["published"][0]["id"] == kept["id"]
    found = told(agentops("dataset", "diff", kept["id"], "--json"))
    assert [case["id"] for case in found["retired"]] == ["silent"]


def test_add_a_file_twice(agentops: Agentops, project: Path) -> None:
    (project / "more.yaml").write_text(MORE)
    first = told(agentops("dataset", "add", "--file", "more.yaml", "--split", "test", "--json"))
    assert [case["id"] for case in first["added"]] == ["noise"]
    text = (project / "desk.yaml").read_text()
    assert text.startswith(CASES.rstrip())
    again = told(agentops("dataset", "add", "--file", "more.yaml", "--split", "test", "--json"))
    assert (again["added"], again["unchanged"]) == ([], 1)
    assert again["digest"] == first["digest"]
    assert (project / "desk.yaml").read_text() == text
    code, _, err = agentops("dataset", "add", "--file", "more.yaml")  # now with another split
    assert code == 2
    assert "the id 'noise' is used for another case" in err


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        (  # a near duplicate of `flare`, which is in dev
            '{id: x, slice: s, question: "The flare nut of an NL-8, how tight is it?", facts: [f],'
            " sources: [d]}",
            ["--split", "test"],
            "'flare' and 'x' ask nearly the same",
        ),
        (  # and of a case of the other dataset
            '{id: x, slice: s, question: "What may the hot water of a BR-70 cost", abstain: true}',
            ["--split", "test"],
            "'o1' and 'x'",
        ),
        (
            '{id: x, slice: s, question: "Is it blue?", abstain: true}',
            ["--origin", "synthetic"],
            "origin 'synthetic' needs an 'origin_note': who validated it",
        ),
        ('{id: x, slice: s, question: "Is it blue?"}', [], "case 'x': can be answered"),
    ],
)
def test_what_is_not_added(
    agentops: Agentops, project: Path, row: str, options: list[str], message: str
) -> None:
    (project / "more.yaml").write_text(f"cases:\n  - {row}\n")
    code, _, err = agentops("dataset", "add", "--file", "more.yaml", *options)
    assert code == 2
    assert message in err
    assert (project / "desk.yaml").read_text() == CASES


def test_a_validated_synthetic_case_is_added(agentops: Agentops, project: Path) -> None:
    (project / "more.yaml").write_text(MORE)
    note = "A. N. read it in manual.md"
    options = ["--file", "more.yaml", "--origin", "synthetic", "--origin-note", note]
    told(agentops("dataset", "add", *options, "--json"))
    (_, _, _, added) = load_cases(project / "desk.yaml")
    assert (added.origin, added.origin_note) == ("synthetic", note)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --file or --trace"),
        (["--file", "a", "--trace", "b"], "give either --file or --trace"),
        (["--file", "a", "--fact", "x"], "the options are for --trace"),
        (["--trace", "b", "--slice", "s"], "--trace needs --id and --slice"),
        (["--file", "none.yaml"], "evaluation cases not found: none.yaml"),
        (["--file", "other.yaml", "--dataset", "dsk"], "no dataset 'dsk'; did you mean 'desk'"),
    ],
)
def test_a_wrong_call(agentops: Agentops, options: list[str], message: str) -> None:
    code, _, err = agentops("dataset", "add", *options)
    assert code == 2
    assert message in err


@pytest.fixture
def trace_id(project: Path) -> str:
    with warnings.catch_warnings():  # of MLflow's own types, when the first span imports them
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401
    tracer = MlflowTracer(f"sqlite:///{project}/state/mlflow.db", "fjordvarm")
    with tracer.span("chain", "AGENT", {"question": "How loud is an NL-6?"}) as span:
        with tracer.span("cite", "PARSER", {}) as cited:
            cited.outputs([["manual.md", None, "52 dB(A)"]])
        span.outputs({"answer": "It has 52 dB(A).", "abstained": False})
    return str(span.trace_id)


def test_add_from_a_trace(agentops: Agentops, project: Path, trace_id: str) -> None:
    options = ["--trace", trace_id, "--id", "noise", "--slice", "value"]
    told(agentops("dataset", "add", *options, "--fact", "52 dB(A)", "--source", "manual.md",
                  "--json"))  # fmt: skip
    (_, _, _, added) = load_cases(project / "desk.yaml")
    assert added.question == "How loud is an NL-6?"
    assert (added.facts, added.sources) == (("52 dB(A)",), ("manual.md",))
    assert (added.origin, added.origin_note) == ("trace", trace_id)


def test_a_trace_without_expectations_is_refused_and_drafted(
    agentops: Agentops, project: Path, trace_id: str
) -> None:
    options = ["--trace", trace_id, "--id", "noise", "--slice", "value"]
    code, _, err = agentops("dataset", "add", *options)
    assert code == 2
    assert "it needs 'facts'" in err
    told(agentops("dataset", "add", *options, "--draft", "draft.yaml", "--json"))
    draft = project / "draft.yaml"
    assert "#   It has 52 dB(A).\n# and cited: manual.md" in draft.read_text()
    code, _, err = agentops("dataset", "add", "--file", "draft.yaml")
    assert code == 2  # nobody has finished it
    assert (project / "desk.yaml").read_text() == CASES
    code, _, err = agentops("dataset", "add", *options, "--draft", "draft.yaml")
    assert code == 1
    assert "draft.yaml exists" in err
    finished = draft.read_text().replace("facts: []", 'facts: ["52 dB(A)"]')
    draft.write_text(finished.replace("sources: []", "sources: [manual.md]"))
    told(agentops("dataset", "add", "--file", "draft.yaml", "--json"))


def test_a_trace_that_is_not_there(agentops: Agentops) -> None:
    options = ["--trace", "tr-none", "--id", "x", "--slice", "s", "--abstain"]
    code, _, err = agentops("dataset", "add", *options)
    assert code == 1
    assert "no trace 'tr-none' in sqlite" in err


def test_retire(agentops: Agentops, project: Path) -> None:
    answer = told(agentops("dataset", "retire", "flare", "--why", "the nut is gone", "--json"))
    assert answer["retired"].endswith(": the nut is gone")
    assert answer["cases"] == 2
    assert "  - id: flare   # asked on site\n    retired: " in (project / "desk.yaml").read_text()
    app = build(load_config(project / "config"))
    assert [case.id for case in app.cases()] == ["fuse", "silent"]
    code, _, err = agentops("dataset", "retire", "flare", "--why", "again")
    assert code == 2
    assert "is retired already" in err
    code, _, err = agentops("dataset", "retire", "fluse", "--why", "x")
    assert code == 2
    assert "did you mean" in err


def test_diff_with_git(agentops: Agentops, project: Path) -> None:
    def git(*arguments: str) -> None:
        own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *own, *arguments], cwd=project, check=True, capture_output=True)

    git("init", "-q")
    git("add", "desk.yaml")
    git("commit", "-qm", "first")
    _, out, _ = agentops("dataset", "diff", "HEAD:desk.yaml")
    assert "no difference" in out
    (project / "desk.yaml").write_text(CASES.replace("18 Nm", "20 Nm"))
    code, out, _ = agentops("dataset", "diff", "HEAD:desk.yaml")
    assert code == 0
    assert "facts: [18 Nm] -> [20 Nm]" in out
    found = told(agentops("dataset", "diff", "HEAD:desk.yaml", "desk", "--json"))
    assert found["changes"] == [
        {"case": "flare", "field": "facts", "before": ["18 Nm"], "after": ["20 Nm"]}
    ]
    code, _, err = agentops("dataset", "diff", "HEAD:none.yaml")
    assert code == 1
    assert "cannot read 'HEAD:none.yaml' from git" in err


def test_stale_cases_after_a_sync(agentops: Agentops, project: Path) -> None:
    app = build(load_config(project / "config"))
    app.sync()
    code, _, err = agentops("dataset", "list", "--stale")
    assert code == 1
    assert "it has no older version" in err
    first = app.sink.snapshot().version
    (project / "docs" / "bulletins" / "SB-2025-003.md").write_text(
        "# Bulletin SB-2025-003\n\nThis bulletin supersedes SB-2024-014. Tighten it to 20 Nm.\n"
    )
    (project / "docs" / "manual.md").write_text("# Manual\n\nThe fuse has 25 A.\n")
    app.sync()
    (desk, _) = told(agentops("dataset", "list", "--json"))
    assert {(one["case"], one["why"]) for one in desk["stale"]} == {
        ("flare", "superseded"), ("fuse", "changed"),
    }  # fmt: skip
    code, out, _ = agentops("dataset", "list", "--stale", "--against", str(first))
    assert code == 0
    assert "2 cases; see --stale" in out
    assert "bulletins/SB-2025-003.md" in out
    code, _, err = agentops("dataset", "list", "--against", "99")
    assert code == 1
    assert "99" in err
    (none, _) = told(agentops("dataset", "list", "--corpus-version", "2", "--json"))
    assert none["stale"] == []
