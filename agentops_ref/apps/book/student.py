"""Exercises made from solutions: the same notebook, its `solution` cells emptied."""

from __future__ import annotations

from typing import Any

from agentops_ref.apps.book.hygiene import clean
from agentops_ref.apps.book.layout import (
    Layout,
    read_notebook,
    source_of,
    tags_of,
    write_notebook,
)

STUB = "# your answer here"


def student_version(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with every solution replaced by a stub.

    Comment lines at a solution's head stay: they say what is asked for, e.g. which names the
    check reads.
    """
    stripped = clean(notebook)
    return {**stripped, "cells": [_stub(cell) for cell in stripped["cells"]]}


def _stub(cell: dict[str, Any]) -> dict[str, Any]:
    if "solution" not in tags_of(cell):
        return cell
    head: list[str] = []
    for line in source_of(cell).splitlines():
        if not line.startswith("#"):
            break
        head.append(line)
    tags = [tag for tag in tags_of(cell) if tag not in ("solution", "hide-cell", "hide-input")]
    metadata = {**cell["metadata"], "tags": tags or ["exercise"]}
    return {**cell, "metadata": metadata, "source": "\n".join([*head, STUB])}


def write_students(layout: Layout) -> list[str]:
    """Write ``_build/student/*.ipynb``; return their names."""
    for path in layout.sources():
        write_notebook(layout.student / path.name, student_version(read_notebook(path)))
    return [path.name for path in layout.sources()]
