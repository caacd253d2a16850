"""``agentops approvals``: what it shows, who decides, what is done."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentops_ref.apps.cli import cli
from agentops_ref.apps.cli.common import run

Agentops = Callable[..., tuple[int, str, str]]
PAY = ("tools", "call", "pay", "--args", '{"euros": 500}', "--tenant", "torvik", "--user", "bo")


@pytest.fixture
def agentops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Agentops:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\n"
        "paths: {state: state, cache: cache}\n"
        "tools: {records: false, sensors: false, schedule: null, python: ['payments:pay'],\n"
        "        overrides: {pay: {effect: write}}}\n"
        "approvals:\n"
        "  rules: [{tools: [pay], amount: euros, above: 100, role: treasurer, why: much}]\n"
        "  people:\n"
        "    ida: {roles: [treasurer], tenant: '*'}\n"
        "    jon: {roles: [clerk], tenant: '*'}\n"
        "    gro: {roles: [support lead], tenant: '*'}\n"
    )
    (tmp_path / "payments.py").write_text(
        'def pay(euros: float) -> str:\n    """Pay."""\n'
        '    with open("paid", "a") as file:\n        file.write(f"{euros}\\n")\n'
        '    return "paid"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["agentops", *arguments])
        capsys.readouterr()
        code = 0
        try:
            run(cli)
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def waiting(agentops: Agentops) -> str:
    code, out, _ = agentops(*PAY)
    assert code == 1
    assert out.startswith("waiting: not done yet: it waits for approval by the treasurer (much)")
    (one,) = json.loads(agentops("approvals", "list", "--json")[1])["approvals"]
    return str(one["id"])


def test_what_waits_is_listed_decided_and_done(agentops: Agentops) -> None:
    assert agentops("approvals", "list") == (0, "nothing waits\n", "")
    id_ = waiting(agentops)
    code, out, _ = agentops("approvals", "list")
    assert code == 0
    assert f"{id_} pending: pay" in out
    assert "euros: 500" in out
    assert "by the treasurer, much" in out
    assert not Path("paid").exists()
    code, out, _ = agentops("approvals", "decide", id_, "--approve", "--as", "ida", "--note", "ok")
    assert code == 0
    assert out == f'{id_}: done: pay {{"euros": 500}}\n    paid\n'
    assert Path("paid").read_text() == "500.0\n"
    assert agentops("approvals", "list") == (0, "nothing waits\n", "")
    assert "decided by ida: ok" in agentops("approvals", "list", "--all")[1]
    assert agentops("approvals", "list", "--all", "--tenant", "granmo")[1] == "nothing waits\n"


def test_a_decision_that_counts_for_nothing_changes_nothing(agentops: Agentops) -> None:
    id_ = waiting(agentops)
    decide = ("approvals", "decide", id_)
    for arguments, said in (
        (("--as", "ida"), "say --approve or --reject"),
        (("--as", "ida", "--approve", "--reject"), "say --approve or --reject"),
        (("--approve", "--as", "jon"), "is decided by the treasurer; jon has clerk"),
        (("--approve", "--as", "Ida"), "did you mean 'ida'?"),
        (("--approve",), "Missing option '--as'"),
    ):
        code, _, err = agentops(*decide, *arguments)
        assert code != 0
        assert said in err
        assert f"{id_} pending" in agentops("approvals", "list")[1]
    assert agentops("approvals", "decide", "nothing", "--reject", "--as", "ida")[0] == 1
    assert agentops(*decide, "--reject", "--as", "ida")[0] == 0
    assert agentops(*decide, "--approve", "--as", "ida")[0] == 1
    assert not Path("paid").exists()


def test_a_decision_as_json(agentops: Agentops) -> None:
    id_ = waiting(agentops)
    code, out, _ = agentops("approvals", "decide", id_, "--approve", "--as", "ida", "--json")
    assert code == 0
    made = json.loads(out)
    assert (made["id"], made["state"], made["arguments"]) == (id_, "done", {"euros": 500})


ODD = """
from agentops_ref.agents.guards import Decision
from agentops_ref.records import Answer


def agent(app):
    return lambda question, request: Answer(f"{question}: yes", abstained=False)


class Odd:
    def __init__(self, parts, *, on_hit):
        self.on_hit = on_hit

    def check(self, text, channel, context):
        return Decision(self.on_hit, "", ("odd",)) if "odd" in text else Decision("pass", text)
"""


def test_what_guards_ask_about_is_decided_here(agentops: Agentops, tmp_path: Path) -> None:
    with (tmp_path / "config" / "base.yaml").open("a") as file:
        file.write(
            "etl: {source: {root: docs}}\n"
            "agent: {kind: 'odd_parts:agent'}\n"
            "guards: {checks: {odd: {guard: 'odd_parts:Odd', channels: [answer], on_hit: ask}}}\n"
        )
    (tmp_path / "odd_parts.py").write_text(ODD)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Torque\n\nThe flare nut takes 42 Nm.\n")
    code, out, err = agentops("ask", "an odd one", "--json")
    assert (code, err) == (0, "")
    asked = json.loads(out)
    assert (code, asked["answer"]) == (0, "A person has to look at this first.")
    (id_,) = asked["waiting"]
    code, out, _ = agentops("approvals", "list")
    assert f"{id_} pending: give_out_answer" in out
    assert "answer: an odd one: yes; question: an odd one" in out
    assert "by the support lead, odd" in out
    code, _, err = agentops("approvals", "decide", id_, "--approve", "--as", "ida")
    assert code == 1
    assert "is decided by the support lead; ida has treasurer" in err
    code, out, _ = agentops("approvals", "decide", id_, "--approve", "--as", "gro")
    assert code == 0
    assert out.splitlines()[1].strip() == "an odd one: yes"


def written(statement: str) -> None:
    with sqlite3.connect("state/memory.db") as held:
        held.execute(statement)
    held.close()


def test_what_was_cut_off_is_shown_with_what_to_do(agentops: Agentops) -> None:
    id_ = waiting(agentops)
    written("UPDATE approvals SET state = 'running', decided_at = '2026-01-01T00:00+00:00'")
    assert "agentops approvals close" in agentops("approvals", "list")[1]
    close = ("approvals", "close", id_, "--as", "ida")
    assert "say --done or --not-done" in agentops(*close)[2]
    code, out, _ = agentops(*close, "--not-done", "--note", "no money moved")
    assert code == 0
    assert "ida looked: no money moved" in out
    assert agentops("approvals", "list") == (0, "nothing waits\n", "")


def test_a_forgotten_conversation_takes_what_it_asked_for_from_the_files(
    agentops: Agentops,
) -> None:
    waiting(agentops)
    written("UPDATE approvals SET thread = 't1'")
    files = [file for file in Path("state").glob("memory.db*") if file.is_file()]
    assert any(b'"euros": 500' in file.read_bytes() for file in files)
    code, _, err = agentops("memory", "forget", "--subject", "x", "--thread", "t1", "--yes")
    assert (code, err) == (0, "")
    assert not any(b'"euros": 500' in file.read_bytes() for file in files)
    assert agentops("approvals", "list") == (0, "nothing waits\n", "")
