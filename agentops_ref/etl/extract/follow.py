"""Records follow the index: what it no longer holds, they no longer say. Taught in chapter 3.

    ledger ──diff── table of extractions ──► elements → extract → merge, a table at a time
                             ▲                                              │
                             └────────────── written last ──────────────────┘

Which content a document's records were made from stands in the table ``extractions``, which is
written after all others. So a run that was killed, before or between the tables, is finished by the
next one; and where nothing changed, one small table is read and nothing written.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agentops_ref.errors import AgentOpsError, DocumentError
from agentops_ref.etl.extract.check import Source
from agentops_ref.etl.extract.extractor import Extractor
from agentops_ref.etl.extract.records import Extracted
from agentops_ref.etl.extract.rows import columns, distinct, rows_of
from agentops_ref.etl.extract.schema import STATE
from agentops_ref.etl.rowmerge import Kind, Row, made_here, merge_rows, ours
from agentops_ref.etl.sources import Source as Documents
from agentops_ref.etl.stages import VERSION_DIGITS, Stages
from agentops_ref.etl.tables import DeltaTables
from agentops_ref.records import LedgerEntry

Progress = Callable[[str, int, int], None]
STATE_COLUMNS: Mapping[str, Kind] = {
    "document": "string",
    "content": "string",
    "recipe": "string",
    "records": "int",
    "invented": "int",
    "unfit": "int",
    "incomplete": "string",
    "failed": "string",
}


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What one extraction over an index did."""

    documents: int
    """Documents of the index, with records or without."""
    changed: tuple[str, ...] = ()
    """Documents whose records were made, or made anew."""
    removed: tuple[str, ...] = ()
    """Documents that left the index, and their records with them."""
    tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Table → rows inserted, updated and deleted, of those that were written."""
    invented: int = 0
    """Values that do not stand in their source, of all documents; none of them landed."""
    unfit: int = 0
    """Findings that are no record of their type, of all documents."""
    incomplete: Mapping[str, str] = field(default_factory=dict)
    """Document → why a way could not be gone; tried again by the next run."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Document → why it, or a way on it, failed."""
    work: Mapping[str, int] = field(default_factory=dict)
    """Calls that really ran: read, parse, extract (documents), ask (questions to a model)."""
    seconds: float = 0.0


def follow(
    ledger: Mapping[str, LedgerEntry],
    documents: Documents,
    stages: Stages,
    extractor: Extractor,
    tables: DeltaTables,
    *,
    progress: Progress | None = None,
) -> ExtractReport:
    """Make the tables of records say what the documents of an index say.

    A document that is quarantined in the index keeps the records of its last good content, as it
    keeps its chunks.

    Raises
    ------
    ConfigError
        A record type has the name of a table that holds something else.
    TransientError
        Another process writes the same tables.
    """
    started = time.perf_counter()
    tell = progress or (lambda stage, done, total: None)
    before = Counter(stages.work) + Counter(extractor.work)
    held = _state(tables)
    names = [*extractor.schema.types, STATE]
    whole = all(name in tables.names() for name in names)  # a table that was dropped is made anew
    todo, gone = _todo(ledger, held, extractor.recipe, whole=whole)
    state: dict[str, Row] = {}
    found: dict[str, Extracted] = {}
    for done, name in enumerate(todo):
        tell("extract", done, len(todo))
        try:
            found[name] = _one(name, ledger[name], documents, stages, extractor)
        except _Unreadable as problem:
            state[name] = (*held.get(name, (name, "", "", 0, 0, 0))[:6], str(problem), "")
        else:
            state[name] = _line(name, ledger[name], extractor, found[name])
    tell("extract", len(todo), len(todo))
    written: dict[str, Mapping[str, int]] = {}
    if not whole:  # what the tables hold of is not known for certain
        kept = {*ledger} - {*found}
        gone = sorted(_documents(tables, names) - kept - {*todo})
    if todo or gone or not whole:
        written = _land(found, state, extractor, tables, {*found, *gone})
    now = {n: r for n, r in held.items() if n in ledger} | state
    return ExtractReport(
        len(now),
        tuple(todo),
        tuple(gone),
        written,
        sum(row[4] for row in now.values()),
        sum(row[5] for row in now.values()),
        {name: row[6] for name, row in now.items() if row[6]},
        {name: row[7] for name, row in now.items() if row[7]},
        dict(Counter(stages.work) + Counter(extractor.work) - before),
        time.perf_counter() - started,
    )


class _Unreadable(Exception):
    """A document cannot be looked at just now; its records stay as they are."""


def _todo(
    ledger: Mapping[str, LedgerEntry], held: Mapping[str, Row], recipe: str, *, whole: bool
) -> tuple[list[str], list[str]]:
    """Return the documents to extract from, and those whose records go. Pure."""
    todo = []
    for name, entry in sorted(ledger.items()):
        if entry.error:
            continue
        row = held.get(name)
        same = row is not None and row[1:3] == (entry.content_hash, recipe) and not row[6]
        if not (whole and same):
            todo.append(name)
    return todo, sorted(name for name in held if name not in ledger)


def _one(
    name: str, entry: LedgerEntry, documents: Documents, stages: Stages, extractor: Extractor
) -> Extracted:
    try:
        content, elements = stages.elements(documents, name, known_hash=entry.content_hash)
        if content == entry.content_hash:
            return extractor.extract(Source(name, content[:VERSION_DIGITS], elements), content)
    except (DocumentError, FileNotFoundError) as error:
        raise _Unreadable(str(error)) from error
    except (AgentOpsError, ImportError, MemoryError):
        raise  # not the document's fault
    except Exception as error:  # unreadable just now, or a parser's bug: the others go on
        raise _Unreadable(f"{type(error).__name__}: {error}") from error
    raise _Unreadable("the document changed after the index was synced; sync again")


def _line(name: str, entry: LedgerEntry, extractor: Extractor, found: Extracted) -> Row:
    faults = Counter(one.fault for one in found.rejected)
    records = distinct(found.records, extractor.schema.types)
    return (
        name,
        entry.content_hash,
        extractor.recipe,
        len(records),
        faults["invented"],
        faults["unfit"],
        found.incomplete,
        found.failed,
    )


def _land(
    found: Mapping[str, Extracted],
    state: Mapping[str, Row],
    extractor: Extractor,
    tables: DeltaTables,
    scope: set[str],
) -> dict[str, Mapping[str, int]]:
    written: dict[str, Mapping[str, int]] = {}
    types = extractor.schema.types
    rows: dict[str, dict[str, Row]] = {name: {} for name in types}
    for one in found.values():
        records = distinct(one.records, types)
        for name, type_ in types.items():
            rows[name] |= rows_of(records, type_)
    for name in types:
        if name in tables.names():
            ours(tables, name)  # before anything is written
    plan: Sequence[tuple[str, Mapping[str, Kind], Mapping[str, Row]]] = [
        *((name, columns(type_), rows[name]) for name, type_ in types.items()),
        (STATE, STATE_COLUMNS, state),
    ]
    # Record types that the schema no longer has: what they said is no longer kept up to date.
    for name in made_here(tables):
        if name not in types and name != STATE:
            ours(tables, name).delete()
    for name, kinds, wanted in plan:
        documents = scope | {*state} if name == STATE else scope
        merged = merge_rows(tables, name, kinds, wanted, documents=documents)
        if any(merged):
            written[name] = merged._asdict()
    return written


def _state(tables: DeltaTables) -> dict[str, Row]:
    if STATE not in tables.names():
        return {}
    held = ours(tables, STATE).to_pyarrow_dataset().to_table().to_pylist()
    return {row["document"]: tuple(row.get(c) for c in STATE_COLUMNS) for row in held}


def _documents(tables: DeltaTables, names: Sequence[str]) -> set[str]:
    """Return the documents of which these tables hold anything."""
    found: set[str] = set()
    for name in {*names} & {*tables.names()}:
        held = ours(tables, name).to_pyarrow_dataset().to_table(columns=["document"])
        found.update(held["document"].to_pylist())
    return found
