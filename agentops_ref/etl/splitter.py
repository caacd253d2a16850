"""Chunks by a splitter of LlamaIndex or LangChain, with the pages and contexts of our own.

Taught in chapter 3. A foreign splitter is given the text of one page at a time, so that a chunk's
page is right by construction. What it makes is looked up in that text again: the element in which
it begins gives the section of its context line.

What is lost against ``structure``: such a splitter sees characters. A table is cut wherever its
size is full and its later parts have no header; a title is text like any other and can end up alone
at the foot of a chunk; a caption is parted from its table.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError, OperatorError, nearest
from agentops_ref.etl import chunk as structure
from agentops_ref.etl.context import names_of, with_names
from agentops_ref.records import Chunk, Element
from agentops_ref.settings import ChunkConfig

STRUCTURE = "structure"
_BETWEEN = "\n\n"
Split = Callable[[str], Sequence[str]]
"""A page's text → its pieces, in order; they may overlap."""


@dataclass(frozen=True, slots=True)
class Chunker:
    """Elements → chunks, and what the result depends on."""

    settings: ChunkConfig
    split: Split | None
    """None for our own, which knows titles, tables and lists."""
    library: str
    """Distribution and version of a foreign splitter, "" for our own."""

    def __call__(
        self, elements: Sequence[Element], document: str, version: str
    ) -> tuple[Chunk, ...]:
        if self.split is None:
            made = structure.chunk(
                elements, document=document, version=version, settings=self.settings
            )
        else:
            made = tuple(_chunks(elements, document, version, self.split))
        names = names_of(elements, self.settings.context)
        if not names:
            return made
        return tuple(replace(one, context=with_names(one.context, names)) for one in made)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the chunks' recipe holds."""
        return {**self.settings.model_dump(mode="json"), "library": self.library}


def chunker(settings: ChunkConfig) -> Chunker:
    """Return the configured chunker.

    Raises
    ------
    ConfigError
        The splitter does not exist, takes other options, or is no splitter.
    OperatorError
        Its library is not installed.
    """
    if settings.splitter == STRUCTURE:
        if settings.options:
            raise ConfigError("etl.chunk.options: expected none for the splitter 'structure'")
        return Chunker(settings, None, "")
    made = _imported(settings.splitter)
    try:
        splitter = made(**{**_sentences_for(made), **settings.options})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"etl.chunk.options, splitter {settings.splitter}: {error}") from error
    return Chunker(settings, _split_by(splitter, settings.splitter), _library(made))


def _split_by(splitter: Any, path: str) -> Split:
    """Node parsers first: LlamaIndex's text splitters are both, LangChain's only the other."""
    if hasattr(splitter, "get_nodes_from_documents"):

        def nodes(text: str) -> list[str]:
            from llama_index.core import Document
            from llama_index.core.schema import MetadataMode

            found = splitter.get_nodes_from_documents([Document(text=text)])
            return [node.get_content(MetadataMode.NONE) for node in found]

        return nodes
    if hasattr(splitter, "split_text"):
        split: Split = splitter.split_text
        return split
    raise ConfigError(
        f"etl.chunk.splitter: {path} has neither get_nodes_from_documents nor split_text"
    )


# --- pages to pieces, pieces to chunks ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Span:
    """Where an element stands in its page's text; characters."""

    start: int
    sections: tuple[str, ...]


def _chunks(
    elements: Sequence[Element], document: str, version: str, split: Split
) -> Iterator[Chunk]:
    items = [item for item in elements if item.text.strip()]
    title = structure.title_in(items, document)
    details = {**structure.kind_and_tenant(document), "title": title}
    sections: tuple[str, ...] = ()
    ordinal = 0
    for page, group in groupby(items, key=lambda item: item.page):
        text, spans = "", list[_Span]()
        below_title = False
        for item in group:
            if item.kind == "title":
                # Titles without a text between them name one section together.
                sections = (*(sections if below_title else ()), item.text)
            below_title = item.kind == "title"
            text += _BETWEEN * bool(text)
            spans.append(_Span(len(text), sections))
            text += item.text
        seen = 0
        for piece in filter(str.strip, split(text)):
            at = _place(text, piece, seen)
            seen = max(seen, at)
            found = next(span for span in reversed(spans) if span.start <= at)
            yield Chunk(
                id=structure.chunk_id(document, version, ordinal),
                document=document,
                version=version,
                ordinal=ordinal,
                text=piece,
                context=structure.context_line(title, found.sections),
                page=page,
                metadata=details,
            )
            ordinal += 1


def _place(text: str, piece: str, seen: int) -> int:
    """Where a piece begins; pieces may overlap, and a splitter may have changed its spaces."""
    start = text.find(piece, seen)
    if start < 0:
        start = text.find(piece)
    if start < 0:
        first = piece.split(maxsplit=1)[0]
        start = text.find(first, seen)
    return start if start >= 0 else seen


# --- the splitter itself -------------------------------------------------------------------------


def _imported(path: str) -> Any:
    module, colon, attribute = path.partition(":")
    if not colon:
        raise ConfigError(
            f"etl.chunk.splitter: unknown '{path}'{nearest(path, (STRUCTURE,))}; or an import path "
            "such as llama_index.core.node_parser:SentenceSplitter"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        root = module.split(".")[0]
        if error.name != root:
            raise ConfigError(f"etl.chunk.splitter: there is no module {error.name}") from error
        raise OperatorError(
            f"etl.chunk.splitter: {root} is not installed: pip install {root.replace('_', '-')}"
        ) from error
    except AttributeError as error:
        raise ConfigError(f"etl.chunk.splitter: {error}") from error


def _sentences_for(made: Any) -> dict[str, Any]:
    """The argument by which LlamaIndex's parsers take a function text → sentences.

    Their default one first reads NLTK's list of stop words, of which it makes no use, and NLTK
    refuses a file with hard links, which is how uv installs. Ours splits the same way without it.
    """
    try:
        taken = inspect.signature(made).parameters
    except ValueError:
        return {}
    named = [n for n in ("chunking_tokenizer_fn", "sentence_splitter") if n in taken]
    return dict.fromkeys(named[:1], sentences)


def sentences(text: str) -> list[str]:
    """Sentences as LlamaIndex's default finds them, each with the space that follows it."""
    from nltk.tokenize import PunktSentenceTokenizer

    starts = [start for start, _ in PunktSentenceTokenizer().span_tokenize(text)]
    edges = [*starts, len(text)]
    return [text[a:b] for a, b in pairwise(edges)] if starts else [text]


def _library(made: Any) -> str:
    """Distribution and version, or the digest of the file that a splitter of one's own is in."""
    parts = made.__module__.replace("_", "-").split(".")
    for name in ("-".join(parts[:2]), parts[0]):
        try:
            return f"{name}-{metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    file = inspect.getsourcefile(made)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else ""
