"""Run the ways over documents, check what they find, remember the results. Chapter 3.

    elements → ways (table, pattern, model) → candidates → check → records, or why they are none

A result is addressed by the content and the recipe, which takes in the parser, the schema, the
prompts and the model. A model's answers have an address of their own, so that a changed rule asks
nothing again. Only complete results are kept: what a missing model left out is tried anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from agentops_ref.errors import (
    AgentOpsError,
    ConfigError,
    DeveloperError,
    ModelError,
    OperatorError,
    TransientError,
)
from agentops_ref.etl.extract.check import Source, check
from agentops_ref.etl.extract.form import Ask, can_hold, from_form, schema_of, text_of
from agentops_ref.etl.extract.records import Candidate, Extracted, Record, Rejected
from agentops_ref.etl.extract.schema import ModelWay, RecordType, Schema, Way
from agentops_ref.etl.extract.store import ResultStore
from agentops_ref.etl.extract.ways import by_rule, concerns
from agentops_ref.etl.recipe import Recipe

EXTRACTOR_VERSION = "1"
"""Part of the recipe: raise it when the code gives other records for the same elements."""


class Extractor:
    """The extraction stage; ``work`` counts the documents and the questions that really ran.

    Parameters
    ----------
    parse
        Hash of the parse recipe: other elements, other records.
    ask
        The model; None leaves out the ways that need one.
    """

    def __init__(
        self, schema: Schema, *, parse: str, ask: Ask | None = None, store: ResultStore | None
    ) -> None:
        self.schema, self._ask, self._store = schema, ask, store
        self.work: Counter[str] = Counter()
        prompts = sorted({w.prompt for t in schema.types.values() for w in _models(t)})
        self.recipe = Recipe(
            "extract",
            EXTRACTOR_VERSION,
            {
                "parse": parse,
                # What is expected of a document decides nothing that is extracted from it.
                "types": {
                    n: json.loads(t.model_dump_json(exclude={"expected"}))
                    for n, t in schema.types.items()
                },
                "asked": {p: "" if ask is None else ask.recipe(p) for p in prompts},
            },
        ).hash

    def extract(self, source: Source, content: str) -> Extracted:
        """Return what a document's elements say, from the store if it is known.

        ``content`` is the SHA-256 of the document's bytes. What is wrong with one document is a
        result (``failed``), never an error.
        """
        address = f"{content}-{_place(source.document)}"
        known = None if self._store is None else self._store.get(self.recipe, address)
        if known is not None:
            return known
        self.work["extract"] += 1
        records: list[Record] = []
        rejected: list[Rejected] = []
        incomplete, failed = "", ""
        for type_ in self.schema.types.values():
            for way in type_.ways:
                if not self._concerns(type_, way, source):
                    continue
                try:
                    for candidate in self._candidates(type_, way, source, content):
                        made = check(candidate, type_, source)
                        if isinstance(made, Rejected):
                            rejected.append(made)
                        elif made is not None:
                            records.append(made)
                except (OperatorError, TransientError) as error:
                    incomplete = incomplete or str(error)
                except ModelError as error:
                    failed = failed or str(error)
                except (ConfigError, DeveloperError):
                    raise  # nothing that a document could help
                except (AgentOpsError, ImportError, MemoryError):
                    raise
                except Exception as error:  # a bug, or what a provider raises: told, tried again
                    told = f"{type_.name}, {way.way}: {type(error).__name__}: {error}"
                    incomplete = incomplete or told
        result = Extracted(tuple(records), tuple(rejected), incomplete, failed)
        if self._store is not None and not incomplete:
            self._store.put(self.recipe, address, result)
        return result

    def _candidates(
        self, type_: RecordType, way: Way, source: Source, content: str
    ) -> Iterator[Candidate]:
        if isinstance(way, ModelWay):
            return from_form(type_, way, self._answer(type_, way, source, content))
        return by_rule(type_, way, source.elements)

    def _concerns(self, type_: RecordType, way: Way, source: Source) -> bool:
        if not concerns(way.documents, source.document):
            return False
        if isinstance(way, ModelWay):
            return self._ask is not None and can_hold(type_, way, source.elements)
        return True

    def _answer(self, type_: RecordType, way: ModelWay, source: Source, content: str) -> Any:
        assert self._ask is not None  # `_concerns` left the way out
        form, text = schema_of(type_, way), text_of(source.elements)
        recipe = Recipe("ask", self._ask.recipe(way.prompt), {"form": form}).hash
        known = None if self._store is None else self._store.get_answer(recipe, text)
        if known is None:
            self.work["ask"] += 1
            known = self._ask(way.prompt, form, text)
            if self._store is not None:
                self._store.put_answer(recipe, text, known)
        return known


def _models(type_: RecordType) -> list[ModelWay]:
    return [way for way in type_.ways if isinstance(way, ModelWay)]


def _place(document: str) -> str:
    """Return what of a document's name decides its records: the globs look at its end."""
    from agentops_ref.etl.recipe import text_hash

    return text_hash(document)[:12]
