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

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
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

    @property
    def instructions(self) -> str:
        """What a prompt asks for, without examples: the system section's first paragraph."""
        return self._system[0]

    @property
    def _system(self) -> tuple[str, str]:
        role, text = self.sections[0]
        head, _, rest = (text if role == "system" else "").partition("\n\n")
        return head, rest

    def revised(self, instructions: str, examples: str | None = None) -> Prompt:
        """Return the prompt with other instructions, and other examples where they are given.

        Both are taken as they are: a ``{field}`` in them is no place to fill, nor is a heading one
        of the file's.

        Raises
        ------
        ConfigError
            It has no system section, or the instructions are empty.
        """
        if self.sections[0][0] != "system":
            raise ConfigError(f"prompt '{self.name}' has no '## system' section to revise")
        # A paragraph that ended would make what follows it an example.
        first = "\n".join(filter(str.strip, _plain(instructions).splitlines())).strip()
        if not first:
            raise ConfigError(f"prompt '{self.name}' cannot be revised to empty instructions")
        rest = self._system[1] if examples is None else _plain(examples)
        text = "\n\n".join(filter(None, (first, rest.strip())))
        sections = (("system", text), *self.sections[1:])
        made = dataclasses.replace(self, sections=sections)
        return dataclasses.replace(made, digest=_digest(made.text))

    @property
    def text(self) -> str:
        """The prompt as a file: what `load_prompt` reads."""
        head: dict[str, Any] = {"abstain": self.abstain, "reply": self.reply, "known": self.known}
        head = {key: value for key, value in head.items() if value}
        if self.structured:
            head["format"] = "json"
        header = f"---\n{yaml.safe_dump(head, sort_keys=False, width=100)}---\n" if head else ""
        return header + "".join(f"## {role}\n{text}\n" for role, text in self.sections)

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
    return Prompt(
        name,
        sections,
        str(header.get("abstain", "")),
        str(header.get("reply", "")),
        _digest(raw),
        str(header.get("known", "")),
        header.get("format") == "json",
    )


def _plain(text: str) -> str:
    return _FIELD.sub(r"(\1)", _SECTION.sub(r"\1:", text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def excerpts_with_questions(shown: Sequence[tuple[str, str, str, str]], abstain: str) -> str:
    """Write examples as they stand in a prompt that answers in JSON.

    ``shown`` holds question, excerpt, quote and answer. Each excerpt stands once, numbered; an
    answer without one is that the documents do not say it, as ``abstain`` puts it.
    """
    numbers: dict[str, int] = {}
    for _, excerpt, _, _ in shown:
        if excerpt:
            numbers.setdefault(excerpt, len(numbers) + 1)
    lines = [f"[{number}] {excerpt}" for excerpt, number in numbers.items()]
    for question, excerpt, quote, answer in shown:
        said: dict[str, Any] = {"excerpt": 0, "quote": "", "answer": abstain}
        if excerpt:
            said = {"excerpt": numbers[excerpt], "quote": quote, "answer": answer}
        lines += [f"Question: {question}", json.dumps(said, ensure_ascii=False)]
    return "\n".join(["Excerpts:", *lines])
