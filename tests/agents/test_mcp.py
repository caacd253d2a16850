"""Tools behind MCP: real servers in processes of their own, killed, stopped and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.mcp import source_of
from agentops_ref.settings import McpServerConfig

ROOT = Path(__file__).resolve().parents[2]
CALLER = Caller("chain", tenant="torvik")
SOON = 20.0
"""Seconds within which a server answers, whatever else the machine does."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def started(port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.agents.mcp_server", str(port)], cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(10)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    process = started(port)
    yield f"http://127.0.0.1:{port}/mcp"
    ended(process)


def registry_of(timeout: float = SOON, **server: object) -> Registry:
    registry = Registry()
    registry.connect(source_of(McpServerConfig(name="server", **server), timeout=timeout))  # type: ignore[arg-type]
    return registry


@pytest.fixture
def stdio() -> Iterator[Callable[..., Registry]]:
    made: list[Registry] = []

    def make(timeout: float = SOON) -> Registry:
        command = [sys.executable, "-m", "tests.agents.mcp_server", "stdio"]
        registry = registry_of(timeout, command=command, env={"PYTHONPATH": str(ROOT)})
        made.append(registry)
        return registry

    yield make
    for registry in made:
        pid = registry.call("process", {}, CALLER).value
        if isinstance(pid, int):
            os.kill(pid, signal.SIGKILL)


def test_the_servers_tools_are_tools_like_others(url: str) -> None:
    registry = registry_of(url=url)
    assert registry.absent == {}
    specs = {spec.name: spec for spec in registry.specs("chain")}
    assert set(specs) == {"add", "rows", "tenant", "sleep", "fail", "process"}
    assert {spec.timeout for spec in specs.values()} == {SOON}
    assert specs["add"].description == "Adds two numbers."
    assert (specs["add"].effect, specs["tenant"].effect) == ("read", "write")
    assert specs["add"].parameters["properties"]["a"]["type"] == "integer"
    assert len(specs["add"].version) == 12
    assert registry.call("add", {"a": 2, "b": 3}, CALLER).value == 5
    assert registry.call("rows", {"count": 2}, CALLER).text == "number: 0\nnumber: 1"
    wrong = registry.call("add", {"a": 2}, CALLER)
    assert (wrong.status, "argument 'b' is missing" in wrong.text) == ("invalid", True)


def test_a_tool_that_fails_at_the_server_says_why(url: str) -> None:
    result = registry_of(url=url).call("fail", {}, CALLER)
    assert result.status == "failed"
    assert "the pump is broken" in result.text


def test_some_tools_are_taken_with_a_prefix(url: str) -> None:
    registry = registry_of(url=url, tools=["add"], prefix="calc_")
    assert [spec.name for spec in registry.specs()] == ["calc_add"]
    assert registry.call("calc_add", {"a": 1, "b": 1}, CALLER).value == 2
    gone = registry_of(url=url, tools=["adds"])
    assert "no tool 'adds'; did you mean 'add'?" in gone.absent["server"]


def test_the_tenant_travels_in_a_header_that_no_model_sees(url: str) -> None:
    registry = registry_of(url=url, tenant_header="X-Tenant", tools=["tenant"])
    (spec,) = registry.specs()
    assert spec.parameters.get("properties", {}) == {}
    for tenant in ("torvik", "granmo"):
        assert registry.call("tenant", {}, Caller("chain", tenant=tenant)).value == tenant
    assert registry_of(url=url).call("tenant", {}, CALLER).value == "nobody"


def test_a_missing_token_is_named(url: str) -> None:
    registry = registry_of(url=url, token_env="NO_SUCH_TOKEN")
    assert "NO_SUCH_TOKEN" in registry.absent["server"]


def test_a_tool_that_is_slow_at_the_server_ends_at_its_timeout(url: str) -> None:
    registry = registry_of(url=url)
    started_at = time.monotonic()
    limits = Limits(Allowance(seconds=1.5))
    result = registry.call("sleep", {"seconds": 30}, CALLER, limits)
    assert result.status == "timeout"
    assert time.monotonic() - started_at < 10
    assert registry.call("add", {"a": 1, "b": 1}, CALLER).value == 2


@pytest.mark.slow
def test_a_killed_server_is_a_stated_result_and_the_next_call_after_its_restart_works() -> None:
    port = free_port()
    process = started(port)
    try:
        registry = registry_of(url=f"http://127.0.0.1:{port}/mcp")
        assert registry.call("add", {"a": 1, "b": 1}, CALLER).value == 2
        ended(process)
        gone_at = time.monotonic()
        gone = registry.call("add", {"a": 1, "b": 1}, CALLER, Limits(Allowance(seconds=10)))
        assert time.monotonic() - gone_at < 10
        assert gone.status == "failed"
        assert "server cannot be used" in gone.text
        process = started(port)
        assert registry.call("add", {"a": 2, "b": 2}, CALLER).value == 4
    finally:
        ended(process)


@pytest.mark.slow
def test_a_server_that_stands_still_is_a_timeout() -> None:
    """Its port still takes connections, so nothing but the clock can tell."""
    port = free_port()
    process = started(port)
    try:
        registry = registry_of(url=f"http://127.0.0.1:{port}/mcp")
        process.send_signal(signal.SIGSTOP)
        still_at = time.monotonic()
        still = registry.call("add", {"a": 1, "b": 1}, CALLER, Limits(Allowance(seconds=1)))
        assert still.status == "timeout"
        assert time.monotonic() - still_at < 8
        process.send_signal(signal.SIGCONT)
        assert registry.call("add", {"a": 1, "b": 1}, CALLER).value == 2
    finally:
        ended(process)


def test_a_server_that_was_never_there_is_named() -> None:
    registry = registry_of(url=f"http://127.0.0.1:{free_port()}/mcp")
    assert registry.specs() == ()
    assert "server cannot be used" in registry.absent["server"]


@pytest.mark.slow
def test_a_process_is_kept_and_started_again_when_it_was_lost(
    stdio: Callable[..., Registry],
) -> None:
    registry = stdio()
    assert registry.absent == {}
    first = registry.call("process", {}, CALLER).value
    assert registry.call("process", {}, CALLER).value == first
    os.kill(first, signal.SIGKILL)
    lost = registry.call("process", {}, CALLER)
    again = lost if lost.ok else registry.call("process", {}, CALLER)
    assert again.ok
    assert again.value != first


@pytest.mark.slow
def test_a_process_that_stands_still_is_left_for_a_new_one(stdio: Callable[..., Registry]) -> None:
    registry = stdio(timeout=SOON)
    first = registry.call("process", {}, CALLER).value
    os.kill(first, signal.SIGSTOP)
    quick = Registry()
    still = registry.call("process", {}, CALLER, Limits(Allowance(seconds=1)))
    assert still.status == "timeout"
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not (again := registry.call("process", {}, CALLER)).ok and time.monotonic() < deadline:
        time.sleep(0.1)
    assert again.value != first
    assert quick.specs() == ()


def test_a_program_that_is_not_there_is_named() -> None:
    registry = registry_of(command=["no-such-program-at-all"])
    assert "no-such-program-at-all" in registry.absent["server"]
