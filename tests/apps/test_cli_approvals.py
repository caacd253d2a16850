"""``agentops approvals``: what it shows, who decides, what is done."""

from __future__ import annotations

import json
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
