"""A tiny parser, chunker and embedding model for the tests of the ETL."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref.errors import DocumentError
from agentops_ref.etl.cache import StageCache
from agentops_ref.etl.recipe import Recipe, Recipes
from agentops_ref.etl.sinks.base import Snapshot
from agentops_ref.etl.stages import Stages
from agentops_ref.records import Chunk, Element
from agentops_ref.settings import DeletionConfig

AT_ONCE = DeletionConfig(listings=1, max_share=1.0)


class FakeEmbeddings:
    """Words are thrown into buckets by a hash; counts what it was asked."""

    def __init__(self, dimensions: int = 16) -> None:
        self.dimensions, self.texts, self.calls = dimensions, 0, 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        self.texts += len(texts)
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector = np.full(self.dimensions, 0.01)
        for word in text.lower().split():
            bucket = int.from_bytes(hashlib.blake2b(word.encode()).digest()[:4], "big")
            vector[bucket % self.dimensions] += 1.0
        return [float(v) for v in vector / np.linalg.norm(vector)]


def parse(name: str, data: bytes) -> tuple[Element, ...]:
    if data.startswith(b"broken"):
        raise DocumentError(f"{name} is broken")
    if data.startswith(b"bug"):
        raise KeyError("bug")
    return tuple(Element("text", line) for line in data.decode().splitlines() if line.strip())


def chunk(elements: Sequence[Element], document: str, version: str) -> tuple[Chunk, ...]:
    kind = document.partition("/")[0] if "/" in document else "notes"
    facts = {"kind": kind, "tenant": "nord" if "nord" in document else "", "title": document}
    return tuple(
        Chunk(f"{document}#{version}#{i}", document, version, i, e.text, kind, None, facts)
        for i, e in enumerate(elements)
    )


def make_stages(
    cache: Path | None = None, *, parser: str = "1", model: str = "m1", dimensions: int = 16
) -> Stages:
    embeddings: Any = FakeEmbeddings(dimensions)
    recipes = Recipes(Recipe("parse", parser), Recipe("chunk", "1"), Recipe("embed", model))
    return Stages(
        parse, chunk, embeddings, recipes, cache=StageCache(cache) if cache else None, batch=8
    )


def write(root: Path, documents: dict[str, str]) -> Path:
    for name, text in documents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def contents(snapshot: Snapshot) -> dict[str, Any]:
    """Everything that the index holds, apart from fingerprints, in a form that can be compared."""
    ledger = snapshot.ledger()
    return {
        name: (entry.content_hash, entry.recipe, entry.chunks, entry.error, entry.missing,
               snapshot.chunks_of(name))
        for name, entry in ledger.items()
    }  # fmt: skip
