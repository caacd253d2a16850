"""Every failure in every architecture that has the part: one row for each."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from agentops_ref.apps.failures.bench import ARCHITECTURES, PARTS, Bench
from agentops_ref.apps.failures.injected import FAILURES, Failure
from agentops_ref.apps.failures.processes import Processes
from agentops_ref.records import Answer

Status = Literal["unharmed", "partial", "stated", "silent"]
AT_ONCE = 24
"""Questions that are being asked; most of them only wait."""


class Outcome(NamedTuple):
    """What became of one question in which something failed."""

    failure: str
    architecture: str
    answer: Answer
    seconds: float
    deadline: float
    """Seconds."""
    spans: dict[str, str]
    """Span that is marked as failed → why."""
    written: tuple[str, ...] = ()
    """What the tool that writes has done."""

    @property
    def status(self) -> Status:
        """What the caller got: the answer, a part of it, a failure that is stated, or neither."""
        if self.answer.problem:
            return "stated" if self.answer.abstained else "partial"
        return "silent" if self.answer.abstained else "unharmed"


def applies(failure: Failure, architecture: str) -> bool:
    """Whether an architecture has the part that fails."""
    return failure.part in PARTS[architecture]


@contextmanager
def bench(
    failure: Failure, architecture: str, *, seconds: float, processes: Processes
) -> Iterator[Bench]:
    """Give the parts of an architecture with the failure put in; undo it at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Bench(architecture, failure.part, Path(folder), seconds, processes)
        with made.around:
            made.around.callback(made.over.set)
            failure.inject(made)
            yield made


def inject(failure: Failure, architecture: str, *, seconds: float, processes: Processes) -> Outcome:
    """Let one part fail, and ask."""
    with bench(failure, architecture, seconds=seconds, processes=processes) as made:
        ask = made.agent()
        started = time.perf_counter()
        answer = ask()
        spent = time.perf_counter() - started
        # A temporary folder's name says nothing to a reader.
        answer = replace(answer, problem=answer.problem.replace(f"{made.folder}/", ""))
        spans = {k: v.replace(f"{made.folder}/", "") for k, v in made.recorded.failures.items()}
        return Outcome(
            failure.name,
            architecture,
            answer,
            spent,
            made.seconds,
            spans,
            tuple(made.written),
        )


def matrix(
    failures: Sequence[Failure] = FAILURES,
    architectures: Sequence[str] = ARCHITECTURES,
    *,
    seconds: float = 20.0,
) -> pd.DataFrame:
    """Inject each failure into each architecture that has the part; return a row for each.

    Parameters
    ----------
    seconds
        The deadline of a request.

    Returns
    -------
    DataFrame
        failure, architecture, answer (see `Outcome.status`), problem, share (of the deadline that
        was taken), spans (those that are marked as failed, outermost first).
    """
    pairs = [(one, kind) for one in failures for kind in architectures if applies(one, kind)]
    with _unlogged(), Processes() as processes, ThreadPoolExecutor(AT_ONCE) as pool:
        for kind in ("mcp", "agent"):
            if any(one.part == {"mcp": "mcp", "agent": "endpoint"}[kind] for one, _ in pairs):
                processes.ahead(kind)
        _import()
        found = list(
            pool.map(lambda pair: inject(*pair, seconds=seconds, processes=processes), pairs)
        )
    return pd.DataFrame(
        [
            {
                "failure": one.failure,
                "architecture": one.architecture,
                "answer": one.status,
                "problem": one.answer.problem,
                "share": one.seconds / one.deadline,
                "spans": " › ".join(one.spans),
            }
            for one in found
        ]
    )


def overview(found: pd.DataFrame) -> pd.DataFrame:
    """Return what a caller got, by failure and architecture, and the most time that it took."""
    table = found.pivot_table(
        index="failure", columns="architecture", values="answer", aggfunc="first", sort=False
    )
    table = table.reindex(columns=[k for k in ARCHITECTURES if k in table.columns]).fillna("")
    table["time"] = found.groupby("failure")["share"].max().map("{:.0%}".format)
    return table.rename_axis(columns=None)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Log nothing of failures that are meant to be."""
    logger = logging.getLogger("agentops_ref")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _import() -> None:
    """Import what the first question would, on its time."""
    import httpx  # noqa: F401
    import langgraph.graph  # noqa: F401
    import mlflow  # noqa: F401

    import agentops_ref.agents.memory.conversation
    import agentops_ref.agents.supervisor
    import agentops_ref.agents.tools.mcp  # noqa: F401
