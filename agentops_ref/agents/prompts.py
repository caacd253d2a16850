"""Prompts are files: front matter in YAML, then a section for each message.

---
abstain: NOT IN THE DOCUMENTS     # what the model says when it cannot answer
reply: I could not find this.     # what the user is told then
known: What people said of them:  # stands above facts of long-term memory, see `Prompt.known`
---
## system
...
## user
{context}
Question: {question}
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from agentops_ref.errors import ConfigError, nearest

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_SECTION = re.compile(r"^## (system|user)\s*$", re.MULTILINE)
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt read from a file; ``digest`` names its exact text in traces and releases."""

    name: str
    sections: tuple[tuple[str, str], ...]
    """(role, template) pairs, in order."""
    abstain: str
    reply: str
    digest: str
    known: str = ""
    """What an agent with tools says above the facts that it shows; without it, it shows none."""
    structured: bool = False
    """Whether the model is to answer as JSON: which excerpt, its words, the answer."""

    def messages(self, **values: str) -> list[BaseMessage]:
        """Fill the templates. A value's own braces are left alone: content is data."""
        from langchain_core.messages import HumanMessage, SystemMessage

        made: list[BaseMessage] = []
        for role, template in self.sections:
            text = _FIELD.sub(lambda field: values[field.group(1)], template)
            made.append(SystemMessage(text) if role == "system" else HumanMessage(text))
        return made


def load_prompt(folder: Path, name: str) -> Prompt:
    """Read ``folder/name``; a missing file or section is a `ConfigError` that says which."""
    file = folder / name
    try:
        raw = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = tuple(sorted(path.name for path in folder.glob("*.md")))
        raise ConfigError(f"prompt '{name}' not found in {folder}{nearest(name, known)}") from None
    header: dict[str, Any] = {}
    body = raw
    if raw.startswith("---\n"):
        head, _, body = raw[4:].partition("\n---\n")
        header = yaml.safe_load(head) or {}
    pieces = _SECTION.split(body)
    sections = tuple(
        (role, text.strip()) for role, text in zip(pieces[1::2], pieces[2::2], strict=True)
    )
    if not any(role == "user" for role, _ in sections):
        raise ConfigError(f"{file}: expected a '## user' section")
    digest = hashlib.sha256(raw.encode()).hexdigest()[:12]
    return Prompt(
        name,
        sections,
        str(header.get("abstain", "")),
        str(header.get("reply", "")),
        digest,
        str(header.get("known", "")),
        header.get("format") == "json",
    )
