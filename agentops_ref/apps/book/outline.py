"""The outline as data: every topic has a section in this release or is marked as planned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from agentops_ref.apps.book.layout import Layout, read_notebook, source_of
from agentops_ref.errors import DeveloperError


@dataclass(frozen=True)
class Topic:
    """A leaf of the outline."""

    part: str
    chapter: str
    text: str
    section: str | None
    """``<file>#<label or heading slug>`` from the repository's root; None where planned."""


def read_outline(layout: Layout) -> list[Topic]:
    """Return every topic in the outline's order.

    Raises
    ------
    DeveloperError
        A topic that neither names a section nor is planned, or does both.
    """
    tree = yaml.safe_load((layout.pages / "outline.yml").read_text(encoding="utf-8"))
    return [
        _topic(str(part["part"]), str(chapter["chapter"]), entry)
        for part in tree
        for chapter in part["chapters"]
        for entry in chapter["topics"]
    ]


def _topic(part: str, chapter: str, entry: dict[str, object]) -> Topic:
    text = str(entry.get("topic", ""))
    section, planned = entry.get("section"), entry.get("planned", False)
    unknown = set(entry) - {"topic", "section", "planned"}
    if not text or unknown:
        raise DeveloperError(f"outline.yml, {chapter}: expected topic and section or planned")
    if bool(section) == bool(planned):
        raise DeveloperError(
            f"outline.yml, {chapter}: '{text}' needs either a section or `planned: true`"
        )
    return Topic(part, chapter, text, str(section) if section else None)


def missing_sections(layout: Layout, topics: list[Topic]) -> list[str]:
    """Return one line for each topic whose section does not exist."""
    found: dict[str, set[str]] = {}
    problems: list[str] = []
    for topic in topics:
        if topic.section is None:
            continue
        name, _, anchor = topic.section.partition("#")
        path = layout.root / name
        if not path.is_file():
            problems.append(f"{topic.text}: no file {name}")
            continue
        if name not in found:
            found[name] = set(anchors(path))
        if not anchor or anchor not in found[name]:
            problems.append(f"{topic.text}: no heading or label '{anchor}' in {name}")
    return problems


def anchors(path: Path) -> Iterator[str]:
    """Yield the heading slugs and the labels ``(name)=`` of a page or a notebook."""
    for line in _prose(path):
        heading = re.match(r"#{1,6}\s+(.*?)\s*$", line)
        label = re.match(r"\((\S+)\)=\s*$", line)
        if heading:
            yield slug(heading[1])
        elif label:
            yield label[1]


def slug(heading: str) -> str:
    """Return a heading's anchor as GitHub and MyST make it: ``What is RAG?`` → ``what-is-rag``."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower().strip())
    return kept.replace(" ", "-")


def _prose(path: Path) -> Iterator[str]:
    """Yield a page's lines outside of fenced blocks."""
    if path.suffix == ".ipynb":
        cells = read_notebook(path)["cells"]
        text = "\n".join(source_of(cell) for cell in cells if cell["cell_type"] == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    fence = ""
    for line in text.splitlines():
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence:
            yield line
