"""Executing, stripping and emptying notebooks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentops_ref.apps.book.command import book
from agentops_ref.apps.book.execute import execute, stale, without_kernel_files
from agentops_ref.apps.book.hygiene import check, clean, problems
from agentops_ref.apps.book.keys import notebook_key, shared_key
from agentops_ref.apps.book.layout import Layout, find_layout, read_notebook, write_notebook
from agentops_ref.apps.book.student import STUB, student_version
from agentops_ref.errors import OperatorError


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": f"m{len(source)}", "metadata": {}, "source": source}


def code(source: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"c{len(source)}-{len(tags)}",
        "metadata": {"tags": list(tags)} if tags else {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": [markdown("# A trial"), code("n = 2", "parameters"), *cells],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def layout(tmp_path: Path, repo_root: Path) -> Layout:
    """A book of its own, with the package's configuration and one small notebook."""
    for name in ("_toc.yml", "_config.yml", "constraints.txt"):
        shutil.copy(repo_root / name, tmp_path / name)
    shutil.copytree(repo_root / "config", tmp_path / "config")
    (tmp_path / "notebooks").mkdir()
    write_notebook(tmp_path / "notebooks" / "01-good.ipynb", notebook(code("n * 21")))
    return Layout(tmp_path)


@pytest.mark.slow
def test_a_second_run_executes_nothing(layout: Layout) -> None:
    cells = [
        code("import os, sys; print(sys.executable); print(os.environ['AGENTOPS__PATHS__STATE'])"),
        code("import warnings; warnings.warn('seen')"),
        code("open(os.environ['AGENTOPS_ANSWER_LOG'], 'a').write('live\\nreplay\\nreplay\\n');"),
        code("n * 21"),
    ]
    source = layout.notebooks / "01-good.ipynb"
    write_notebook(source, notebook(*cells))

    first = execute(layout)
    assert (first.ran, first.kept, first.failures) == (("01-good",), (), ())
    done = read_notebook(layout.executed / "01-good.ipynb")
    outputs = [cell["outputs"] for cell in done["cells"][2:]]
    # This interpreter, a state of its own, and no path of this machine on the page.
    interpreter, state = "".join(outputs[0][0]["text"]).splitlines()
    assert interpreter == sys.executable
    assert state == "_build/notebook-state/01-good"
    assert "<cell>:1: UserWarning: seen" in "".join(outputs[1][0]["text"])
    assert "".join(outputs[3][0]["data"]["text/plain"]) == "42"
    assert "papermill" not in json.dumps(done)

    row = json.loads(layout.runs.read_text())["notebooks"][0]
    assert (row["notebook"], row["status"], row["cells"]) == ("01-good", "executed", 5)
    assert (row["mode"], row["warnings"]) == ("replay", 1)
    assert row["model"].startswith("qwen")
    assert row["answers"] == {"live": 1, "replay": 2}

    before = (layout.executed / "01-good.ipynb").stat().st_mtime_ns
    again = execute(layout)
    assert (again.ran, again.kept) == ((), ("01-good",))
    assert (layout.executed / "01-good.ipynb").stat().st_mtime_ns == before
    assert stale(layout) == []


@pytest.mark.slow
def test_a_failing_cell_is_shown_and_the_others_still_run(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = notebook(code("print('so far')"), code("share = 0.4\nassert share > 0.5, 'too low'"))
    write_notebook(layout.notebooks / "00-bad.ipynb", bad)
    (layout.executed).mkdir(parents=True)
    write_notebook(layout.executed / "00-bad.ipynb", bad)  # of an earlier state of the sources
    monkeypatch.chdir(layout.root)

    result = CliRunner().invoke(book, ["execute"])

    assert result.exit_code == 1
    assert "00-bad: AssertionError: too low" in result.output
    assert "    assert share > 0.5" in result.output
    assert "_build/executed/00-bad.failed.ipynb" in result.output
    failed = read_notebook(layout.executed / "00-bad.failed.ipynb")
    assert "so far" in json.dumps(failed)
    assert not (layout.executed / "00-bad.ipynb").exists()
    assert (layout.executed / "01-good.ipynb").exists()
    rows = {r["notebook"]: r["status"] for r in json.loads(layout.runs.read_text())["notebooks"]}
    assert rows == {"00-bad": "failed", "01-good": "executed"}


@pytest.mark.slow
def test_an_interrupted_run_leaves_nothing_half_done(layout: Layout) -> None:
    write_notebook(
        layout.notebooks / "02-long.ipynb", notebook(code("import time; time.sleep(60)"))
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "agentops_ref.apps.book", "execute"],
        cwd=layout.root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A shell has what it runs in the background ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (layout.executed / "01-good.ipynb").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert sorted(path.name for path in layout.executed.glob("0*.ipynb")) == ["01-good.ipynb"]
    assert stale(layout) == ["02-long"]


def test_key_changes_with_each_input(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    path = layout.notebooks / "01-good.ipynb"

    def key() -> str:
        return notebook_key(shared_key(layout), path)

    keys = [key()]
    for name in ("config/base.yaml", "constraints.txt", "corpus/case.md", "recordings/a.json"):
        file = layout.root / name
        file.parent.mkdir(exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + "# more\n")
        keys.append(key())
    (layout.root / "agentops_ref" / "etl").mkdir(parents=True)
    (layout.root / "agentops_ref" / "etl" / "sync.py").write_text("x = 1\n")
    keys.append(key())
    monkeypatch.setenv("AGENTOPS__MODELS__MODE", "live")
    keys.append(key())
    write_notebook(path, notebook(code("n * 22")))
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_key_ignores_outputs_caches_and_the_page_builder(layout: Layout) -> None:
    path = layout.notebooks / "01-good.ipynb"
    before = notebook_key(shared_key(layout), path)
    seen = notebook(code("n * 21"))
    seen["cells"][1]["execution_count"] = 3
    write_notebook(path, seen)
    for name in ("agentops_ref/apps/book/pages.py", "config/__pycache__/x.pyc"):
        (layout.root / name).parent.mkdir(parents=True, exist_ok=True)
        (layout.root / name).write_text("x = 1\n")
    assert notebook_key(shared_key(layout), path) == before


def test_a_clean_notebook_has_no_problems() -> None:
    assert problems(notebook(code("1"))) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda nb: nb["cells"].pop(0), "first cell is not a markdown title"),
        (lambda nb: nb["cells"].pop(1), "0 cells tagged 'parameters'"),
        (lambda nb: nb["cells"][1].update(execution_count=1), "cell 2 has an execution count"),
        (lambda nb: nb["cells"][1].update(outputs=[{}]), "cell 2 has outputs"),
        (lambda nb: nb["cells"][1]["metadata"].update(papermill={}), "metadata of a run"),
        (lambda nb: nb["metadata"].update(widgets={}), "widgets"),
        (lambda nb: nb["metadata"].update(kernelspec={"name": "mine"}), "kernel of one machine"),
        (lambda nb: nb["cells"][0].update(metadata={"tags": ["solution"]}), "no code cell"),
    ],
)
def test_problems_are_named(change: Any, said: str) -> None:
    dirty = notebook(code("1"))
    change(dirty)
    assert any(said in line for line in problems(dirty))


def test_fix_strips_what_a_run_left_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    dirty = notebook(code("1", "hide-input"))
    dirty["cells"][2].update(execution_count=4, outputs=[{"output_type": "stream", "text": "x"}])
    dirty["cells"][2]["metadata"]["collapsed"] = True
    write_notebook(path, dirty)
    assert len(check(path)) == 3
    assert check(path, fix=True) == []
    kept = read_notebook(path)["cells"][2]
    assert (kept["source"], kept["metadata"]) == (["1"], {"tags": ["hide-input"]})
    assert clean(read_notebook(path)) == read_notebook(path)


def test_student_version_empties_solutions_and_keeps_what_is_asked() -> None:
    solved = notebook(
        code("# `wrong`: a share\n\nwrong = 1 - 0.7", "solution", "hide-cell"), code("check(wrong)")
    )
    cells = student_version(solved)["cells"]
    assert cells[2]["source"] == f"# `wrong`: a share\n{STUB}"
    assert cells[2]["metadata"]["tags"] == ["exercise"]
    assert cells[3]["source"] == "check(wrong)"


def test_a_file_that_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(OperatorError, match=r"broken\.ipynb: not readable"):
        read_notebook(tmp_path / "broken.ipynb")


def test_outside_a_clone_the_builder_says_so(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="run this in a clone"):
        find_layout(tmp_path)


def test_committed_notebooks_are_clean(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo_root)
    found = CliRunner().invoke(book, ["hygiene"])
    assert found.exit_code == 0, found.output


def test_kernel_files_are_named_cell_however_large_the_pictures_are() -> None:
    text = '{"a": "/tmp/ipykernel_12/345.py:3: Warning", "png": "' + "iVBO/Rw0" * 400_000 + '"}'
    assert without_kernel_files(text).startswith('{"a": "<cell>:3: Warning"')
    assert (
        without_kernel_files("C:/x/ipykernel_1/2.py and /y/ipykernel_3/4.py") == "<cell> and <cell>"
    )
    assert without_kernel_files("nothing") == "nothing"
