"""``agentops auth``, and what other commands do where somebody has to log in: real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.auth.conftest import SECRET

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Path:
    root = tmp_path_factory.mktemp("project")
    docs = root / "docs" / "notes"
    docs.mkdir(parents=True)
    (docs / "torque.md").write_text("# Torque\n\nThe flare nut of the NL-8 takes 18 Nm.\n")
    (root / "config").mkdir()
    (root / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\n"
        "paths: {state: state, cache: cache}\n"
        "etl: {source: {root: docs}, tables: {root: null}}\n"
        f"auth: {{required: true, issuer: '{issuer}'}}\n"
    )
    return root


@pytest.fixture
def agentops(project: Path) -> Run:
    def run(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agentops_ref.apps.cli", *arguments],
            cwd=project,
            env={**os.environ, "COLUMNS": "80", "AGENTOPS_CLIENT_SECRET": SECRET, **environ},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_users_token_is_printed_checked_and_shown(agentops: Run) -> None:
    done = agentops("auth", "token", "--user", "anne")
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    assert done.stderr == ""
    shown = json.loads(agentops("auth", "token", "--decode", "-", stdin=token).stdout)
    assert shown["claims"]["sub"] == "anne"
    assert token not in json.dumps(shown)
    who = json.loads(agentops("auth", "check", "--json", AGENTOPS_TOKEN=token).stdout)
    assert (who["user"], who["tenant"], who["roles"]) == ("anne", "torvik", ["accountant"])
    assert "customer_invoices" in who["tools"]
    assert "book_visit" not in who["tools"]


def test_a_clients_token_is_for_whom_it_was_asked(agentops: Run) -> None:
    done = agentops(
        *("auth", "token", "--client", "assistant", "--audience", "http://127.0.0.1:1/mcp"),
        *("--scope", "sensors"),
    )
    shown = json.loads(agentops("auth", "token", "--decode", done.stdout.strip()).stdout)
    assert (shown["claims"]["aud"], shown["claims"]["scope"]) == (
        "http://127.0.0.1:1/mcp",
        "sensors",
    )
    without = agentops("auth", "token", "--client", "assistant", AGENTOPS_CLIENT_SECRET="")
    assert without.returncode == 1
    assert "AGENTOPS_CLIENT_SECRET is not set" in without.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "expected one of --user, --client and --decode"),
        (("--user", "karri"), 2, "did you mean 'kari'"),
        (("--user", "kari", "--scope", "admin"), 1, "invalid_scope"),
        (("--decode", "nonsense"), 1, "the token is no JWT"),
        (("--user", "kari", "--set", "auth.issuer=http://127.0.0.1:9"), 1, "serve-dev"),
        (("--user", "kari", "--set", "auth.issuer=http://far.example"), 2, "expected https"),
        (("--user", "kari", "--set", "auth.algorithms=[HS256]"), 2, "auth.algorithms"),
    ],
)
def test_mistakes_are_told_in_a_line(
    agentops: Run, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = agentops("auth", "token", *arguments)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_who_has_not_logged_in_is_not_answered(agentops: Run) -> None:
    for command in (("ask", "Which torque?"), ("tools", "call", "visits", "--args", "{}")):
        done = agentops(*command)
        assert done.returncode == 1
        assert "set AGENTOPS_TOKEN" in done.stderr
    old = agentops("ask", "Which torque?", AGENTOPS_TOKEN="eyJhbGciOiJub25lIn0.e30.")
    assert old.returncode == 1
    assert "not signed" in old.stderr


def test_who_has_logged_in_is_answered_as_whoever_they_are(agentops: Run, project: Path) -> None:
    token = agentops("auth", "token", "--user", "kari").stdout.strip()
    asked = agentops("ask", "Which torque?", "--json", AGENTOPS_TOKEN=token)
    assert asked.returncode == 0, asked.stderr
    assert "18 Nm" in json.loads(asked.stdout)["answer"]
    refused = agentops("ask", "Which?", "--architecture", "prompt", AGENTOPS_TOKEN=token)
    assert refused.returncode == 1
    assert "kari (technician) may not ask prompt" in refused.stderr
    # The role decides, whatever tenant and user the command line names.
    given = ("tools", "call", "propose_credit_note", "--args", "{}", "--tenant", "granmo")
    call = agentops(*given, "--user", "gro", AGENTOPS_TOKEN=token)
    assert call.returncode == 1
    assert "denied: kari, who asks, has no role that opens the tool" in call.stdout
    (line,) = (project / "state" / "tools.jsonl").read_text().splitlines()[-1:]
    assert (json.loads(line)["user"], json.loads(line)["tenant"]) == ("kari", "torvik")


def test_a_conversation_belongs_to_the_tokens_tenant(agentops: Run) -> None:
    """No --tenant opens another tenant's conversation."""
    tokens = {
        user: agentops("auth", "token", "--user", user).stdout.strip() for user in ("kari", "eli")
    }

    def chat(user: str, *more: str) -> subprocess.CompletedProcess[str]:
        given = ("chat", "--json", "--thread", "shared-name", *more)
        return agentops(*given, stdin="Which torque?\n", AGENTOPS_TOKEN=tokens[user])

    first = chat("kari")
    assert first.returncode == 0, first.stderr
    assert "18 Nm" in first.stdout
    again = chat("kari", "--tenant", "elvedal")
    assert "questions so far: 1" in again.stderr
    other = chat("eli", "--tenant", "torvik")
    assert "questions so far: 2" not in other.stderr
    assert (other.returncode != 0) or ("questions so far: 0" in other.stderr)
    nobody = agentops("chat", "--json", stdin="Which torque?\n")
    assert nobody.returncode == 1
    assert "set AGENTOPS_TOKEN" in nobody.stderr


@pytest.fixture
def served(project: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    running = []

    def start(*arguments: str) -> tuple[str, subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "agentops_ref.apps.cli", "auth", "serve-dev", *arguments],
            cwd=project,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stderr is not None
        return process.stderr.readline().split()[-1], process

    yield start
    for process in running:
        process.kill()
        process.wait(30)
        assert process.stderr is not None
        process.stderr.close()


def test_the_development_server_keeps_its_keys_and_rotates_them(
    agentops: Run, served: Callable[..., tuple[str, subprocess.Popen[str]]]
) -> None:
    issuer, first = served("--port", "0")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", issuer)
    port = issuer.rpartition(":")[2]
    here = ("--set", f"auth.issuer={issuer}")
    token = agentops("auth", "token", "--user", "kari", *here).stdout.strip()
    assert agentops("auth", "check", *here, AGENTOPS_TOKEN=token).returncode == 0
    first.send_signal(signal.SIGINT)
    first.wait(60)
    again, _ = served("--port", port, "--rotate")
    assert again == issuer
    assert agentops("auth", "check", *here, AGENTOPS_TOKEN=token).returncode == 0
    new = agentops("auth", "token", "--user", "kari", *here).stdout.strip()
    assert new.split(".")[0] != token.split(".")[0], "another key's id"


def test_it_serves_this_machine_only(agentops: Run) -> None:
    done = agentops("auth", "serve-dev", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "this machine only" in done.stderr


def test_help_fits_a_terminal(agentops: Run) -> None:
    for command in ((), ("token",), ("login",), ("serve-dev",), ("check",)):
        done = agentops("auth", *command, "--help")
        assert done.returncode == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
