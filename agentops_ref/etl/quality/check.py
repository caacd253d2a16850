"""What a sync asks before it commits: is this document, is this run, good enough?

Taught in chapter 4. `Check.document` is asked per document once it is parsed and chunked, `Check`
itself once with everything that the commit would bring. It changes nothing; the sync acts on it.
What it reads of the index is bounded by `SAMPLE`, however large the index is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple

import numpy as np

from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.quality.expectations import Expectation, judge, shown
from agentops_ref.etl.quality.metrics import Fields, Value, of_change, of_document
from agentops_ref.etl.quality.profile import DocumentProfile
from agentops_ref.etl.quality.vectors import (
    FEWEST_DOCUMENTS,
    Estimate,
    Sums,
    cohesion,
    drift,
    spread,
    sums,
)
from agentops_ref.etl.sinks.base import Rows, Snapshot
from agentops_ref.records import Chunk, LedgerEntry, QualityReport, QualityVerdict

Completeness = Callable[[str, Sequence[Chunk]], Fields | None]
"""(document, chunks) → fields found and expected in it; None where nothing is expected of it."""
SAMPLE = 300
"""Documents of a run, and of the accepted index, whose vectors and texts are compared.

A share of 300 is known to about six percentage points, and reading their rows takes a second.
"""
OVERRIDE = "--accept-quality"


class Rejected(NamedTuple):
    """A document that is not good enough."""

    document: str
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a sync is about to commit."""

    source: str
    held: Snapshot
    """What readers see."""
    ledger: Mapping[str, LedgerEntry]
    """Of ``held``."""
    state: Mapping[str, LedgerEntry]
    """The ledger as it would be after the commit."""
    brought: Sequence[Rows]
    """Everything that is replaced; gone through, never gathered."""
    profiles: Mapping[str, DocumentProfile]
    """Of the documents that were prepared anew; what was only embedded again has none."""
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """The expectations in force."""

    expectations: tuple[Expectation, ...]
    level: float = 0.95
    """Confidence level of the intervals."""
    fewest: int = 6
    """Documents below which a run cannot fail, whatever the interval."""
    completeness: Completeness | None = None
    accept: bool = False
    """Take what comes: failures are reported and stop nothing."""

    def document(self, name: str, profile: DocumentProfile, chunks: Sequence[Chunk]) -> str:
        """Say why a document is to keep its old version; "" where it may go on."""
        if self.accept:
            return ""
        strict = [one for one in self.expectations if one.settings.on_fail == "quarantine"]
        counted = any(one.settings.metric == "extracted_share" for one in strict)
        values = of_document(profile, self._fields(name, chunks) if counted else None)
        for one in strict:
            if why := one.complaint(name, values):
                return f"quality: {why}; mend it, or sync with {OVERRIDE}"
        return ""

    def __call__(self, candidate: Candidate) -> QualityReport | None:
        """Judge what a sync brings; ``refused`` says why it must not be committed.

        None when it brings nothing to judge.
        """
        if not (candidate.brought or candidate.rejected):
            return None
        facts = _Facts()
        names = [rows.entry.document for rows in candidate.brought]
        sampled = set(_sample(names))
        accepted = _accepted(candidate, sampled)
        twins = _Twins(candidate)
        for rows in candidate.brought:
            name = rows.entry.document
            profile = candidate.profiles.get(name)
            if profile is not None:
                facts.values[name] = of_document(profile, self._fields(name, rows.chunks))
                facts.values[name]["twins"] = twins.of(rows.entry, profile)
            if name not in sampled:
                continue
            if (of := sums(rows.vectors)) is not None:
                facts.vectors[name] = of
            if profile is not None and name in accepted.chunks:
                same = _model(candidate.ledger[name]) == _model(rows.entry)
                old, vectors = accepted.chunks[name], accepted.vectors[name]
                facts.values[name] |= of_change(
                    old, vectors, rows.chunks, rows.vectors, same_model=same
                )
        models = {_model(rows.entry) for rows in candidate.brought}
        base = {n: v for n, v in accepted.sums.items() if _model(candidate.ledger[n]) in models}
        return self._report(candidate.source, "sync", facts, base, rejected=candidate.rejected)

    def index(
        self,
        source: str,
        profiles: Iterable[tuple[LedgerEntry, DocumentProfile | None]],
        held: Snapshot,
    ) -> QualityReport:
        """Judge all that an index holds, as if one sync had brought it.

        Metrics of a change have nothing to compare with here; the profiles are gone through once.
        """
        facts, unknown = _Facts(), 0
        digests: Counter[str] = Counter()
        known: list[tuple[str, str]] = []
        for entry, profile in profiles:
            if profile is None:
                unknown += 1
                continue
            fields = None
            if self.completeness is not None:
                fields = self._fields(entry.document, held.chunks_of(entry.document))
            facts.values[entry.document] = of_document(profile, fields)
            digest = profile.digest or entry.content_hash
            digests[digest] += 1
            known.append((entry.document, digest))
        for name, digest in known:
            facts.values[name]["twins"] = digests[digest] - 1
        rows = _gathered(held, _sample(facts.values))
        facts.vectors = {n: s for n, (_, v) in rows.items() if (s := sums(v)) is not None}
        return self._report(source, "index", facts, {}, unknown=unknown)

    def _report(
        self,
        source: str,
        scope: str,
        facts: _Facts,
        accepted: Mapping[str, Sums],
        *,
        rejected: tuple[Rejected, ...] = (),
        unknown: int = 0,
    ) -> QualityReport:
        for name, value in cohesion(facts.vectors).items():
            facts.values.setdefault(name, {})["cohesion"] = value
        estimates: dict[str, Estimate | None] = {
            "vector_spread": spread(facts.vectors, self.level),
            "centroid_drift": drift(facts.vectors, accepted, self.level),
        }
        verdicts = tuple(
            judge(one, facts.values, estimates, level=self.level, fewest=self.fewest)
            for one in self.expectations
        )
        return QualityReport(
            source,
            "index" if scope == "index" else "sync",
            verdicts,
            documents=len(facts.values),
            unknown=unknown,
            metrics=_summary(facts.values, estimates),
            rejected=tuple(rejected),
            refused="" if self.accept or scope == "index" else refusal(verdicts),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _fields(self, name: str, chunks: Sequence[Chunk]) -> Fields | None:
        return None if self.completeness is None else self.completeness(name, chunks)


def refusal(verdicts: Sequence[QualityVerdict]) -> str:
    """Say which expectations refuse a run, what was measured, the worst documents, what to do."""
    failed = [v for v in verdicts if v.state == "fail" and v.on_fail == "refuse"]
    if not failed:
        return ""
    return (
        f"what this sync brings is not as good as etl.quality expects: "
        f"{'; '.join(map(explained, failed))}. Readers stay on the old version. Mend the source, "
        f"the parser or the model and sync again; if it is to go in as it is, run with {OVERRIDE}"
    )


def explained(verdict: QualityVerdict) -> str:
    """One verdict in words: expectation, measured value with its interval, worst documents."""
    v = verdict
    if v.measured is None or v.limit is None:
        return f"{v.name}: nothing to judge"
    said = f"{v.name}: {shown(v.measured)}"
    if v.low is not None and v.high is not None:
        said += f" ({shown(v.low)} to {shown(v.high)})"
    said += f" of {v.n} document{'s' * (v.n != 1)}, limit {shown(v.limit)}"
    if v.worst:
        said += f", worst: {', '.join(f'{name} {value}' for name, value in v.worst[:3])}"
    return said + (f" [{v.reason}]" if v.reason else "")


@dataclass(slots=True)
class _Facts:
    values: dict[str, dict[str, Value]] = field(default_factory=dict)
    vectors: dict[str, Sums] = field(default_factory=dict)


@dataclass(slots=True)
class _Accepted:
    """Sampled documents as the index holds them: those that are replaced, and its centre."""

    chunks: dict[str, list[Chunk]] = field(default_factory=dict)
    vectors: dict[str, Vectors] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)


def _accepted(candidate: Candidate, sampled: set[str]) -> _Accepted:
    replaced = set(sampled & candidate.ledger.keys() & candidate.profiles.keys())
    base: set[str] = set()
    if len(sampled) >= FEWEST_DOCUMENTS:  # otherwise the centre is not asked for
        base = set(_sample(candidate.ledger))
    found = _Accepted()
    for name, (chunks, vectors) in _gathered(candidate.held, replaced | base).items():
        if name in replaced:
            found.chunks[name], found.vectors[name] = chunks, vectors
        if name in base and (of := sums(vectors)) is not None:
            found.sums[name] = of
    return found


def _gathered(held: Snapshot, names: Iterable[str]) -> dict[str, tuple[list[Chunk], Vectors]]:
    wanted = set(names)
    chunks: dict[str, list[tuple[Chunk, Vectors]]] = {}
    for owner, chunk, vector in held.stored(wanted) if wanted else ():
        chunks.setdefault(owner, []).append((chunk, vector))
    found = {}
    # In one order, so that sums are the same to the last bit whatever the store's order is.
    for name in sorted(chunks):
        rows = sorted(chunks[name], key=lambda row: (row[0].ordinal, row[0].id))
        found[name] = ([chunk for chunk, _ in rows], np.stack([vector for _, vector in rows]))
    return found


class _Twins:
    """Counts the documents with the same bytes anywhere in the index, or the same words in a run.

    Equal bytes are seen in the ledger, at no cost. Equal words in another file format are seen
    among the documents that the run brings: of the others the ledger does not know the words.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._bytes = Counter(e.content_hash for e in candidate.state.values() if not e.error)
        profiles = candidate.profiles.values()
        self._words = Counter(profile.digest for profile in profiles if profile.digest)

    def of(self, entry: LedgerEntry, profile: DocumentProfile) -> int:
        return max(self._bytes[entry.content_hash], self._words[profile.digest], 1) - 1


def _sample(names: Iterable[str]) -> list[str]:
    """Return up to `SAMPLE` names, the same ones each time, whatever the names look like."""
    return sorted(names, key=lambda n: hashlib.sha256(n.encode("utf-8", "replace")).digest())[
        :SAMPLE
    ]


def _model(entry: LedgerEntry) -> str:
    return entry.recipe.rpartition(".")[2]


def _summary(
    values: Mapping[str, Mapping[str, Value]], estimates: Mapping[str, Estimate | None]
) -> dict[str, float]:
    numbers: dict[str, list[float]] = {}
    for found in values.values():
        for metric, value in found.items():
            if not isinstance(value, str):
                numbers.setdefault(metric, []).append(value)
    summary = {metric: float(median(found)) for metric, found in sorted(numbers.items())}
    return summary | {m: e.value for m, e in estimates.items() if e is not None}
