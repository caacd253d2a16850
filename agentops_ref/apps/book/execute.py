"""Executes the notebooks, two at a time, each in its own state; what is unchanged is kept.

A finished output replaces the previous one in one step and carries its key, so an interrupted
run goes on where it stopped, and a changed input can never be shown with an old result.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from agentops_ref.apps.book.keys import notebook_key, shared_key
from agentops_ref.apps.book.layout import Layout, read_notebook, write_notebook
from agentops_ref.files import write_whole

RECORD = "agentops"
"""Key of a notebook's metadata under which its `Run` is kept."""


ANSWERS = "AGENTOPS_ANSWER_LOG"
KERNEL_FILE = re.compile(r"ipykernel_\d+/\d+\.py")
"""How what Python calls a cell in warnings ends; a folder stands before it."""


@dataclass(frozen=True)
class Run:
    """One line of the execution table."""

    notebook: str
    status: Literal["executed", "failed"]
    seconds: float
    """Wall time, start of the kernel included."""
    finished: str
    """UTC, ISO 8601, to the second."""
    cells: int
    """Code cells that ran."""
    warnings: int
    """Cells that wrote to standard error."""
    mode: str
    """``models.mode``: live, replay, record or scripted."""
    model: str
    """Name of the chat model that answered, or whose recorded answers were replayed."""
    answers: dict[str, int]
    """How often the chat model was asked: ``{"replay": 40, "live": 1}``; as the models counted."""
    key: str


@dataclass(frozen=True)
class Failure:
    """A cell that raised."""

    notebook: str
    cell: int
    source: str
    error: str
    traceback: tuple[str, ...]
    output: Path


@dataclass(frozen=True)
class Outcome:
    """What `execute` did."""

    ran: tuple[str, ...]
    kept: tuple[str, ...]
    failures: tuple[Failure, ...]


Listener = Callable[[str, str, int, int], None]
"""(notebook, "waiting" | "running" | "executed" | "kept" | "failed", cells done, cells in all)"""


def kernel_environment(layout: Layout, name: str, *, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that one notebook's process runs with.

    The kernel is this very interpreter, whatever kernels a home folder knows; whatever the
    notebook leaves behind lies below ``_build``.
    """
    jupyter = layout.build / "jupyter"
    return {
        **base,
        "AGENTOPS__PATHS__STATE": str(layout.state_of(name)),
        "AGENTOPS__TRACKING__SECONDS": "20",  # cells look at traces, and the machine may be busy
        ANSWERS: str(answers_of(layout, name)),
        "JUPYTER_DATA_DIR": str(jupyter / "data"),
        "JUPYTER_CONFIG_DIR": str(jupyter / "config"),
        "JUPYTER_RUNTIME_DIR": str(jupyter / "runtime"),
        "JUPYTER_PATH": "",
        "JUPYTER_PREFER_ENV_PATH": "0",
        "IPYTHONDIR": str(jupyter / "ipython"),
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PLOTLY_RENDERER": "plotly_mimetype",  # the renderer adds one local copy of plotly.js
        "COLUMNS": "100",
    }


def answers_of(layout: Layout, name: str) -> Path:
    """Return the file to which the models append one line an answer: ``replay`` or ``live``."""
    return layout.state_of(name) / "answers.log"


def install_kernel(layout: Layout) -> None:
    """Describe this interpreter as the ``python3`` kernel, where only our processes look."""
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
        "metadata": {"debugger": False},
    }
    folder = layout.build / "jupyter" / "data" / "kernels" / "python3"
    write_whole(folder / "kernel.json", json.dumps(spec, indent=1))


def answering_model(layout: Layout) -> tuple[str, str]:
    """Return (mode, chat model) as the configuration and the environment say."""
    from agentops_ref.config import load_config

    folder = layout.root / "config"
    models = load_config(folder if folder.is_dir() else None).models
    return models.mode, models.chat.name


def execute(
    layout: Layout,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    jobs: int = 2,
    listen: Listener = lambda *_: None,
) -> Outcome:
    """Execute every notebook whose inputs changed; go on after a failure and report them all.

    Parameters
    ----------
    only
        Stems or file names; empty means all.
    force
        Execute what is unchanged as well.
    """
    chosen = {name.removesuffix(".ipynb") for name in only}
    sources = [path for path in layout.sources() if not chosen or path.stem in chosen]
    shared = shared_key(layout)
    keys = {path: notebook_key(shared, path) for path in sources}
    kept = [
        path for path in sources if not force and _key_of(layout.executed / path.name) == keys[path]
    ]
    todo = [path for path in sources if path not in kept]
    for path in sources:
        total = len(read_notebook(path)["cells"])
        listen(path.stem, "kept" if path in kept else "waiting", 0, total)
    failures: list[Failure] = []
    if todo:
        install_kernel(layout)
        failures = _run_all(layout, todo, keys, jobs, listen)
    _write_runs(layout, {failure.notebook for failure in failures})
    return Outcome(
        tuple(path.stem for path in todo),
        tuple(path.stem for path in kept),
        tuple(sorted(failures, key=lambda failure: failure.notebook)),
    )


@dataclass(frozen=True)
class _Batch:
    """What the workers share."""

    layout: Layout
    keys: Mapping[Path, str]
    answering: tuple[str, str]
    listen: Listener
    running: set[subprocess.Popen[str]] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)


def _run_all(
    layout: Layout, todo: Sequence[Path], keys: Mapping[Path, str], jobs: int, listen: Listener
) -> list[Failure]:
    batch = _Batch(layout, keys, answering_model(layout), listen)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(_run_one, batch, path) for path in todo]
        try:
            # With a time limit, since only between waits does Python see Ctrl-C everywhere.
            while wait(futures, timeout=0.5).not_done:
                pass
        except BaseException:
            batch.stopped.set()
            while wait(futures, timeout=0.2).not_done:
                for process in list(batch.running):
                    process.terminate()
            raise
    return [failure for future in futures if (failure := future.result()) is not None]


def without_kernel_files(text: str) -> str:
    """Write ``<cell>`` for every path of a kernel's file.

    The folder is looked for from its end: a pattern that begins with "anything" tries every
    character of every embedded picture, which takes minutes.
    """
    parts, done = [], 0
    for found in KERNEL_FILE.finditer(text):
        start = found.start()
        while start > done and not (text[start - 1].isspace() or text[start - 1] == '"'):
            start -= 1
        parts += [text[done:start], "<cell>"]
        done = found.end()
    return "".join([*parts, text[done:]])


def _run_one(batch: _Batch, path: Path) -> Failure | None:
    if batch.stopped.is_set():
        return None
    layout, name, listen = batch.layout, path.stem, batch.listen
    total = len(read_notebook(path)["cells"])
    output, failed = layout.executed / path.name, layout.executed / f"{name}.failed.ipynb"
    partial = layout.executed / f".{name}.partial.ipynb"
    layout.executed.mkdir(parents=True, exist_ok=True)
    failed.unlink(missing_ok=True)
    shutil.rmtree(layout.state_of(name), ignore_errors=True)
    layout.state_of(name).mkdir(parents=True)
    listen(name, "running", 0, total)
    started = time.monotonic()
    status, report = _run_process(batch, path, partial)
    if batch.stopped.is_set():  # nothing of it is kept, and nothing failed
        partial.unlink(missing_ok=True)
        return None
    if status == 0:
        # A page is the same wherever it was made: no paths of this machine, no process numbers.
        text = partial.read_text(encoding="utf-8").replace(f"{layout.root}{os.sep}", "")
        partial.write_text(without_kernel_files(text), encoding="utf-8")
        _finish(partial, output, name, batch, batch.keys[path], time.monotonic() - started)
        listen(name, "executed", total, total)
        return None
    output.unlink(missing_ok=True)  # what it showed no longer follows from the sources
    if partial.exists():
        partial.replace(failed)
    listen(name, "failed", 0, total)
    return Failure(
        notebook=name,
        cell=int(report.get("cell", -1)),
        source=str(report.get("source", "")),
        error=str(report.get("error", f"the process ended with status {status}")),
        traceback=tuple(report["traceback"]),
        output=failed,
    )


def _run_process(batch: _Batch, path: Path, partial: Path) -> tuple[int, dict[str, Any]]:
    """Run one notebook in a process; return its status and what it says of a failure."""
    total = len(read_notebook(path)["cells"])
    errors: list[str] = []
    report: dict[str, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "agentops_ref.apps.book.runner", str(path), str(partial)],
        cwd=batch.layout.root,
        env=kernel_environment(batch.layout, path.stem, base=os.environ),
        stdin=subprocess.PIPE,  # closes with us; see runner
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        batch.running.add(process)
        drain = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
        drain.start()
        for line in process.stdout or ():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "cell":
                batch.listen(path.stem, "running", int(event["index"]) + 1, total)
            elif event.get("event") == "failed":
                report = event
        status = process.wait()
        drain.join(5)
        batch.running.discard(process)
    report.setdefault("traceback", [line.rstrip() for line in errors[-25:]])
    return status, report


def _finish(
    partial: Path, output: Path, name: str, batch: _Batch, key: str, seconds: float
) -> None:
    notebook = read_notebook(partial)
    answers = answers_of(batch.layout, name)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    loud = sum(any(out.get("name") == "stderr" for out in cell["outputs"]) for cell in code)
    run = Run(
        notebook=name,
        status="executed",
        seconds=round(seconds, 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        cells=len(code),
        warnings=loud,
        mode=batch.answering[0],
        model=batch.answering[1],
        answers=dict(Counter(answers.read_text().split())) if answers.exists() else {},
        key=key,
    )
    # papermill's own notes hold paths of this machine and times that differ each run.
    notebook["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
    notebook["metadata"][RECORD] = asdict(run)
    write_notebook(output, notebook)
    partial.unlink()


def _key_of(executed: Path) -> str | None:
    try:
        key = json.loads(executed.read_text(encoding="utf-8"))["metadata"][RECORD]["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(key)


def stale(layout: Layout) -> list[str]:
    """Return the notebooks whose executed version is missing or older than their inputs."""
    shared = shared_key(layout)
    return [
        path.stem
        for path in layout.sources()
        if _key_of(layout.executed / path.name) != notebook_key(shared, path)
    ]


def _write_runs(layout: Layout, failed: set[str]) -> None:
    rows: list[dict[str, Any]] = []
    for path in layout.sources():
        executed = layout.executed / path.name
        if executed.exists():
            rows.append(read_notebook(executed)["metadata"][RECORD])
        elif path.stem in failed:
            rows.append({"notebook": path.stem, "status": "failed"})
    layout.executed.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"python": sys.version.split()[0], "notebooks": rows}, indent=1) + "\n"
    if not layout.runs.exists() or layout.runs.read_text(encoding="utf-8") != text:
        write_whole(layout.runs, text)
