"""What holds for every test: no network, nobody's home, nothing built before, no unasked skip."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before any library that reads them is imported; `agentops_ref.offline` has the list.
import agentops_ref  # noqa: F401

# What a busy machine is slow at is no property of the code.
UNHURRIED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("unhurried", deadline=None, suppress_health_check=UNHURRIED)
settings.load_profile("unhurried")

LOOPBACK = ("localhost", "127.", "::1", "0.0.0.0")
ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-unexpected-skips",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="fail when a test skips for a reason that pyproject.toml's allowed_skips lacks "
        "(always on where CI is set)",
    )
    parser.addini("allowed_skips", type="linelist", help="reasons for which a test may skip")


class SkipGuard:
    """Collects skips; a reason that `allowed_skips` lacks fails the session."""

    def __init__(self, allowed: list[str]) -> None:
        self.allowed = [re.compile(pattern) for pattern in allowed]
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped:
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(pattern.search(reason) for pattern in self.allowed):
            self.unexpected.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.unexpected:
            terminalreporter.section("skips that nobody expected", red=True)
            for line in self.unexpected:
                terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    is_xdist_worker = hasattr(config, "workerinput")
    if config.getoption("--no-unexpected-skips") and not is_xdist_worker:
        guard = SkipGuard(config.getini("allowed_skips"))
        config.pluginmanager.register(guard, "agentops-skip-guard")


class NetworkBlocked(RuntimeError):
    """A test went beyond loopback. Mark it ``network`` if that is its purpose."""


def _is_loopback(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    return name is None or name == "" or (isinstance(name, str) and name.startswith(LOOPBACK))


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("network"):
        return
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise NetworkBlocked(f"connection to {address[0]}:{address[1]}")

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        check(sock, address)
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        check(sock, address)
        return connect_ex(sock, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_loopback(host):
            raise NetworkBlocked(f"look-up of {host!r}")
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


class BuiltBefore(RuntimeError):
    """A test looked into the clone's ``_build``, which CI has not made yet; see `corpus`."""


def _keep_out(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("open", "os.listdir", "os.scandir", "sqlite3.connect"):
        return
    path = arguments[0]
    if isinstance(path, str | os.PathLike) and "_build" in os.fsdecode(path):
        # A bare name can be relative to another folder than the current one: pytest removes its
        # temporary folders that way, and some tests make a _build of their own in theirs.
        if os.fsdecode(path) == "_build":
            return
        whole = Path(os.fsdecode(path)).absolute()
        if (ROOT / "_build") in (whole, *whole.parents):
            raise BuiltBefore(str(whole))


sys.addaudithook(_keep_out)


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_home(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _home: Path) -> None:
    """Give tests an empty home and drop the developer's own ``AGENTOPS`` settings."""
    for variable in list(os.environ):
        if variable.startswith("AGENTOPS_"):
            monkeypatch.delenv(variable)
    if not request.node.get_closest_marker("live"):
        monkeypatch.setenv("HOME", str(_home))
        for kind in ("CONFIG", "DATA", "STATE", "CACHE"):
            monkeypatch.setenv(f"XDG_{kind}_HOME", str(_home / kind.lower()))


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The running case's documents and tables, all versions; for reading only."""
    from agentops_ref.apps.fjordvarm import build_corpus

    folder = tmp_path_factory.mktemp("corpus")
    build_corpus(folder)
    return folder
