"""What a stage's result depends on besides its input. Taught in chapter 3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """A stage's name, code version and parameters; whatever changes its result must be in here."""

    stage: str
    version: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """JSON values only."""

    @property
    def hash(self) -> str:
        """Return 10 hex digits that change when anything in the recipe does."""
        written = json.dumps(
            [self.stage, self.version, self.parameters], sort_keys=True, ensure_ascii=False
        )
        return hashlib.sha256(written.encode()).hexdigest()[:10]


@dataclass(frozen=True, slots=True)
class Recipes:
    """The recipes that together made a document's rows."""

    parse: Recipe
    chunk: Recipe
    embed: Recipe

    @property
    def key(self) -> str:
        """The three hashes side by side, as the ledger keeps them: ``parse.chunk.embed``."""
        return f"{self.parse.hash}.{self.chunk.hash}.{self.embed.hash}"


STAGES = ("parse", "chunk", "embed")


def changed_stages(old: str, new: str) -> tuple[str, ...]:
    """Name the stages in which two recipe keys differ; all of them if a key is not readable."""
    before, after = old.split("."), new.split(".")
    if len(before) != len(STAGES) or len(after) != len(STAGES):
        return () if old == new else STAGES
    return tuple(s for s, a, b in zip(STAGES, before, after, strict=True) if a != b)


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def content_hash(data: bytes) -> str:
    """Return the SHA-256 of a document's bytes, hex."""
    return hashlib.sha256(data).hexdigest()
