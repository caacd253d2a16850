"""Candidate → record, or the reason why it is none. Pure. Taught in chapter 3.

Nothing lands that does not stand in its source. A value of a field with ``context`` may stand in
the title, section or caption in force; every other one stands in the candidate's own element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from agentops_ref.etl.extract.context import in_force
from agentops_ref.etl.extract.grounded import (
    date_of,
    folded,
    grounded,
    matches,
    number_stands,
    readings,
)
from agentops_ref.etl.extract.records import (
    Candidate,
    Fault,
    Provenance,
    Record,
    Rejected,
    Value,
)
from agentops_ref.etl.extract.schema import FieldType, RecordType
from agentops_ref.records import Element

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)")
_READABLE = ("title", "text", "list", "table", "caption")


class Source(NamedTuple):
    """The document that is looked at."""

    document: str
    version: str
    elements: Sequence[Element]


class _Problem(Exception):
    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault, self.reason = fault, reason


def check(candidate: Candidate, type_: RecordType, source: Source) -> Record | Rejected | None:
    """Return the record, what is wrong with it, or None where it is no record of this type.

    It is none, and no fault either, when a required choice is none of its choices: a row of the
    same table about something else, which nobody asked for.
    """
    try:
        printed = _chosen(candidate, type_)
        if printed is None:
            return None
        if candidate.element is None:
            candidate = _at_home(candidate, printed, type_, source)
        return _record(candidate, printed, type_, source)
    except _Problem as problem:
        return Rejected(
            candidate.type,
            candidate.method,
            problem.fault,
            problem.reason,
            candidate.printed,
            candidate.element,
        )


Printed = dict[str, str | tuple[str, ...]]


def _chosen(candidate: Candidate, type_: RecordType) -> Printed | None:
    """Return what is printed, narrowed to what each field is about; None for no record.

    The words of a choice become its name, a cell or group with more in it the one match.
    """
    made: Printed = {}
    for name, text in candidate.printed.items():
        field = type_.fields[name]
        found: str | tuple[str, ...] | None = text
        if field.type == "list":
            found = _items(field, text)
        elif isinstance(text, str) and field.type == "choice" and text not in field.choices:
            worded = " ".join(text.split())
            found = next((n for n, c in field.choices.items() if c.wording.search(worded)), None)
        elif isinstance(text, str) and field.match is not None:
            several = list(dict.fromkeys(matches(field, text)))
            if len(several) > 1:
                raise _Problem("unfit", f"{name}: {text!r} is more than one value")
            # What a rule cuts out may be a "none"; what a model writes must be a value.
            found = several[0] if several else text if candidate.method == "model" else None
        if found:
            made[name] = found
        elif field.required:
            return None
    return made


def _items(field: FieldType, text: str | tuple[str, ...]) -> tuple[str, ...]:
    given = (text,) if isinstance(text, str) else text
    if field.match is not None:
        return tuple(one for item in given for one in matches(field, item) or [item])
    return tuple(part.strip() for item in given for part in item.split(",") if part.strip())


def _at_home(
    candidate: Candidate, printed: Printed, type_: RecordType, source: Source
) -> Candidate:
    """Put a candidate of unknown origin where it first stands, whole: an element, a table's row."""
    lacking: list[str] = []
    for index, element in enumerate(source.elements):
        if element.kind not in _READABLE or not element.text:
            continue
        parts = [(element.text, "")]
        if element.kind == "table":
            header, *rows = element.text.split("\n")
            parts = [(f"{header}\n{row}", row) for row in rows]
        for evidence, quote in parts:
            here = replace(candidate, element=index, evidence=evidence, quote=quote)
            absent = _missing(here, printed, type_, source)
            missing = [_shown(name, printed, here) for name in absent]
            if not missing:
                return here
            if not lacking or len(missing) < len(lacking):
                lacking = missing
    raise _Problem("invented", f"stands in no element: {', '.join(lacking) or 'no text'}")


def _missing(
    candidate: Candidate, printed: Printed, type_: RecordType, source: Source
) -> Iterator[str]:
    """Yield the fields whose values do not stand where they should."""
    at = candidate.element
    assert at is not None
    element = source.elements[at]
    own = candidate.evidence or element.text
    cells = element.kind == "table"
    for name, value in printed.items():
        field = type_.fields[name]
        around = in_force(source.elements, at, field.context)
        texts = [own, *around]
        for item in value if isinstance(value, tuple) else (value,):
            unit = candidate.units.get(name)
            if not any(grounded(field, item, unit, text, cells=cells) for text in texts):
                yield name
                break


def _record(candidate: Candidate, printed: Printed, type_: RecordType, source: Source) -> Record:
    at = candidate.element
    assert at is not None
    element = source.elements[at]
    own = candidate.evidence or element.text
    missing = list(_missing(candidate, printed, type_, source))
    if missing:
        told = ", ".join(_shown(name, printed, candidate) for name in missing)
        raise _Problem("invented", f"not in its element: {told}")
    values: dict[str, Value | None] = {}
    units: dict[str, str] = {}
    for name, field in type_.fields.items():
        text = printed.get(name)
        if text is None and field.context:
            taken = {folded(one) for one in printed.values() if isinstance(one, str)}
            texts = (candidate.quote, own, *in_force(source.elements, at, field.context))
            text = _named_in(texts, field, taken)
        values[name] = None if text is None else _typed(name, field, text)
        if field.unit and values[name] is not None:
            units[name] = _unit_of(name, field, candidate, printed, type_)
        if values[name] is None and field.required:
            raise _Problem("unfit", f"{name} is missing")
    return Record(
        type_.name,
        values,
        units,
        Provenance(
            source.document,
            source.version,
            at,
            element.page,
            element.box,
            candidate.quote or _sentence(element, candidate, printed),
            candidate.method,
            element.confidence,
        ),
    )


def _named_in(texts: Sequence[str], field: FieldType, taken: set[str]) -> str | None:
    """Return the one value that the nearest of the texts names; None where none names just one.

    A text that names several is passed over: which one is meant, it does not say. What is another
    field's value already (``taken``) is not meant.
    """
    for text in texts:
        found = {folded(one): one for one in matches(field, text) if folded(one) not in taken}
        if len(found) == 1:
            return next(iter(found.values()))
    return None


def _typed(name: str, field: FieldType, text: str | tuple[str, ...]) -> Value:
    if field.type == "list":
        return (text,) if isinstance(text, str) else text
    if not isinstance(text, str):
        raise _Problem("unfit", f"{name}: several values where one is expected")
    if field.type == "number":
        found = readings(text)
        if not found:
            raise _Problem("unfit", f"{name}: {text!r} is not a number")
        return min(found, key=lambda one: (one != _plain(text), one))
    if field.type == "date":
        day = date_of(text, field.formats)
        if day is None:
            raise _Problem("unfit", f"{name}: {text!r} is not a date as in {field.formats}")
        return day
    return text


def _plain(text: str) -> float | None:
    """The reading of a number whose point is a decimal point, which is the first one taken."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _unit_of(
    name: str, field: FieldType, candidate: Candidate, printed: Printed, type_: RecordType
) -> str:
    given = candidate.units.get(name, "")
    known = {folded(one): one for one in field.unit}
    if folded(given) not in known:
        expected = " or ".join(field.unit)
        raise _Problem("unfit", f"{name}: the unit is {given or 'not given'}, not {expected}")
    unit = known[folded(given)]
    for other, one in type_.fields.items():
        chosen = printed.get(other)
        if one.type == "choice" and isinstance(chosen, str):
            wanted = one.choices[chosen].unit
            if wanted is not None and folded(wanted) != folded(unit):
                raise _Problem("unfit", f"{name}: {chosen} is in {wanted}, not in {unit}")
    return unit


def _sentence(element: Element, candidate: Candidate, printed: Printed) -> str:
    """Return the part of an element that holds most of a record: a row, or a sentence."""
    parts = element.text.split("\n")
    if element.kind != "table":
        parts = [piece for part in parts for piece in _SENTENCE.split(part)]

    def held(part: str) -> int:
        return sum(
            number_stands(value, candidate.units[name], part)
            if name in candidate.units and isinstance(value, str)
            else folded(value if isinstance(value, str) else value[0]) in folded(part)
            for name, value in printed.items()
            if value
        )

    return max(parts, key=held)


def _shown(name: str, printed: Printed, candidate: Candidate) -> str:
    value = printed[name]
    text = value if isinstance(value, str) else ", ".join(value)
    unit = candidate.units.get(name)
    return f"{name} '{text}{f' {unit}' if unit else ''}'"
