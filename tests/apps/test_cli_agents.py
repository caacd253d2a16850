"""``agentops agents`` and ``ask --architecture endpoints``, as a user runs them: real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    docs = tmp_path / "docs" / "notes"
    docs.mkdir(parents=True)
    (docs / "torque.md").write_text("# Torque\n\nThe flare nut of the NL-8 takes 18 Nm.\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\n"
        "paths: {state: state, cache: cache}\n"
        "etl: {source: {root: docs}}\n"
    )
    return tmp_path


def test_specialists_are_started_asked_and_ended(project: Path) -> None:
    def agentops(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "agentops_ref.apps.cli", *arguments]
        environ = {**os.environ, "COLUMNS": "80"}
        return subprocess.run(
            call, cwd=project, env=environ, capture_output=True, text=True, check=False
        )

    none = agentops("ask", "Which torque?", "--architecture", "endpoints")
    assert none.returncode == 1
    assert "run `agentops agents up`" in none.stderr
    given = ("--set", "agent.max_tasks=2")
    up = agentops("agents", "up", "--json", *given)
    try:
        assert up.returncode == 0, up.stderr
        names = [one["name"] for one in json.loads(up.stdout)]
        assert names == ["knowledge", "records", "diagnostics", "scheduling"]
        listed = agentops("agents", "list", "--json")
        assert {one["state"] for one in json.loads(listed.stdout)} == {"up"}
        # The scripted model decides nothing; that is stated, and no traceback is shown.
        asked = agentops("ask", "Which torque?", "--architecture", "endpoints", "--json")
        assert asked.returncode == 0, asked.stderr
        assert "no decision" in json.loads(asked.stdout)["problem"]
        routed = agentops("ask", "Which torque?", "--architecture", "router", "--json")
        answer = json.loads(routed.stdout)
        assert "18 Nm" in answer["answer"]
        assert answer["steps"][0]["action"] == "knowledge"  # the fallback
        one = agentops("agents", "down", "records", "--json")
        assert json.loads(one.stdout) == ["records"]
        assert len(json.loads(agentops("agents", "list", "--json").stdout)) == 3
    finally:
        down = agentops("agents", "down", "--json")
    assert sorted(json.loads(down.stdout)) == ["diagnostics", "knowledge", "scheduling"]
    assert "none was running" in agentops("agents", "down").stdout
