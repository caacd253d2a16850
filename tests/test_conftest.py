"""The guards that every test stands under."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.conftest import BuiltBefore, NetworkBlocked


def test_no_test_leaves_the_machine() -> None:
    with socket.socket() as sock, pytest.raises(NetworkBlocked, match=r"192\.0\.2\.1:9"):
        sock.connect(("192.0.2.1", 9))
    with pytest.raises(NetworkBlocked, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)


def test_no_test_looks_into_what_was_built(
    repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo_root)
    for path in (Path("_build") / "corpus" / "corpus.json", repo_root / "_build" / "none"):
        with pytest.raises(BuiltBefore):
            path.read_bytes()
    with pytest.raises(BuiltBefore):
        list((repo_root / "_build").iterdir())
    (tmp_path / "_build").mkdir()
    assert list((tmp_path / "_build").iterdir()) == [], "another _build is not meant"
    shutil.rmtree(tmp_path / "_build")
    (tmp_path / "old" / "_build").mkdir(parents=True)
    shutil.rmtree(tmp_path / "old")
