"""What is made of documents besides chunks: typed records, and summaries."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from agentops_ref.wiring.asking import Asking, Summariser
from agentops_ref.wiring.base import Progress
from agentops_ref.wiring.index import Index
from agentops_ref.wiring.tables import Tables

if TYPE_CHECKING:
    from agentops_ref.etl.extract import Extracted, Extractor, ExtractReport
    from agentops_ref.etl.summary import Summaries


class Extraction(Index, Tables):
    """See `agentops_ref.etl.extract` and `agentops_ref.etl.summary`."""

    @cached_property
    def extractor(self) -> Extractor:
        """The extraction of typed records from documents; see `agentops_ref.etl.extract`."""
        from agentops_ref.etl.extract import Extractor, ResultStore

        wanted, cache = self.config.etl.extract, self.config.paths.cache
        return Extractor(
            self.record_schema,
            parse=self.stages.recipes.parse.hash,
            ask=Asking(self) if wanted.model else None,
            store=ResultStore(self.config.path(cache)),
        )

    def extract(self, *, progress: Progress | None = None) -> ExtractReport:
        """Make the tables of records say what the index's documents say."""
        from agentops_ref.etl.extract import follow

        return follow(
            self.sink.snapshot().ledger(),
            self.source,
            self.stages,
            self.extractor,
            self.tables,
            progress=progress,
        )

    def extract_file(self, name: str, data: bytes) -> Extracted:
        """Return the records of one file that need not be in the index; lands nothing.

        Raises
        ------
        DocumentError
            The file cannot be parsed.
        """
        from agentops_ref.etl.extract import Source
        from agentops_ref.etl.recipe import content_hash

        content = content_hash(data)
        elements = tuple(self.stages.parse(name, data))
        return self.extractor.extract(Source(name, content[:12], elements), content)

    def summarise(self, name: str, data: bytes, *, progress: Progress | None = None) -> Summaries:
        """Summarise a document and its sections; asked once for each content and recipe.

        Raises
        ------
        DocumentError
            It cannot be parsed.
        """
        from agentops_ref.etl import summary
        from agentops_ref.etl.cache import StageCache
        from agentops_ref.etl.recipe import Recipe, content_hash
        from agentops_ref.etl.stages import address

        settings = self.config.etl.summaries
        ask = Summariser(self, settings.prompt)
        made_by = {"ask": ask.recipe, "parse": self.stages.recipes.parse.hash}
        limits = settings.model_dump(mode="json", exclude={"prompt"})
        recipe = Recipe("summarise", summary.SUMMARY_VERSION, {**made_by, **limits})
        cache = StageCache(self.config.path(self.config.paths.cache))
        key = address(content_hash(data), name)
        stored = cache.get("summarise", recipe.hash, key)
        if isinstance(stored, dict):
            with suppress(KeyError, TypeError):  # damaged: made again
                return dataclasses.replace(summary.of_json(stored), document=name)
        elements = self.stages.parse(name, data)
        found = summary.summarise(
            elements, document=name, ask=ask, settings=settings, progress=progress
        )
        cache.put("summarise", recipe.hash, key, summary.as_json(found))
        return found
