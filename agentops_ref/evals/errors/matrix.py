"""Between which two states the work went wrong: the last that succeeded x the first that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agentops_ref.evals.errors.records import START, Readings
from agentops_ref.intervals import Interval, proportion_interval


class Cell(NamedTuple):
    """One transition at which runs failed."""

    last_success: str
    first_failure: str
    traces: tuple[str, ...]
    """Ids of the traces that failed here."""
    share: float
    """Of the failed traces whose place is known."""
    interval: Interval

    @property
    def count(self) -> int:  # type: ignore[override]  # the tuple's is not used
        return len(self.traces)


class Matrix(NamedTuple):
    """All of them."""

    states: tuple[str, ...]
    """`START`, then the states in the order of the graph."""
    counts: tuple[tuple[int, ...], ...]
    """``counts[i][j]``: last success ``states[i]``, first failure ``states[j]``; square."""
    cells: tuple[Cell, ...]
    """Those that are not 0, the most frequent first."""
    placed: int
    """Failed traces whose two states are known: the sum of ``counts``."""
    unplaced: tuple[str, ...]
    """Ids of failed traces of which a reader gave notes and no states."""

    @property
    def used(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of the rows and of the columns that are not all 0, for what is drawn."""
        rows = tuple(i for i, row in enumerate(self.counts) if any(row))
        columns = tuple(j for j in range(len(self.states)) if any(row[j] for row in self.counts))
        return rows, columns


def failure_matrix(readings: Readings, *, level: float = 0.95) -> Matrix:
    """Count the failed traces by the last state that succeeded and the first that failed.

    Parameters
    ----------
    readings
        One reading a trace counts, the latest.
    level
        Level of the intervals, within 0..1 exclusive.

    Returns
    -------
    Matrix
        The sum of a row is the number of failed traces that were last right in that state, the sum
        of a column of those that first failed there.

    References
    ----------
    .. [1] H. Husain and S. Shankar, "LLM evals: everything you need to know", 2025, "How do I
       evaluate agentic workflows?" (the transition failure matrix, after B. Bischof).
    """
    placed: dict[tuple[str, str], list[str]] = {}
    for one in readings.failed:
        if one.placed:
            placed.setdefault((one.last_success, one.first_failure), []).append(one.trace)
    total = sum(map(len, placed.values()))
    states = (START, *readings.states())
    counts = tuple(tuple(len(placed.get((row, column), ())) for column in states) for row in states)
    at = {state: index for index, state in enumerate(states)}
    cells = [
        Cell(row, column, tuple(sorted(ids)), len(ids) / total,
             proportion_interval(len(ids), total, level))
        for (row, column), ids in placed.items()
    ]  # fmt: skip
    cells.sort(key=lambda c: (-c.count, at[c.last_success], at[c.first_failure]))
    unplaced = tuple(sorted(one.trace for one in readings.failed if not one.placed))
    return Matrix(states, counts, tuple(cells), total, unplaced)


def describe_matrix(matrix: Matrix) -> str:
    """The matrix in words, its cells one a line: the figure's text equivalent."""
    lines = [f"failed traces with a place: {matrix.placed}"]
    for cell in matrix.cells:
        ends = f"{cell.interval.low:.0%} to {cell.interval.high:.0%}"
        lines.append(
            f"right until {cell.last_success}, wrong in {cell.first_failure}: {cell.count} "
            f"({cell.share:.0%}, {ends})"
        )
    if matrix.unplaced:
        lines.append(f"failed without a place: {len(matrix.unplaced)}")
    return "\n".join(lines)


def matrix_dict(matrix: Matrix) -> Mapping[str, object]:
    """Return plain data for JSON."""
    return {
        "states": list(matrix.states),
        "counts": [list(row) for row in matrix.counts],
        "placed": matrix.placed,
        "unplaced": list(matrix.unplaced),
        "cells": [
            {
                "last_success": cell.last_success,
                "first_failure": cell.first_failure,
                "count": cell.count,
                "share": round(cell.share, 6),
                "low": round(cell.interval.low, 6),
                "high": round(cell.interval.high, 6),
                "traces": list(cell.traces),
            }
            for cell in matrix.cells
        ],
    }
