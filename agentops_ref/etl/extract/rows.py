"""Records → rows of their tables. Pure. Taught in chapter 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agentops_ref.etl.extract.records import Record
from agentops_ref.etl.extract.schema import FieldType, RecordType
from agentops_ref.etl.rowmerge import Kind, Row

_KINDS: Mapping[str, Kind] = {
    "string": "string",
    "choice": "string",
    "number": "float",
    "date": "date",
    "list": "strings",
}
_PROVENANCE: Mapping[str, Kind] = {
    "document": "string",
    "version": "string",
    "element": "int",
    "page": "int",
    "box": "floats",
    "quote": "string",
    "method": "string",
    "confidence": "float",
}
_ORDER = {"table": 0, "pattern": 1, "model": 2}


def columns(type_: RecordType) -> dict[str, Kind]:
    """Return column → type of a record type's table: a key, the fields, the provenance."""
    fields: dict[str, Kind] = {}
    for name, field in type_.fields.items():
        fields[name] = _KINDS[field.type]
        if field.unit:
            fields[f"{name}_unit"] = "string"
    return {"id": "string", **fields, **_PROVENANCE}


def distinct(records: Iterable[Record], types: Mapping[str, RecordType]) -> list[Record]:
    """Return one document's records, each once: the first one by table, pattern, model.

    Records of one key that contradict each other both stay; which is right, a rule does not know.
    """
    kept: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=lambda one: _ORDER[one.provenance.method]):
        same = kept.setdefault((record.type, record.key(types[record.type].key)), [])
        if not any(_says(other, record) for other in same):
            same.append(record)
    return [record for same in kept.values() for record in same]


def _says(one: Record, other: Record) -> bool:
    """Whether ``one`` says everything that ``other`` does."""
    return all(
        value is None
        or (one.values[name] == value and one.units.get(name) == other.units.get(name))
        for name, value in other.values.items()
    )


def rows_of(records: Iterable[Record], type_: RecordType) -> dict[str, Row]:
    """Return key → row of one document's distinct records of a type.

    The key names the document and the record's own key; "~2" tells a contradiction apart.
    """
    rows: dict[str, Row] = {}
    for record in records:
        if record.type != type_.name:
            continue
        at = record.provenance
        name = f"{at.document}#{record.key(type_.key)}"
        number = 1
        while (key := name if number == 1 else f"{name}~{number}") in rows:
            number += 1
        rows[key] = (
            key,
            *(cell for name, field in type_.fields.items() for cell in _cells(record, name, field)),
            at.document,
            at.version,
            at.element,
            at.page,
            at.box,
            at.quote,
            at.method,
            at.confidence,
        )
    return rows


def _cells(record: Record, name: str, field: FieldType) -> tuple[object, ...]:
    value = record.values[name]
    return (value, record.units.get(name)) if field.unit else (value,)
