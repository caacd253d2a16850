"""Runs one notebook with papermill, in a process of its own.

`execute` starts it; each line on standard output is one JSON event: ``{"event": "cell"}`` after
every cell, ``{"event": "failed", ...}`` where one raised.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any

ANSI = re.compile(r"\x1b\[[0-9;]*m")
CELL_SECONDS = 900


def tell(**event: Any) -> None:
    """Write one event for the parent."""
    print(json.dumps(event), flush=True)


def run(source: Path, output: Path) -> bool:
    """Execute ``source`` into ``output``; False where a cell raised."""
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError

    class Telling(NBClientEngine):  # type: ignore[misc]  # papermill has no types
        """papermill's own engine, which says when a cell is done."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            complete = nb_man.cell_complete

            def complete_and_tell(cell: Any, cell_index: int | None = None, **more: Any) -> None:
                complete(cell, cell_index=cell_index, **more)
                tell(event="cell", index=cell_index)

            nb_man.cell_complete = complete_and_tell
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("telling", Telling)
    try:
        papermill.execute_notebook(
            str(source),
            str(output),
            parameters={},
            engine_name="telling",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=120,
            execution_timeout=CELL_SECONDS,
        )
    except PapermillExecutionError as error:
        trace = ANSI.sub("", "\n".join(error.traceback)).splitlines()
        tell(
            event="failed",
            cell=error.cell_index,
            source=error.source,
            error=f"{error.ename}: {ANSI.sub('', error.evalue)}",
            traceback=trace[-25:],
        )
        return False
    return True


def _leave_when_the_parent_does() -> None:
    """End with the parent, so that a killed build leaves no kernel behind."""
    sys.stdin.read()
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_leave_when_the_parent_does, daemon=True).start()
    sys.exit(0 if run(Path(sys.argv[1]), Path(sys.argv[2])) else 1)
