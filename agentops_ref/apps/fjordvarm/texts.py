"""Finding and reading what is written by hand under ``corpus/``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

_VARIANT = re.compile(r"^(?P<name>.+?)(?:@(?P<version>\d+))?$")


class CorpusTextsMissing(FileNotFoundError):
    """The hand-written texts are not where the generator looks."""

    def __init__(self, where: Path) -> None:
        super().__init__(
            f"no hand-written corpus texts in {where}: run from a checkout of the repository, "
            "or pass texts=<folder that holds catalogue.yaml>"
        )


@dataclass(frozen=True)
class Source:
    """One hand-written file: its YAML front matter and its Markdown body."""

    name: str
    front: dict[str, Any]
    body: str

    def text(self, key: str, default: str = "") -> str:
        """A front matter value as text."""
        return str(self.front.get(key, default))

    def names(self, key: str) -> tuple[str, ...]:
        """A front matter list as text."""
        return tuple(str(item) for item in self.front.get(key, ()))

    def day(self) -> date:
        """The document's own date."""
        return date.fromisoformat(self.text("date"))


def texts_dir(override: Path | None = None) -> Path:
    """The folder of hand-written texts, checked to be one."""
    folder = override or Path(__file__).resolve().parents[3] / "corpus"
    if not (folder / "catalogue.yaml").is_file():
        raise CorpusTextsMissing(folder)
    return folder


def _parsed(text: str) -> Any:
    """YAML with all scalars as text, so that 2.40 keeps its zero and a date stays as written."""
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file whose top level is a mapping; numbers and dates stay text."""
    loaded = _parsed(path.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise ValueError(f"{path.name}: expected a mapping at the top")
    return loaded


def read_source(path: Path) -> Source:
    """A Markdown file with optional front matter."""
    text = path.read_text(encoding="utf-8")
    match = _VARIANT.match(path.stem)
    assert match is not None
    front: dict[str, Any] = {}
    if text.startswith("---\n"):
        head, text = text[4:].split("\n---\n", 1)
        front = _parsed(head)
    return Source(match["name"], front, text.strip("\n") + "\n")


def sources(folder: Path, version: int) -> Iterator[Source]:
    """Each document of a folder as of a version: ``name@2.md`` replaces ``name.md`` from v2 on."""
    newest: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.glob("*.md")):
        match = _VARIANT.match(path.stem)
        assert match is not None
        since = int(match["version"] or 1)
        if since <= version and since >= newest.get(match["name"], (0, path))[0]:
            newest[match["name"]] = (since, path)
    for name in sorted(newest):
        yield read_source(newest[name][1])
