"""Agents as processes: started once, found by others, ended for good, and told when they fail."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agentops_ref.errors import OperatorError
from agentops_ref.ops.endpoints import down, started, state, up

HEALTHY = """
import http.server, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


def healthy(port: int) -> Sequence[str]:
    return [sys.executable, "-c", HEALTHY, str(port)]


def broken(port: int) -> Sequence[str]:
    return [sys.executable, "-c", "raise SystemExit('no weights here')"]


def deaf(port: int) -> Sequence[str]:
    return [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "agents"
    down(tmp_path / "agents")


def start(folder: Path, port: int = 0, seconds: float = 20, **commands: object) -> list[object]:
    return list(up(folder, commands, host="127.0.0.1", port=port, seconds=seconds))  # type: ignore[arg-type]


def test_what_was_started_is_found_and_ended(folder: Path) -> None:
    start(folder, a=healthy, b=healthy)
    found = started(folder)
    assert sorted(found) == ["a", "b"]
    assert {state(one) for one in found.values()} == {"up"}
    assert found["a"].url != found["b"].url
    assert down(folder) == ["a", "b"]
    assert {state(one) for one in found.values()} == {"down"}
    assert not started(folder)
    assert down(folder) == []


def test_what_runs_is_not_started_twice(folder: Path) -> None:
    start(folder, a=healthy)
    first = started(folder)["a"].pid
    start(folder, a=healthy, b=healthy)
    assert started(folder)["a"].pid == first


def test_one_that_was_killed_is_started_again(folder: Path) -> None:
    start(folder, a=healthy)
    first = started(folder)["a"]
    os.kill(first.pid, signal.SIGKILL)
    while state(first) != "down":
        time.sleep(0.01)
    start(folder, a=healthy)
    assert state(started(folder)["a"]) == "up"


def test_one_that_ends_says_its_last_words_and_takes_the_others_along(folder: Path) -> None:
    with pytest.raises(OperatorError, match="agent bad ended: no weights here"):
        start(folder, good=healthy, bad=broken)
    assert not started(folder)


def test_one_that_does_not_answer_is_told(folder: Path) -> None:
    with pytest.raises(OperatorError, match=r"agent slow did not answer within 0.5 s: it printed"):
        start(folder, seconds=0.5, slow=deaf)
    assert not started(folder)


def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError, match=f"agent a cannot listen on 127.0.0.1:{port}"):
            start(folder, port, a=healthy)


def test_another_process_of_the_same_number_is_left_alone(folder: Path) -> None:
    """After a restart of the machine the number may be anybody's; here it is this test's own."""
    folder.mkdir()
    old = {"name": "a", "url": "http://127.0.0.1:9", "pid": os.getpid(), "born": 1.0, "log": ""}
    (folder / "a.json").write_text(json.dumps(old))
    assert state(started(folder)["a"]) == "down"
    assert down(folder) == []


def test_a_name_that_nobody_started(folder: Path) -> None:
    start(folder, records=healthy)
    with pytest.raises(OperatorError, match="did you mean 'records'"):
        down(folder, ["record"])
    assert state(started(folder)["records"]) == "up"


def test_a_damaged_file_is_passed_over(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.json").write_text('{"name"')
    assert not started(folder)
