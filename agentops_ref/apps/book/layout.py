"""Where the book's parts lie in the repository, and what was built from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentops_ref.errors import OperatorError
from agentops_ref.files import write_whole


@dataclass(frozen=True)
class Layout:
    """Folders of one checkout of the book."""

    root: Path
    """The folder that holds ``_toc.yml``; absolute."""

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def pages(self) -> Path:
        return self.root / "book"

    @property
    def build(self) -> Path:
        return self.root / "_build"

    @property
    def executed(self) -> Path:
        return self.build / "executed"

    @property
    def runs(self) -> Path:
        """The execution table: who ran, when, how long, with which model."""
        return self.executed / "execution.json"

    @property
    def staged(self) -> Path:
        return self.build / "src"

    @property
    def html(self) -> Path:
        return self.build / "html"

    @property
    def student(self) -> Path:
        return self.build / "student"

    def state_of(self, name: str) -> Path:
        """The working state of one notebook; each has its own, so that any order will do."""
        return self.build / "notebook-state" / name

    def sources(self) -> list[Path]:
        """Return the notebooks, in the order of their names."""
        return sorted(
            path for path in self.notebooks.glob("*.ipynb") if not path.name.startswith(".")
        )


def find_layout(start: Path | None = None) -> Layout:
    """Return the layout of the checkout around ``start`` (default: the working directory)."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").is_file() and (folder / "_config.yml").is_file():
            return Layout(folder)
    raise OperatorError(
        f"no book in {here} or above it (no _toc.yml beside a _config.yml): run this in a clone"
    )


def read_notebook(path: Path) -> dict[str, Any]:
    """Return a notebook as plain JSON; raises `OperatorError` where it is none."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path.name}: not readable as a notebook: {error}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise OperatorError(f"{path.name}: not a notebook (no cells)")
    return notebook


def write_notebook(path: Path, notebook: dict[str, Any]) -> None:
    """Write a notebook in Jupyter's own form, so that saving it there changes nothing."""
    for cell in notebook["cells"]:
        cell["source"] = source_of(cell).splitlines(keepends=True)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    write_whole(path, text + "\n")


def source_of(cell: dict[str, Any]) -> str:
    """Return a cell's text; the format allows a string and a list of lines."""
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def tags_of(cell: dict[str, Any]) -> list[str]:
    """Return a cell's tags."""
    return list(cell.get("metadata", {}).get("tags", []))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below ``folder`` in a fixed order, without caches and hidden files."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if not hidden and path.is_file():
            yield path
