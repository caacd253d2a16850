"""The stages that one document passes: read → parse → chunk → embed. Taught in chapter 3.

Each stage runs only if its result is not known yet, and each run is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from agentops_ref.etl.cache import StageCache, Vectors
from agentops_ref.etl.quality.profile import (
    DocumentProfile,
    profile,
    profile_from,
    profile_key,
)
from agentops_ref.etl.recipe import Recipe, Recipes, content_hash, text_hash
from agentops_ref.etl.retry import Retry
from agentops_ref.etl.sources import Source
from agentops_ref.records import Chunk, Element
from agentops_ref.settings import ChunkConfig, RetryConfig

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from agentops_ref.etl.parse.figure import Describe, How

Parse = Callable[[str, bytes], Sequence[Element]]
"""(name, bytes) → elements; raises `DocumentError`. Of the name it may use the ending only."""
ChunkIt = Callable[[Sequence[Element], str, str], Sequence[Chunk]]
"""(elements, document, version) → chunks."""
VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document after parsing and chunking, before embedding."""

    content_hash: str
    chunks: tuple[Chunk, ...]
    profile: DocumentProfile | None = None
    """What can be counted in it, for expectations of quality; None where `Stages` makes none."""


class Stages:
    """The stages with their recipes and their cache; ``work`` counts the calls that really ran.

    ``profiles=False`` spares a document's profile, some milliseconds, where nobody judges quality.
    """

    def __init__(
        self,
        parse: Parse,
        chunk: ChunkIt,
        embeddings: Embeddings,
        recipes: Recipes,
        *,
        cache: StageCache | None = None,
        batch: int = 32,
        retry: Retry | None = None,
        profiles: bool = True,
    ) -> None:
        self.recipes, self.cache, self.batch = recipes, cache, batch
        self._retry, self.profiles = retry, profiles
        self._parse, self._chunk, self._embeddings = parse, chunk, embeddings
        self.work: Counter[str] = Counter()

    @property
    def recipe(self) -> str:
        return self.recipes.key

    def parse(self, document: str, data: bytes) -> Sequence[Element]:
        """Return a document's elements, from the cache if it knows that content.

        Raises what the parser raises.
        """
        key = content_hash(data)
        elements = self._cached(key, document)
        return self._parsed(key, document, data) if elements is None else elements

    def read(self, source: Source, document: str) -> bytes:
        """Return a document's bytes; ``work["retry"]`` counts the reads after the first one.

        Raises what `Source.read` raises.
        """
        self.work["read"] += 1
        if self._retry is None:
            return source.read(document)
        return self._retry(lambda: source.read(document), again=lambda: self.work.update(["retry"]))

    def prepare(
        self, source: Source, document: str, *, data: bytes | None = None, known_hash: str = ""
    ) -> Prepared:
        """Parse and chunk a document; the arguments are those of `elements`."""
        content, elements = self.elements(source, document, data=data, known_hash=known_hash)
        self.work["chunk"] += 1
        chunks = self._chunk(elements, document, content[:VERSION_DIGITS])
        made_of = self._profiled(content, document, elements, chunks) if self.profiles else None
        return Prepared(content, tuple(chunks), made_of)

    def elements(
        self, source: Source, document: str, *, data: bytes | None = None, known_hash: str = ""
    ) -> tuple[str, Sequence[Element]]:
        """Return a document's content hash and its elements.

        ``data`` are its bytes if they were read already; otherwise ``known_hash`` says what they
        were when it was last seen, and they are read only if the cache lacks that content.
        """
        elements: Sequence[Element] | None = None
        content = known_hash if data is None else content_hash(data)
        if content:
            elements = self._cached(content, document)
        if elements is None:
            if data is None:
                data = self.read(source, document)
                content = content_hash(data)
                elements = self._cached(content, document)
            if elements is None:
                elements = self._parsed(content, document, data)
        return content, elements

    def _parsed(self, content: str, document: str, data: bytes) -> Sequence[Element]:
        self.work["parse"] += 1
        elements = tuple(self._parse(document, data))
        if self.cache is not None:
            self.cache.put_elements(self.recipes.parse.hash, address(content, document), elements)
        return elements

    def profile(self, document: str, content: str, recipe: str) -> DocumentProfile | None:
        """Return the profile of a content made with a recipe key; None where it is not cached."""
        if self.cache is None or recipe.count(".") != 2:
            return None
        key, place = profile_key(recipe), address(content, document)
        return profile_from(self.cache.get_profile(key, place))

    def _profiled(
        self, content: str, document: str, elements: Sequence[Element], chunks: Sequence[Chunk]
    ) -> DocumentProfile:
        known = self.profile(document, content, self.recipe)
        if known is None:
            self.work["profile"] += 1
            known = profile(elements, chunks)
            if self.cache is not None:
                key, place = profile_key(self.recipe), address(content, document)
                self.cache.put_profile(key, place, asdict(known))
        return known

    def embed(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> Vectors:
        """Return one vector per text, shape ``(len(texts), dimensions)``; (0, 0) for no texts.

        Texts of all documents go through in common batches, equal texts once. Each batch is
        cached at once, so that a killed sync does not lose it.
        """
        if not texts:
            return np.zeros((0, 0), np.float32)
        hashes = [text_hash(text) for text in texts]
        unique = dict(zip(hashes, texts, strict=True))
        recipe = self.recipes.embed.hash
        known = {} if self.cache is None else self.cache.get_vectors(recipe, unique)
        # Texts of like length share a batch: a model pads each batch to its longest text.
        todo = sorted((h for h in unique if h not in known), key=lambda h: (len(unique[h]), h))
        for start in range(0, len(todo), self.batch):
            part = todo[start : start + self.batch]
            if progress is not None:
                progress(len(unique) - len(todo) + start, len(unique))
            made = self._embeddings.embed_documents([unique[h] for h in part])
            self.work["embed"] += len(part)
            # Rounded as the cache stores it, so that a vector does not depend on where it came
            # from and an incremental index equals a fresh one.
            new = {
                h: np.asarray(v, np.float16).astype(np.float32)
                for h, v in zip(part, made, strict=True)
            }
            if self.cache is not None:
                self.cache.put_vectors(recipe, new)
            known |= new
        if progress is not None:
            progress(len(unique), len(unique))
        return np.stack([known[h] for h in hashes])

    def _cached(self, content: str, document: str) -> tuple[Element, ...] | None:
        if self.cache is None:
            return None
        return self.cache.get_elements(self.recipes.parse.hash, address(content, document))


def address(content: str, document: str) -> str:
    """A document's key in the cache: the same bytes are parsed otherwise as .txt and as .html."""
    ending = PurePosixPath(document).suffix.lower().lstrip(".")
    return f"{content}-{ending}" if ending.isalnum() else content


def default_stages(
    *,
    ocr: Any,
    ocr_recipe: str,
    embeddings: Embeddings,
    embedding_recipe: str,
    chunk: ChunkConfig,
    cache: Path | str | None,
    batch: int = 32,
    retry: RetryConfig | None = None,
    figures: How = "none",
    describe: Describe | None = None,
) -> Stages:
    """Put together this package's own parsers and chunker with the given models.

    ``ocr_recipe`` and ``embedding_recipe`` name the models, with a digest or version where there
    is one: results made by another model are not reused.
    """
    from agentops_ref.etl import parse as parsing
    from agentops_ref.etl.chunk import CHUNKER_VERSION
    from agentops_ref.etl.parse.figure import Sight
    from agentops_ref.etl.splitter import chunker

    chunk_it = chunker(chunk)
    sight = Sight(ocr, figures, describe)
    looked: dict[str, str] = {} if figures == "none" else {"figures": figures}
    if figures == "describe" and describe is not None:
        looked["describe"] = describe.recipe
    return Stages(
        partial(parsing.parse, ocr=sight),
        chunk_it,
        embeddings,
        Recipes(
            parsing.recipe(ocr_recipe, **looked),
            Recipe("chunk", CHUNKER_VERSION, chunk_it.parameters),
            Recipe("embed", embedding_recipe),
        ),
        cache=None if cache is None else StageCache(cache),
        batch=batch,
        retry=None if retry is None else Retry(retry),
    )
