"""The execution as a reader watches it: one bar a notebook; plain lines where nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from agentops_ref.apps.book.execute import Listener

STYLES = {"executed": "green", "kept": "dim", "failed": "red", "running": "cyan", "waiting": "dim"}


@contextmanager
def progress(console: Console | None = None) -> Iterator[Listener]:
    """Yield a listener for `execute` that draws its progress."""
    console = console or Console()
    if not console.is_terminal:

        def say(name: str, status: str, done: int, total: int) -> None:
            if status in ("executed", "failed", "kept"):
                console.print(f"{status:9} {name}", highlight=False)

        yield say
        return
    bars = Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        console=console,
    )
    tasks: dict[str, TaskID] = {}

    def draw(name: str, status: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total, start=False, status="")
        if status == "running" and done == 0:
            bars.reset(tasks[name])
        ended = status in ("executed", "kept")
        shown = f"[{STYLES[status]}]{status}[/]"
        bars.update(tasks[name], completed=total if ended else done, status=shown)
        if status == "failed":
            bars.stop_task(tasks[name])

    with bars:
        yield draw
