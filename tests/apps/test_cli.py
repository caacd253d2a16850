"""The command line on a small corpus with scripted models: what it prints, how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentops_ref.agents.memory import FactSource, fact_store, new_fact, open_database
from agentops_ref.models import VerifyReport
from agentops_ref.testing import HashEmbeddings
from agentops_ref.wiring import App
from tests.apps.conftest import Agentops


@pytest.fixture
def project(tmp_path: Path) -> Path:
    docs = tmp_path / "docs" / "notes"
    docs.mkdir(parents=True)
    torque = "# Torque\n\nThe flare nut of the NL-8 is tightened to 18 Nm.\n"
    (docs / "torque.md").write_text(torque)
    (docs / "filter.md").write_text("# Filter\n\nThe filter is cleaned every 3 months.\n")
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "parts.csv").write_text("part,price\nA1,10.5\nB2,7.0\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\n"
        "paths: {state: state, cache: cache}\n"
        "etl:\n  source: {root: docs}\n  tables: {root: tables}\n"
    )
    return tmp_path


@pytest.fixture
def agentops(project: Path, monkeypatch: pytest.MonkeyPatch, called: Agentops) -> Agentops:
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", "80")

    return called


def test_sync_creates_keeps_updates_and_deletes(agentops: Agentops, project: Path) -> None:
    code, out, _ = agentops("ingest", "sync", "--json")
    report = json.loads(out)
    assert code == 0
    assert len(report["created"]) == 2
    assert report["tables"]["parts"]["inserted"] == 2

    again = json.loads(agentops("ingest", "sync", "--json")[1])
    assert again["unchanged"] == 2
    assert again["version"] == report["version"]
    assert not any(again["work"].values())
    assert not any(again["tables"].values())

    (project / "docs/notes/torque.md").write_text("# Torque\n\nThe flare nut takes 20 Nm.\n")
    (project / "docs/notes/filter.md").unlink()
    code, out, _ = agentops("ingest", "sync")
    assert code == 0
    assert "~ notes/torque.md" in out
    assert "- notes/filter.md" in out

    (project / "docs/notes/torque.md").rename(project / "docs/notes/flare.md")
    assert "> notes/torque.md is now notes/flare.md" in agentops("ingest", "sync")[1]
    (project / "docs/notes/flare.md").unlink()
    code, out, _ = agentops("ingest", "sync")
    assert code == 1, "the last document is not believed to be gone"
    assert "refused" in out
    code, out, _ = agentops("ingest", "sync", "--allow-mass-deletion")
    assert code == 0
    assert "- notes/flare.md" in out


def test_a_chat_is_kept_and_goes_on(project: Path) -> None:
    def chat(questions: str, *options: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "agentops_ref.apps.cli", "chat", "--thread", "t1", *options]
        return subprocess.run(
            call, cwd=project, input=questions, capture_output=True, text=True, check=False
        )

    first = chat("Which torque has the NL-8 flare nut?\n", "--json")
    assert first.returncode == 0, first.stderr
    said = json.loads(first.stdout)
    assert said["thread"] == "t1"
    assert "18 Nm" in said["answer"]
    assert "agentops chat --thread t1" in first.stderr
    second = chat("And how often is the filter cleaned?\n\nnot asked any more\n")
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("tokens") == 1
    assert "questions so far: 1" in second.stderr
    other = chat("Whose is this?\n", "--tenant", "elvedal")
    assert other.returncode == 1
    assert "torvik" not in other.stdout


def test_a_chat_recalls_what_is_known_of_its_subject(project: Path) -> None:
    database = open_database(f"sqlite:///{project}/state/memory.db")
    source = FactSource("earlier", "m1", "customer")
    fact_store(database, lambda: HashEmbeddings()).tell(
        new_fact(
            tenant=tenant,
            subject="customer C1001",
            attribute="access",
            text=f"The key of {tenant} hangs behind the shed.",
            source=source,
            learned_at=datetime(2026, 3, 2, tzinfo=UTC),
        )
        for tenant in ("torvik", "elvedal")
    )

    def chat(*options: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "agentops_ref.apps.cli", *options]
        asked = "Where does the key hang, behind the shed?\n"
        return subprocess.run(
            call, cwd=project, input=asked, capture_output=True, text=True, check=False
        )

    about = ("chat", "--subject", "customer C1001", "--user", "technician T01")
    found = chat(*about, "--thread", "t9", "--json")
    assert found.returncode == 0, found.stderr
    steps = json.loads(found.stdout)["steps"]
    assert [(s["agent"], s["action"], s["input"]) for s in steps] == [
        ("memory", "recall", "customer C1001: access")
    ]
    assert 'agentops chat --thread t9 --subject "customer C1001"' in found.stderr
    assert json.loads(chat("chat", "--json").stdout)["steps"] == []
    named = chat("memory", "forget", "--subject", "customer C1001", "--tenant", "torvik", "--yes")
    assert "said or shown in conversations that are kept: earlier, t9" in named.stdout
    assert json.loads(chat(*about, "--json").stdout)["steps"] == []
    quoted = json.loads(chat(*about, "--json", "--tenant", "17").stdout)
    assert quoted["steps"] == []


def test_ask_answers_with_a_citation_and_a_trace(project: Path) -> None:
    # In a process of its own, as a user runs it: MLflow's tracing is global to a process.
    def ask(*options: str) -> str:
        call = [sys.executable, "-m", "agentops_ref.apps.cli", "ask", *options]
        environ = {**os.environ, "COLUMNS": "80"}
        return subprocess.run(
            [*call, "Which torque has the NL-8 flare nut?"],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    answer = json.loads(ask("--json"))
    assert "18 Nm" in answer["answer"]
    assert not answer["abstained"]
    (citation,) = answer["citations"]
    assert citation["document"] == "notes/torque.md"
    assert citation["quote"] == "The flare nut of the NL-8 is tightened to 18 Nm."
    assert set(citation) == {"document", "version", "page", "quote"}
    assert answer["trace_id"].startswith("tr-")
    assert answer["tokens"] > 0
    assert answer["seconds"] > 0

    out = ask("--trace")
    for part in ("notes/torque.md", "18 Nm", "retrieve", "generate", "CHAT_MODEL"):
        assert part in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ask", ""], 2, "the question is empty"),
        (["ask"], 2, "Missing argument"),
        (["ask", "x", "--set", "models.mod=live"], 2, "did you mean 'mode'"),
        (["ask", "x", "--config-dir", "nowhere"], 2, "configuration folder not found"),
        (["ask", "x", "--env", "prd"], 2, "no overlay 'prd'"),
        (["ask", "x", "--set", "agent.kind=chian"], 2, "did you mean 'chain'"),
        (["ask", "x", "--set", "etl.source.root=gone"], 1, "gone"),
        (["ingest", "sync", "--set", "etl.source.root=gone"], 1, "gone"),
        (["ask", "x", "--set", "models.mode=replay"], 1, "agentops models pull"),
        (["config", "show", "nothing.here"], 2, "no key begins with"),
        (["models", "pull", "chatt"], 2, "did you mean 'chat'"),
        (["tour", "--set", "paths.corpus=gone"], 1, "agentops corpus build"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(
    agentops: Agentops, arguments: list[str], code: int, said: str
) -> None:
    ended, _, err = agentops(*arguments)
    assert ended == code
    assert said in err
    assert "Traceback" not in err


def test_config_show_names_the_place_of_every_value(agentops: Agentops) -> None:
    rows = json.loads(agentops("config", "show", "--json", "--set", "retrieval.k=2")[1])
    places = {row["key"]: row["from"] for row in rows}
    assert places["retrieval.k"] == "--set retrieval.k"
    assert places["models.mode"] == "config/base.yaml"
    assert places["retrieval.mode"].endswith("base.yaml")
    code, out, _ = agentops("config", "show", "models.chat")
    assert code == 0
    assert "models.chat.context_tokens" in out


def test_doctor_names_the_command_that_mends(agentops: Agentops) -> None:
    code, out, _ = agentops("doctor", "--set", "etl.source.root=gone")
    assert code == 1
    assert "agentops corpus build" in out
    assert "agentops ingest sync" in out
    agentops("ingest", "sync")
    code, out, _ = agentops("doctor", "--json")
    states = {check["name"]: check["state"] for check in json.loads(out)}
    assert states["index"] == states["corpus"] == "ok"


def test_help_loads_no_heavy_library() -> None:
    heavy = "{'mlflow', 'lancedb', 'pandas', 'langchain_core', 'pyarrow', 'numpy', 'onnxruntime'}"
    script = (
        "import sys; from agentops_ref.apps.cli import cli\n"
        "try: cli.main(['--help'], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        f"loaded = {heavy} & set(sys.modules); assert not loaded, loaded"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for name in ("tour", "ask", "doctor", "config", "models", "corpus", "ingest", "eval", "record"):
        assert name in ended.stdout


def test_verification_says_what_share_is_identical(
    agentops: Agentops, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = VerifyReport("qwen", 9, 4, 3, (("abc", "18 Nm", "20 Nm"),), 4, 0.0, 2, ("def",), 0.1)
    monkeypatch.setattr(App, "verify_recordings", lambda *_, **__: report)
    code, out, _ = agentops("record", "verify")
    assert code == 0, "a difference is a result"
    assert "3 of 4 recorded answers repeated to the letter (75%, 95 % interval 30% to 95%)" in flat(
        out
    )
    assert "recorded: 18 Nm" in out
    assert "4 vectors embedded again" in out
    assert "2 scans read again, 1 with another text" in out
    told = json.loads(agentops("record", "verify", "--json")[1])
    assert told["interval"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert (told["identical"], told["differing"]) == (3, [["abc", "18 Nm", "20 Nm"]])

    none = VerifyReport("qwen", 0, 0, 0)
    monkeypatch.setattr(App, "verify_recordings", lambda *_, **__: none)
    assert agentops("record", "verify")[0] == 1, "nothing could be compared"


def flat(text: str) -> str:
    return " ".join(text.split())


def test_looking_at_an_index_and_taking_it_back(agentops: Agentops, project: Path) -> None:
    assert json.loads(agentops("ingest", "history", "--json")[1]) == {"versions": []}
    planned = json.loads(agentops("ingest", "plan", "--json")[1])
    assert [change["kind"] for change in planned["create"]] == ["create", "create"]
    agentops("ingest", "sync")
    status = json.loads(agentops("ingest", "status", "--json")[1])
    assert (status["version"], status["documents"], status["quarantined"]) == (1, 2, [])
    code, out, _ = agentops("ingest", "audit")
    assert (code, "nothing disagrees" in out) == (0, True)
    gone = sorted((project / "docs").rglob("*.*"))[0]
    gone.unlink()
    agentops("ingest", "sync", "--allow-mass-deletion")
    assert json.loads(agentops("ingest", "status", "--json")[1])["documents"] == 1
    back = json.loads(agentops("ingest", "rollback", "1", "--json")[1])
    assert (back["version"], back["rolled_back_to"]) == (3, 1)
    code, out, _ = agentops("ingest", "audit")
    assert (code, gone.name in out) == (1, True)
    lines = json.loads(agentops("ingest", "history", "--json")[1])["versions"]
    assert [(line["number"], line["documents"]) for line in lines] == [(3, 2), (2, 1), (1, 2)]
    code, _, err = agentops("ingest", "rollback", "9")
    assert (code, "version 9" in err) == (1, True)


def test_search_ranks_documents(agentops: Agentops, project: Path) -> None:
    found = json.loads(agentops("search", "torque", "--k", "2", "--json")[1])
    assert [result["rank"] for result in found["results"]] == [1, 2][: len(found["results"])]
    assert found["version"] == 1
    code, _, err = agentops("search", "torque", "--where", "kind")
    assert (code, "COLUMN=VALUE" in err) == (2, True)
