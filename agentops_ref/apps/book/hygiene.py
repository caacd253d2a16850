"""Notebooks are committed clean: no outputs, no counts, a title first, a `parameters` cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentops_ref.apps.book.layout import read_notebook, source_of, tags_of, write_notebook

KEPT_NOTEBOOK_METADATA = {"kernelspec", "language_info", "title", "authors"}
KEPT_CELL_METADATA = {"tags", "editable", "slideshow"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def clean(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook without what a run leaves in it."""
    metadata = {k: v for k, v in notebook["metadata"].items() if k in KEPT_NOTEBOOK_METADATA}
    metadata["kernelspec"] = KERNEL  # not the name of whoever's environment saved it
    metadata["language_info"] = {"name": "python"}
    return {**notebook, "metadata": metadata, "cells": [_clean(c) for c in notebook["cells"]]}


def _clean(cell: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in cell.get("metadata", {}).items() if k in KEPT_CELL_METADATA}
    cleaned = {**cell, "metadata": kept}
    if cell["cell_type"] == "code":
        cleaned.update(outputs=[], execution_count=None)
    return cleaned


def problems(notebook: dict[str, Any]) -> list[str]:
    """Return what is wrong with a committed notebook, one line each; empty where nothing is."""
    cells = notebook["cells"]
    found: list[str] = []
    first = cells[0] if cells else {"cell_type": "none"}
    if first["cell_type"] != "markdown" or not source_of(first).startswith("# "):
        found.append("the first cell is not a markdown title (# ...)")
    parameters = [cell for cell in cells if "parameters" in tags_of(cell)]
    if len(parameters) != 1 or parameters[0]["cell_type"] != "code":
        found.append(f"{len(parameters)} cells tagged 'parameters'; expected one code cell")
    for number, cell in enumerate(cells, start=1):
        where = f"cell {number}"
        if cell.get("outputs"):
            found.append(f"{where} has outputs")
        if cell.get("execution_count") is not None:
            found.append(f"{where} has an execution count")
        extra = set(cell.get("metadata", {})) - KEPT_CELL_METADATA
        if extra:
            found.append(f"{where} has metadata of a run or an editor: {', '.join(sorted(extra))}")
        if "solution" in tags_of(cell) and cell["cell_type"] != "code":
            found.append(f"{where} is tagged 'solution' but is no code cell")
    extra = set(notebook["metadata"]) - KEPT_NOTEBOOK_METADATA
    if extra:
        found.append(f"metadata of a run or an editor: {', '.join(sorted(extra))}")
    if notebook["metadata"].get("kernelspec", KERNEL) != KERNEL:
        found.append("names the kernel of one machine")
    return found


def check(path: Path, *, fix: bool = False) -> list[str]:
    """Return a notebook's problems; with ``fix`` strip it first, which rewrites the file."""
    notebook = read_notebook(path)
    if fix:
        cleaned = clean(notebook)
        if cleaned != notebook:
            write_notebook(path, cleaned)
        notebook = cleaned
    return problems(notebook)
