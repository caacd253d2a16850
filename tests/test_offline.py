"""A book that is built and a question that is answered open no connection beyond loopback.

The guard in `conftest` sees this process only, but a notebook runs in a process of a process. So
the real job runs here as commands, and two things watch it:

- an audit hook (`tests/watch/sitecustomize.py`), which every Python process below inherits through
  PYTHONPATH. It works on every machine and tells who asked for which host, but libraries in Rust
  or C++ (lancedb, deltalake, onnxruntime) make their system calls past it;
- a network namespace without a way out (`.ci/offline`), where the kernel itself counts what had no
  route, whoever asked. Some machines allow none; there the audit hook stands alone, and nothing is
  skipped. (strace would need another tool and several times the time; a preloaded library, a
  compiler.)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.apps.book.layout import Layout, write_notebook
from tests.test_book_notebooks import code, notebook

QUESTION = "What does fault code E41 mean on a Brise unit?"
WITHOUT_A_WAY_OUT = ("bash", str(Path(__file__).resolve().parents[1] / ".ci" / "offline"))


@pytest.fixture
def environ(tmp_path: Path, repo_root: Path) -> dict[str, str]:
    """What a process needs to be watched."""
    path = os.pathsep.join([str(repo_root / "tests" / "watch"), str(repo_root)])
    return {**os.environ, "PYTHONPATH": path, "CONNECTION_LOG": str(tmp_path / "connections.log")}


def noted(environ: dict[str, str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(environ["CONNECTION_LOG"]).read_text().splitlines()]


@pytest.mark.slow
def test_the_main_job_stays_on_this_machine(
    corpus: Path, tmp_path: Path, repo_root: Path, environ: dict[str, str]
) -> None:
    layout = Layout(tmp_path)
    for name in ("_toc.yml", "_config.yml", "constraints.txt"):
        shutil.copy(repo_root / name, layout.root / name)
    shutil.copytree(repo_root / "config", layout.root / "config")
    cells = [
        "from agentops_ref import build, load_config\nfrom agentops_ref.records import Case\n",
        "app = build(load_config())\napp.ensure_index()",
        f"app.evaluate([Case('1', {QUESTION!r})])\nassert app.agent({QUESTION!r}).citations",
    ]
    write_notebook(layout.notebooks / "01-all.ipynb", notebook(*map(code, cells)))
    environ |= {
        "AGENTOPS__PATHS__CORPUS": str(corpus),
        "AGENTOPS__PATHS__RECORDINGS": str(repo_root / "recordings"),
        "AGENTOPS__PATHS__WEIGHTS": str(tmp_path / "none"),
    }

    for job in (("agentops_ref.apps.book", "execute"), ("agentops_ref.apps.cli", "ask", QUESTION)):
        done = subprocess.run(
            [*WITHOUT_A_WAY_OUT, sys.executable, "-m", *job],
            cwd=layout.root,
            env=environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    lines = noted(environ)
    assert [line for line in lines if "event" in line] == []
    watched = [" ".join(line["process"]) for line in lines]
    for process in ("apps.book execute", "apps.book.runner", "ipykernel_launcher", "apps.cli ask"):
        assert any(process in command for command in watched), f"{process} was not watched"


@pytest.mark.parametrize(
    "statement",
    [
        "socket.create_connection(('192.0.2.1', 9))",
        "socket.create_connection(('example.org', 9))",
        "socket.gethostbyname('example.org')",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))",
    ],
)
def test_a_swallowed_connection_is_noted(environ: dict[str, str], statement: str) -> None:
    program = f"import socket\ntry:\n    {statement}\nexcept OSError:\n    pass\n"
    subprocess.run([sys.executable, "-c", program], env=environ, check=True)
    (line,) = (line for line in noted(environ) if "event" in line)
    assert line["host"] in ("192.0.2.1", "example.org")


def test_a_connection_past_python_fails_the_job(environ: dict[str, str]) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*WITHOUT_A_WAY_OUT, *command], env=environ, capture_output=True, text=True
        )

    quiet = run("bash", "-c", "exit 3")
    assert quiet.returncode == 3, "a command's own end is passed on"
    if "no network but loopback" not in quiet.stdout:
        assert "with the network" in quiet.stdout
        return
    for way, said in (
        ("tcp/192.0.2.1/9", "attempts to leave this machine: 1, names asked for: 0"),
        ("udp/192.0.2.1/9", "attempts to leave this machine: 1, names asked for: 0"),
        ("udp/127.0.0.1/53", "attempts to leave this machine: 0, names asked for: 1"),
    ):
        loud = run("bash", "-c", f"echo name >/dev/{way} || true")
        assert loud.returncode == 1
        assert said in loud.stderr
