"""The records that extraction hands on. Taught in chapter 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from agentops_ref.records import PageBox

Method = Literal["table", "pattern", "model"]
Fault = Literal["invented", "unfit"]
"""invented: a value does not stand in its source. unfit: it does, and is none of its type."""
Value = str | float | date | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a way found, before anything about it was checked."""

    type: str
    """Name of the record type."""
    method: Method
    printed: Mapping[str, str | tuple[str, ...]]
    """Field → the value as it is printed, or as a model wrote it; without its unit."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Number field → its unit, where the way gave one."""
    element: int | None = None
    """0-based index of the element that it was found in; None when a model did not say."""
    evidence: str = ""
    """The part of the element that says it: a row with its header; "" is the whole element."""
    quote: str = ""
    """What people are shown of the evidence; "" is for the check to choose."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a record stands. Whoever holds the file can look."""

    document: str
    version: str
    """First 12 hex digits of the SHA-256 of the document's bytes."""
    element: int
    """0-based index of the element in reading order."""
    page: int | None
    """1-based; None where the format has no pages."""
    box: PageBox | None
    """Where the element stands on its page; None where the format has no geometry."""
    quote: str
    """Verbatim from the element: a row of a table, or a sentence."""
    method: Method
    confidence: float | None = None
    """OCR confidence of the element, 0..1; None for born-digital text."""


@dataclass(frozen=True, slots=True)
class Record:
    """One typed record, all of whose values stand in its source."""

    type: str
    values: Mapping[str, Value | None]
    """Field → value, every field of the type; None where the document does not say."""
    units: Mapping[str, str]
    """Number field → unit, of those that have one."""
    provenance: Provenance

    def key(self, fields: tuple[str, ...]) -> str:
        """Return the values of the key's fields, joined; tells records of a document apart."""
        return "|".join(
            "" if self.values[name] is None else str(self.values[name]) for name in fields
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """What was found and is no record. It is counted, told and never landed."""

    type: str
    method: Method
    fault: Fault
    reason: str
    printed: Mapping[str, str | tuple[str, ...]]
    element: int | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """Everything that was extracted from one content."""

    records: tuple[Record, ...] = ()
    """In reading order of the ways; the same record may have been found in several ways."""
    rejected: tuple[Rejected, ...] = ()
    incomplete: str = ""
    """Why a way could not be gone (no model), empty otherwise. The others' records are there."""
    failed: str = ""
    """Why a way failed on this document (a model's answer is no form), empty otherwise."""
