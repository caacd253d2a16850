"""Agents as processes of this machine: started, found, watched and ended. Taught in chapter 5.

Each has a file in one folder that says where it listens and as which process, so that whoever calls
it, or ends it, need not be who started it. Beyond one machine a service manager does this, and the
configuration names the addresses.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import psutil

from agentops_ref.agents.remote import Endpoint, started
from agentops_ref.errors import OperatorError, nearest

Progress = Callable[[str, int, int], None]

_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Of this process; Python warns of one that is forgotten while it runs, as these are meant to."""


__all__ = ["Endpoint", "State", "down", "started", "state", "up"]

State = Literal["up", "starting", "down"]


def state(endpoint: Endpoint, *, seconds: float = 1.0) -> State:
    """Ask an endpoint for its health."""
    if _process(endpoint) is None:
        return "down"
    import httpx

    try:
        healthy = httpx.get(f"{endpoint.url}/health", timeout=seconds).status_code == 200
    except httpx.HTTPError:
        healthy = False
    return "up" if healthy else "starting"


def up(
    folder: Path,
    commands: Mapping[str, Callable[[int], Sequence[str]]],
    *,
    host: str,
    port: int,
    seconds: float,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> list[Endpoint]:
    """Start what does not run yet, and wait until all answer.

    Parameters
    ----------
    folder
        Where the endpoints' files and logs are kept.
    commands
        Name → function of a port that returns the command that serves the agent there.
    port
        Of the first one, the others follow; 0 takes free ones.
    seconds
        Time for all of them to answer.
    environ
        Variables that they get besides this process's own.

    Raises
    ------
    OperatorError
        A port is taken, or one of them ended or did not answer in time; those that were started
        are ended again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = started(folder)
    running = {name for name, one in known.items() if state(one) != "down"}
    new = []
    try:
        for number, (name, command) in enumerate(commands.items()):
            if name not in running:
                wanted = _port(name, host, port and port + number)
                known[name] = _start(
                    folder, name, command(wanted), f"http://{host}:{wanted}", environ or {}
                )
                new.append(name)
        _wait([known[name] for name in commands], seconds, progress)
    except BaseException:
        down(folder, new)
        raise
    return [known[name] for name in commands]


def down(folder: Path, names: Sequence[str] | None = None, *, seconds: float = 5.0) -> list[str]:
    """End agents, all or some; return the names of those that ran.

    Raises
    ------
    OperatorError
        A name that was not started.
    """
    known = started(folder)
    for name in names or ():
        if name not in known:
            raise OperatorError(f"no agent '{name}' was started{nearest(name, tuple(known))}")
    chosen = [known[name] for name in (known if names is None else names)]
    ran = [one for one in chosen if _process(one)]
    for one in ran:
        _signal(one, signal.SIGTERM)
    patience = time.monotonic() + seconds
    for one in ran:
        while _process(one) and time.monotonic() < patience:
            time.sleep(0.05)
        _signal(one, signal.SIGKILL)
    for child in _CHILDREN:
        if child.pid in {one.pid for one in ran}:
            child.wait()  # it was killed
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]
    for one in chosen:
        (folder / f"{one.name}.json").unlink(missing_ok=True)
    return [one.name for one in ran]


def _start(
    folder: Path, name: str, command: Sequence[str], url: str, environ: Mapping[str, str]
) -> Endpoint:
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it outlives this terminal
        )
    _CHILDREN.append(process)
    endpoint = Endpoint(name, url, process.pid, psutil.Process(process.pid).create_time(), str(log))
    part = folder / f"{name}.part"
    part.write_text(json.dumps(asdict(endpoint)), encoding="utf-8")
    part.replace(folder / f"{name}.json")
    return endpoint


def _wait(endpoints: Sequence[Endpoint], seconds: float, progress: Progress | None) -> None:
    waiting = {one.name: one for one in endpoints}
    patience = time.monotonic() + seconds
    while waiting:
        for name, one in list(waiting.items()):
            now = state(one)
            if now == "up":
                del waiting[name]
            elif now == "down":
                raise OperatorError(f"agent {name} ended: {_last(one)}")
        if progress:
            progress("start", len(endpoints) - len(waiting), len(endpoints))
        if waiting and time.monotonic() > patience:
            name, one = next(iter(waiting.items()))
            raise OperatorError(
                f"agent {name} did not answer within {seconds:g} s: {_last(one)}; see {one.log}, "
                "or raise agent.endpoints.start_seconds"
            )
        time.sleep(0.1 if waiting else 0)


def _last(endpoint: Endpoint) -> str:
    lines = Path(endpoint.log).read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it printed nothing")


def _port(name: str, host: str, wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            raise OperatorError(
                f"agent {name} cannot listen on {host}:{wanted}: {error.strerror}; choose another "
                "agent.endpoints.port, or 0 for free ones"
            ) from error
        port: int = probe.getsockname()[1]
    return port


def _process(endpoint: Endpoint) -> psutil.Process | None:
    """Return the endpoint's process; None when it ended, also if its number is another's now."""
    try:
        process = psutil.Process(endpoint.pid)
        same = process.create_time() == endpoint.born
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _signal(endpoint: Endpoint, what: signal.Signals) -> None:
    if _process(endpoint):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(endpoint.pid, what)
