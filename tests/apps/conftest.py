"""The command line, called in this process as a shell would call it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from agentops_ref.apps.cli import cli
from agentops_ref.apps.cli.common import run

Agentops = Callable[..., tuple[int, str, str]]
"""Arguments, and ``given`` on standard input → exit code, standard output, standard error."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Agentops:
    """Calls `agentops` in the current folder."""

    def call(*arguments: str, given: bytes | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["agentops", *arguments])
        if given is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        code = 0
        try:
            run(cli)
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
