"""What runs in a worker process: tasks in, drafts out, as lines."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from agentops_ref.errors import OperatorError
from agentops_ref.etl.draft import drafted_elsewhere
from agentops_ref.etl.engines import wire
from agentops_ref.etl.sources import Source
from agentops_ref.etl.stages import Stages

Parts = Callable[[], tuple[Source, Stages]]
"""Makes what a worker works with. It is pickled, what it makes is not: models are loaded there."""


class Worker:
    """Makes its source and stages at its first task or when it is set up, and keeps them.

    Parameters
    ----------
    parts
        A pickled `Parts`.
    listed
        What the source of the syncing process found out when it listed; see `Listed`.
    recipe
        Key of the recipes of the syncing process.
    """

    def __init__(self, parts: bytes, listed: dict[str, Any], recipe: str) -> None:
        self._pickled, self._listed, self._recipe = parts, listed, recipe
        self._made: tuple[Source, Stages] | None = None
        self._stopped = False

    def set_up(self) -> None:
        """Make them now; if that fails, the first task says why."""
        with suppress(Exception):
            self._parts()

    def draft(self, lines: Sequence[str]) -> list[str]:
        """Return a line for each task; never raises.

        After an error that is not a document's fault, this worker does nothing any more.
        """
        return [self._line(line) for line in lines]

    def _line(self, line: str) -> str:
        number = -1
        try:
            number, task = wire.read_task(line)
            if self._stopped:
                raise OperatorError("this worker stopped at an earlier error")
            source, stages = self._parts()
            return wire.draft_line(number, drafted_elsewhere(source, stages, task))
        except Exception as error:
            self._stopped = True
            return wire.error_line(number, error)

    def _parts(self) -> tuple[Source, Stages]:
        if self._made is None:
            source, stages = pickle.loads(self._pickled)()
            if stages.recipe != self._recipe:
                raise OperatorError(
                    f"a worker's recipes are {stages.recipe}, this process's {self._recipe}: "
                    "install the same versions on every machine (constraints.txt)"
                )
            for name, value in self._listed.items():
                setattr(source, name, value)
            self._made = source, stages
        return self._made
