"""The index: what is synced into it, how documents become chunks, and how it is searched."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

from agentops_ref.config import Config
from agentops_ref.errors import ConfigError
from agentops_ref.secret import resolved
from agentops_ref.wiring.asking import Describer
from agentops_ref.wiring.models import Models
from agentops_ref.wiring.parts import load


class Index(Models):
    """Source, stages, engine and sink, and the search over what they made."""

    @cached_property
    def source(self) -> Any:
        """What is synced; see `agentops_ref.etl.sources`."""
        source = self.config.etl.source
        make = load("source", source.kind)
        root = source.root if "://" in str(source.root) else self.config.path(source.root)
        more = {"max_bytes": source.max_bytes, **source.options}
        try:
            inspect.signature(make).bind(root, source.include, source.exclude, **more)
        except TypeError as error:
            raise ConfigError(f"etl.source.options, kind {source.kind}: {error}") from None
        return make(root, source.include, source.exclude, **more)

    @cached_property
    def sink(self) -> Any:
        """The index; see `agentops_ref.etl.sinks`."""
        sink = self.config.etl.sink
        make = load("sink", sink.kind)
        options = resolved(sink.options, "etl.sink.options")
        if sink.kind == "memory":
            return make(**options)
        where = resolved(sink.uri, "etl.sink.uri")
        return make(where if "://" in where else self.config.path(where), **options)

    @cached_property
    def index(self) -> Any:
        """What is searched: the sink's newest version at each moment, or the pinned one.

        Raises
        ------
        OperatorError
            The pinned version is not kept.
        """
        pin = self.config.etl.sink.pin
        return self.sink if pin is None else self.sink.at(pin)

    @cached_property
    def stages(self) -> Any:
        """Parse → chunk → embed, with the cache of their results."""
        from agentops_ref.etl.stages import default_stages

        return default_stages(
            ocr=self.ocr,
            ocr_recipe=self.ocr.recipe,
            embeddings=self.embeddings,
            embedding_recipe=self.embeddings.recipe,
            chunk=self.config.etl.chunk,
            cache=self.config.path(self.config.paths.cache),
            retry=self.config.etl.retry,
            figures=self.config.etl.parse.figures,
            describe=self.describe,
        )

    @cached_property
    def describe(self) -> Any:
        """The vision model that describes figures; None unless `etl.parse.figures` wants one."""
        if self.config.etl.parse.figures != "describe":
            return None
        vision = self.config.models.vision
        if vision is None:
            raise ConfigError(
                "etl.parse.figures: describe needs a model: set models.vision, or choose ocr"
            )
        return Describer(self, vision)

    @cached_property
    def engine(self) -> Any:
        """Where documents are read, parsed and chunked; see `agentops_ref.etl.engines`."""
        given = self.config.etl.engine.model_dump(exclude={"kind"})
        kind = self.config.etl.engine.kind
        make = load("engine", kind)
        return make() if kind == "local" else make(partial(_parts, self.config), **given)

    @cached_property
    def search(self) -> Any:
        """``search(query, k=None, mode=None, filters=None) -> list[Hit]``."""
        from agentops_ref.etl.search import Searcher

        return Searcher(self.index, self.embeddings, self.config.retrieval)

    def langchain_retriever(
        self, *, k: int | None = None, filters: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the index as a LangChain `BaseRetriever`."""
        from agentops_ref.etl.adapters.langchain import IndexRetriever

        return IndexRetriever(search=self.search, k=k, filters=filters)

    def llama_index_retriever(
        self, *, k: int | None = None, filters: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the index as a LlamaIndex `BaseRetriever`."""
        from agentops_ref.etl.adapters.llama_index import IndexRetriever

        return IndexRetriever(self.search, k=k, filters=filters)


def _parts(config: Config) -> tuple[Any, Any]:
    """Return the source and stages of a configuration; called in each worker of an engine."""
    index = Index(config)
    return index.source, index.stages
