"""How many of the fields that a document should give do stand in its chunks. Taught in chapter 4.

    chunks → titles, texts, tables → ways without a model → checked records → fields found, of all

What is looked at is what the index would hold, so that a table which parsing or chunking lost is
missed, without an earlier version to compare with. No model is asked: a sync must not wait for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import groupby

from agentops_ref.etl.extract.check import Source, check
from agentops_ref.etl.extract.records import Record
from agentops_ref.etl.extract.schema import ModelWay, RecordType, Schema
from agentops_ref.etl.extract.ways import by_rule, concerns
from agentops_ref.etl.quality.metrics import Fields
from agentops_ref.records import Chunk, Element

_CELL = " | "


def expected_fields(
    schema: Callable[[], Schema],
) -> Callable[[str, Sequence[Chunk]], Fields | None]:
    """Return the function of (document, chunks) that ``etl.quality.completeness`` asks for.

    It counts the fields of each record type of which the document is ``expected`` to give a record,
    a field once however many records have it, and gives None where it is expected of no type.
    ``schema`` is called when a document is first looked at.
    """
    known = cache(schema)

    def completeness(document: str, chunks: Sequence[Chunk]) -> Fields | None:
        wanted = [t for t in known().types.values() if concerns(t.expected, document)]
        if not wanted:
            return None
        version = chunks[0].version if chunks else ""
        source = Source(document, version, tuple(elements_of(chunks)))
        found = sum(len(_found(type_, source)) for type_ in wanted)
        return Fields(found, sum(len(type_.fields) for type_ in wanted))

    return completeness


def elements_of(chunks: Sequence[Chunk]) -> Iterator[Element]:
    """Yield what chunks still tell of their elements: the title, sections, texts and tables.

    Lines with as many cells as the line before are one table. The line above a table is its caption
    and the end of the text before it, since a chunk does not say which of the two it is.
    """
    section = ""
    for at, one in enumerate(chunks):
        title = one.metadata.get("title", "")
        if not at and title:
            yield Element("title", title, one.page)
        if (below := one.context.removeprefix(title).strip(" ›")) != section:
            section = below
            if section:
                yield Element("title", section, one.page)
        above = ""
        for bars, lines in groupby(one.text.split("\n"), key=lambda line: line.count(_CELL)):
            text = "\n".join(lines)
            if not bars:
                yield Element("text", text, one.page)
            else:
                if above:
                    yield Element("caption", above, one.page)
                yield Element("table", text, one.page)
            above = "" if bars else text.rsplit("\n", 1)[-1]


def _found(type_: RecordType, source: Source) -> set[str]:
    """The fields that at least one record has."""
    fields: set[str] = set()
    for way in type_.ways:
        if isinstance(way, ModelWay) or not concerns(way.documents, source.document):
            continue
        for candidate in by_rule(type_, way, source.elements):
            made = check(candidate, type_, source)
            if isinstance(made, Record):
                fields |= {name for name, value in made.values.items() if value is not None}
    return fields
