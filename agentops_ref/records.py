"""The records that the stages hand each other. This module imports nothing of the project.

Taught in chapter 3 (documents, chunks), chapter 5 (answers) and chapter 8 (cases, scores).
Every record is frozen: a stage makes new ones and never changes what it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

ElementKind = Literal["title", "text", "list", "table", "figure", "caption"]
ChangeKind = Literal["create", "update", "delete", "keep"]
CaseOrigin = Literal["written", "synthetic", "trace", "incident"]
CaseSplit = Literal["dev", "test"]
PageBox = tuple[float, float, float, float]
"""(left, top, right, bottom) as shares 0..1 of a page's width and height, from its top left."""


# --- what a source says -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One line of a source's listing. Cheap to get: no content is read for it."""

    document: str
    """Identity of the document in its source: a POSIX path below the source's root."""
    fingerprint: str
    """Changes when the content may have changed (size and mtime, or an etag)."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that a source holds at one moment."""

    source: str
    items: tuple[SourceItem, ...]
    complete: bool = True
    """False when a part of the source could not be listed; then nothing may be deleted."""
    problem: str = ""
    """Why the listing is incomplete, empty otherwise."""
    closed: tuple[str, ...] = ()
    """Folders (also among ``items``) that may not be looked into. What the index holds of them
    counts neither as missing nor as there."""


# --- what the ETL makes of it -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Element:
    """One piece of a parsed document, in reading order."""

    kind: ElementKind
    text: str
    """Plain text. A table's rows are lines, its cells separated by " | ", the header row first.

    Empty for a figure without labels or a description: its box says where the picture is.
    """
    page: int | None = None
    """1-based page (PDF), slide (PPTX) or sheet (XLSX); None where the format has no pages."""
    confidence: float | None = None
    """OCR confidence in 0..1; None for born-digital text."""
    box: PageBox | None = None
    """Where it stands on ``page`` as that is shown; None where the format has no geometry.

    Of a paragraph that goes on overleaf, the part on ``page``.
    """


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is searched, embedded and cited as one."""

    id: str
    """Stable: the document, its version and the ordinal decide it."""
    document: str
    version: str
    """First 12 hex digits of the SHA-256 of the document's bytes: names a content, not a moment."""
    ordinal: int
    """0-based position in the document."""
    text: str
    """As printed in the document; citations quote from here."""
    context: str
    """One line that says where the text stands (title, section); embedded with it, never quoted."""
    page: int | None = None
    """1-based page on which the text begins; None where the format has no pages."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """To filter by: ``kind`` (manuals, bulletins, ...), ``tenant`` ("" when shared), ``title``."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the index knows of one document. It is committed together with the document's chunks."""

    document: str
    fingerprint: str
    content_hash: str
    """SHA-256 of the bytes, hex."""
    recipe: str
    """Hash of every recipe (parse, chunk, embed) that made the chunks."""
    chunks: int
    missing: int = 0
    """How many complete listings in a row lacked the document: its tombstone's age."""
    error: str = ""
    """Why the document is quarantined; empty when it is indexed."""


class Change(NamedTuple):
    """One line of a sync plan."""

    kind: ChangeKind
    document: str
    reason: str


QualityState = Literal["pass", "fail", "not enough"]


@dataclass(frozen=True, slots=True)
class QualityVerdict:
    """What became of one expectation."""

    name: str
    """Metric, limit and where, on one line; the same in every run of the same expectation."""
    metric: str
    scope: Literal["document", "run"]
    on_fail: Literal["quarantine", "refuse", "warn"]
    state: QualityState
    """"not enough": there is nothing to judge, or what there is does not tell."""
    limit: float | None
    """What ``measured`` is compared with; None where the expectation names texts."""
    above: bool
    """Whether it must be at least the limit; at most otherwise."""
    n: int
    """Documents that it was measured on."""
    measured: float | None = None
    low: float | None = None
    """Ends of its interval; None where the number is exact or says nothing."""
    high: float | None = None
    worst: tuple[tuple[str, str], ...] = ()
    """(document, its value as text), worst first; those that miss the limit only."""
    reason: str = ""
    """Why it is expected, as its author wrote it."""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """How good the documents are that a sync brought, or that an index holds."""

    source: str
    scope: Literal["sync", "index"]
    verdicts: tuple[QualityVerdict, ...] = ()
    documents: int = 0
    """Documents that were judged."""
    unknown: int = 0
    """Documents that could not be: their profile is not known."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metric → median over the documents, or the run's one value; ``language`` has none."""
    rejected: tuple[tuple[str, str], ...] = ()
    """(document, reason): quarantined for its quality."""
    refused: str = ""
    """Why nothing is to be committed; empty otherwise."""
    index_version: int = 0
    """The version that readers see afterwards."""
    made_at: str = ""
    """UTC, ISO 8601 to the second."""

    @property
    def failed(self) -> tuple[QualityVerdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.state == "fail")


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync did."""

    source: str
    index_version: int
    """The version that readers see after the sync; unchanged when nothing was to be done."""
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    tombstoned: tuple[str, ...] = ()
    """Missing from the listing, still served, removed after enough complete listings."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(old name, new name): the old one is in ``deleted`` too, the new one in ``created``."""
    quarantined: tuple[tuple[str, str], ...] = ()
    """(document, reason) pairs."""
    unchanged: int = 0
    refused: str = ""
    """Why nothing was changed (mass-deletion guard, failed listing, quality); empty otherwise."""
    work: Mapping[str, int] = field(default_factory=dict)
    """Calls per stage that really ran: read, parse, chunk, embed (texts), write (rows).

    ``retry`` is there when reads failed and were done again: how often.
    """
    seconds: float = 0.0
    quality: QualityReport | None = None
    """What was found of what the sync brings; None where nothing was judged."""

    @property
    def changed(self) -> bool:
        return bool(self.created or self.updated or self.deleted)


# --- what a search and an agent give back -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found by a search, with the evidence for its rank."""

    chunk: Chunk
    score: float
    """Fused score; comparable only within one search."""
    vector_rank: int | None = None
    """1-based rank among the vector results; None when it was not among them."""
    text_rank: int | None = None
    """1-based rank among the full-text (BM25) results; None when it was not among them."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement of an answer stands. It resolves: the quote is in that page's chunk."""

    document: str
    version: str
    page: int | None
    quote: str
    """Verbatim from the chunk's text."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a piece of work cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    """US dollars at the configured prices; 0 for a local model."""
    calls: int = 0
    live_seconds: float = 0.0
    """Time that the model took when it answered live; a replayed answer keeps its recording's."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
            self.calls + other.calls,
            self.live_seconds + other.live_seconds,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done on the way to an answer; in order, they are its trajectory."""

    agent: str
    """Who did it."""
    action: str
    """A tool's or a specialist's name, or "answer"."""
    input: str
    """The task as it was handed over, or a tool's arguments as JSON."""
    status: str = "ok"
    """"ok", or what became of it in a word: invalid, denied, limited, waiting, timeout, failed,
    unknown."""
    seconds: float = 0.0
    detail: str = ""
    """What was said of a step that is not ok."""
    result: str = ""
    """What a tool told the model."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent gives back for one question."""

    text: str
    abstained: bool
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    """What the model was shown, best first."""
    usage: Usage = Usage()
    seconds: float = 0.0
    """Wall time of this run; a replayed model answers faster than it did live."""
    model: str = ""
    """Name of the model that answered and how: ``live``, ``replay`` or ``scripted``."""
    index_version: int | None = None
    trace_id: str = ""
    steps: tuple[Step, ...] = ()
    problem: str = ""
    """What kept the answer from being whole (a specialist that is down, a limit); else empty."""
    waiting: tuple[str, ...] = ()
    """Approvals without which nothing more is done: ids for `agentops approvals`."""


# --- what an evaluation works on --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """One question of an evaluation set, with what a right answer must hold."""

    id: str
    question: str
    facts: tuple[str, ...] = ()
    """Each must appear in the answer; alternatives within one fact are separated by "|"."""
    forbidden: tuple[str, ...] = ()
    """None may appear: withdrawn values, another model's value."""
    sources: tuple[str, ...] = ()
    """Documents of which at least one must be cited."""
    abstain: bool = False
    """True when the corpus cannot answer and the agent must say so."""
    slice: str = ""
    """The group it is reported under: fault-code, procedure, warranty, changed, unanswerable."""
    corpus_version: int = 1
    """Version of the running case's corpus for which the expectations hold."""
    tools: tuple[str, ...] = ()
    """Tools that a right trajectory calls, in this order; empty where any way will do."""
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    """Tool (one of ``tools``) → arguments that a right call of it holds; it may hold others."""
    origin: CaseOrigin = "written"
    """Where the case comes from: a person, a model, a trace of use, an incident."""
    origin_note: str = ""
    """What the origin is: the trace's id, the incident, who validated a synthetic case."""
    split: CaseSplit = "dev"
    """``dev`` is for looking at, case by case, while prompts and settings are tuned. ``test`` is
    for a gate alone, which sees its scores: once tuned on, it no longer says what is to come."""
    retired: str = ""
    """Why and when the case was retired, else empty. It is no longer run and keeps its history."""


@dataclass(frozen=True, slots=True)
class Score:
    """One scorer's verdict on one case. A scorer that failed leaves ``value`` None and says why."""

    scorer: str
    value: float | None
    """0..1; None when the scorer does not apply or failed."""
    rationale: str = ""
    error: str = ""


Inputs = Mapping[str, Any]
