"""Stages pages and executed notebooks, has Sphinx make HTML, checks that it opens offline."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from agentops_ref.apps.book.execute import RECORD, stale
from agentops_ref.apps.book.figures import localise
from agentops_ref.apps.book.layout import (
    Layout,
    files_below,
    read_notebook,
    source_of,
    tags_of,
    write_notebook,
)
from agentops_ref.apps.book.offline import fetches
from agentops_ref.apps.book.pages import GENERATED, run_note
from agentops_ref.errors import DeveloperError, OperatorError

REPOSITORY_VARIABLE = "AGENTOPS_BOOK_REPOSITORY"
STAMP = ".rendered"
BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")


class Rendered(NamedTuple):
    """Where the book is, and whether this call made it."""

    page: Path
    was_built: bool


def render(layout: Layout, *, draft: bool = False, force: bool = False) -> Rendered:
    """Build ``_build/html`` from what was executed; nothing to do where nothing changed.

    Parameters
    ----------
    draft
        For authors: leave out the pages of ``_toc.yml`` that do not exist yet, and show results
        that are older than their sources, instead of failing.

    Raises
    ------
    DeveloperError
        A page gives a warning, or would fetch something from a network.
    OperatorError
        A notebook has to be executed first.
    """
    if not draft and (old := stale(layout)):
        raise OperatorError(
            f"not executed since something changed: {', '.join(old)} (`make book` executes them; "
            "--draft shows the pages as they are)"
        )
    stage(layout, draft=draft, environ=os.environ)
    index = layout.html / "index.html"
    digest = _digest(layout)
    stamp = layout.html / STAMP
    if not force and index.exists() and stamp.exists() and stamp.read_text() == digest:
        return Rendered(index, False)
    # Always from the start: Sphinx does not notice a changed style sheet or docstring. What is
    # shown is replaced only by pages that passed.
    fresh = layout.build / "html.partial"
    shutil.rmtree(fresh, ignore_errors=True)
    _sphinx(layout, fresh)
    found = [f"{page}: {what} {address}" for page, what, address in fetches(fresh)]
    if found:
        raise DeveloperError("the book would not open offline:\n" + "\n".join(found[:20]))
    (fresh / STAMP).write_text(digest)
    shutil.rmtree(layout.html, ignore_errors=True)
    fresh.replace(layout.html)
    return Rendered(index, True)


def stage(layout: Layout, *, draft: bool, environ: Mapping[str, str]) -> None:
    """Write ``_build/src``: pages, those that are generated among them, and executed notebooks."""
    wanted: dict[str, str | bytes | dict[str, Any]] = {}
    for path in files_below(layout.pages):
        if path.name != "outline.yml":
            wanted[path.relative_to(layout.root).as_posix()] = path.read_bytes()
    for name, write in GENERATED.items():
        wanted[name] = write(layout)
    for path in layout.sources():
        executed = layout.executed / path.name
        if executed.exists():
            wanted[f"notebooks/{path.name}"] = _page_of(read_notebook(executed))
    toc = yaml.safe_load((layout.root / "_toc.yml").read_text(encoding="utf-8"))
    pages = {re.sub(r"\.(md|ipynb)$", "", name) for name in wanted}
    missing = _missing(toc, pages)
    if missing and not draft:
        raise OperatorError(
            f"_toc.yml names pages that are not there: {', '.join(missing)} "
            "(execute the notebooks, or render with --draft to leave them out)"
        )
    wanted["_toc.yml"] = yaml.safe_dump(_without(toc, set(missing)), sort_keys=False)
    wanted["_config.yml"] = _config(layout, environ)
    shutil.rmtree(layout.staged, ignore_errors=True)
    for name, content in wanted.items():
        target = layout.staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            write_notebook(target, content)
        else:
            target.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def _page_of(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return an executed notebook as the page that readers see."""
    run = notebook["metadata"][RECORD]
    cells = [_cell_of(cell) for cell in notebook["cells"]]
    note = {"cell_type": "markdown", "id": "how-it-ran", "metadata": {}, "source": run_note(run)}
    # Below the title, which hygiene makes the first line of the first cell.
    title, _, rest = source_of(cells[0]).partition("\n")
    head = {**cells[0], "source": title}
    tail = [{**cells[0], "id": "opening", "source": rest}] if rest.strip() else []
    return {**notebook, "cells": [head, note, *tail, *cells[1:]]}


def _cell_of(cell: dict[str, Any]) -> dict[str, Any]:
    tags = tags_of(cell)
    metadata = {**cell.get("metadata", {}), "tags": tags}
    if "solution" in tags:
        metadata["tags"] = [*(tag for tag in tags if tag != "hide-cell"), "hide-cell"]
        metadata["mystnb"] = {
            "code_prompt_show": "Show the solution",
            "code_prompt_hide": "Hide the solution",
        }
    return localise({**cell, "metadata": metadata})


def _config(layout: Layout, environ: Mapping[str, str]) -> str:
    """Return ``_config.yml`` with the repository's address, or without buttons that need one."""
    config = yaml.safe_load((layout.root / "_config.yml").read_text(encoding="utf-8"))
    repository = config.setdefault("repository", {})
    repository["url"] = environ.get(REPOSITORY_VARIABLE) or repository.get("url") or ""
    if not repository["url"]:
        config.pop("repository")
        config.pop("launch_buttons", None)
        html = config.setdefault("html", {})
        html.update(dict.fromkeys(BUTTONS, False))
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _entries(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for key in ("parts", "chapters", "sections") for entry in node.get(key, [])]


def _missing(node: dict[str, Any], pages: set[str]) -> list[str]:
    names = [node[key] for key in ("root", "file") if key in node]
    here = [name for name in names if re.sub(r"\.(md|ipynb)$", "", name) not in pages]
    return here + [name for entry in _entries(node) for name in _missing(entry, pages)]


def _without(node: dict[str, Any], missing: set[str]) -> dict[str, Any]:
    kept = dict(node)
    for key in ("parts", "chapters", "sections"):
        if key in node:
            entries = [_without(e, missing) for e in node[key] if e.get("file") not in missing]
            kept[key] = [entry for entry in entries if entry.get("chapters") != []]
    return kept


def _digest(layout: Layout) -> str:
    """Digest what a rendered page depends on: the staged files, docstrings, pins, this builder."""
    digest = hashlib.sha256()
    folders = [layout.staged, layout.root / "agentops_ref"]
    files = [path for folder in folders if folder.is_dir() for path in files_below(folder)]
    for path in [*files, layout.root / "constraints.txt"]:
        if path.is_file():
            digest.update(f"{path.relative_to(layout.root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sphinx(layout: Layout, html: Path) -> None:
    folders = (layout.staged, html, layout.build / "doctrees")
    result = subprocess.run(
        [sys.executable, "-m", "agentops_ref.apps.book.html", *map(str, folders)],
        cwd=layout.root,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().replace(f"{layout.root}{os.sep}", "")
        raise DeveloperError(f"the book does not render without warnings:\n{said[-6000:]}")
