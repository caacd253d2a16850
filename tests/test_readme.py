"""The README's example runs as printed, on recordings, from the repository's root."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_the_python_example_runs(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AGENTOPS__PATHS__CORPUS", str(corpus))
    monkeypatch.setenv("AGENTOPS__PATHS__CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AGENTOPS__PATHS__STATE", str(tmp_path / "state"))
    # Weights are out of reach: the example must run on what is recorded.
    monkeypatch.setenv("AGENTOPS__PATHS__WEIGHTS", str(tmp_path / "none"))
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    answer = names["answer"]
    assert answer.citations, answer  # type: ignore[attr-defined]
    assert answer.model.endswith("(replay)")  # type: ignore[attr-defined]
    assert names["hits"]
    assert answer.text in capsys.readouterr().out  # type: ignore[attr-defined]
