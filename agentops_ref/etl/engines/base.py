"""What an engine is, and the plain loop."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from agentops_ref.etl.draft import Draft, Task, draft
from agentops_ref.etl.sources import Source
from agentops_ref.etl.stages import Stages


class Engine(Protocol):
    """Runs `agentops_ref.etl.draft.draft` over many documents."""

    def draft(
        self, source: Source, stages: Stages, tasks: Sequence[Task]
    ) -> Generator[Draft, None, None]:
        """Yield one draft per task, in the order of the tasks, as they are done.

        What the engine holds of them in memory does not grow with their number. Closing the
        iterator ends the work. Afterwards ``stages.work`` counts the calls, wherever they ran.

        Raises
        ------
        AgentOpsError, ImportError, MemoryError
            What is not a document's fault; nothing of the run is to be used.
        """
        ...


class LocalEngine:
    """One document after the other, in this process."""

    def draft(
        self, source: Source, stages: Stages, tasks: Sequence[Task]
    ) -> Generator[Draft, None, None]:
        return (draft(source, stages, task) for task in tasks)
