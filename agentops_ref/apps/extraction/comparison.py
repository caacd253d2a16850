"""Records against the truth, field by field and way by way. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import NamedTuple

from agentops_ref.apps.extraction.truth import SCANNED, Item, Looked, amount, wanted
from agentops_ref.etl.extract import Record, distinct
from agentops_ref.etl.extract.grounded import folded, number_stands, stands
from agentops_ref.etl.extract.schema import RecordType, Schema
from agentops_ref.evals.statistics import Interval, proportion_interval

ALL = "all"


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one field of one record type, over the documents of one medium, by one way or by all."""

    type: str
    field: str
    way: str
    """table, pattern, model, or "all": each record once, by whichever way."""
    medium: str
    """"digital" or "scanned"."""
    right: int
    found: int
    wanted: int
    """Values that documents print which the way looks at; a way alone is not meant to find all."""

    @property
    def precision(self) -> float | None:
        """Share of what was found that is right, 0..1; None when nothing was found."""
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of what is printed that was found, 0..1; None when nothing is printed."""
        return self.right / self.wanted if self.wanted else None

    def precision_interval(self, level: float = 0.95) -> Interval:
        """Wilson's interval; (0, 1) when nothing was found."""
        return proportion_interval(self.right, self.found, level)

    def recall_interval(self, level: float = 0.95) -> Interval:
        """Wilson's interval; (0, 1) when nothing is printed."""
        return proportion_interval(self.right, self.wanted, level)


class Wrong(NamedTuple):
    """One value that was missed, or found and not printed so."""

    type: str
    field: str
    way: str
    verdict: str
    """"missed" or "not so"."""
    item: Item


def compare(looked: Iterable[Looked], schema: Schema) -> tuple[list[Quality], list[Wrong]]:
    """Count per record type, field, way and medium, and name what is not right."""
    counts: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    wrong: list[Wrong] = []
    for one in looked:
        medium = "scanned" if one.kind in SCANNED else "digital"
        printed = wanted(one)
        for name, type_ in schema.types.items():
            for way, records in _by_way(one, type_, schema).items():
                found: dict[str, set[Item]] = defaultdict(set)
                for record in records:
                    for field, item in items(record, type_):
                        found[field].add(item)
                for field in type_.fields:
                    got, want = found[field], printed.get(name, {}).get(field, set())
                    if not _known(name, field):
                        continue
                    count = counts[name, field, way, medium]
                    count[0] += len(got & want)
                    count[1] += len(got)
                    count[2] += len(want)
                    wrong += (Wrong(name, field, way, "missed", i) for i in sorted(want - got))
                    wrong += (Wrong(name, field, way, "not so", i) for i in sorted(got - want))
    qualities = [Quality(*at, *count) for at, count in counts.items() if any(count)]
    return qualities, wrong


def _known(type_: str, field: str) -> bool:
    """Whether the truth says anything of a field: a relation's date is its bulletin's."""
    return (type_, field) != ("relations", "date")


def _by_way(one: Looked, type_: RecordType, schema: Schema) -> dict[str, list[Record]]:
    """Return the records by way, for the ways that look at the document, and each once."""
    path = PurePosixPath(one.document)
    mine = [record for record in one.found.records if record.type == type_.name]
    made = {ALL: distinct(mine, schema.types)}
    for way in type_.ways:
        if any(path.match(pattern) for pattern in way.documents):
            made[way.way] = [r for r in mine if r.provenance.method == way.way]
    return made


def items(record: Record, type_: RecordType) -> Iterator[tuple[str, Item]]:
    """Yield (field, value) of a record, in the form of the truth."""
    document = record.provenance.document
    key = "|".join(_shown(record, name)[0] for name in type_.key if _shown(record, name))
    for name in type_.fields:
        for value in _shown(record, name):
            yield name, Item(document, "" if name in type_.key else key, value)


def _shown(record: Record, name: str) -> list[str]:
    value = record.values[name]
    if value is None:
        return []
    if isinstance(value, tuple):
        return [folded(one) for one in value]
    if isinstance(value, date):
        return [value.isoformat()]
    if isinstance(value, float):
        return [folded(amount(repr(value), record.units.get(name)))]
    return [folded(value)]


def unprinted(one: Looked, schema: Schema) -> Iterator[Item]:
    """Yield the values of accepted records that the generator did not print in the document."""
    for record in distinct(one.found.records, schema.types):
        for name, field in schema.types[record.type].fields.items():
            value = record.values[name]
            if value is None or field.type == "choice":
                continue
            if isinstance(value, float):
                there = number_stands(repr(value), None, one.text) or any(
                    number_stands(f"{value:g}", unit, one.text) for unit in field.unit
                )
            elif isinstance(value, date):
                there = any(stands(value.strftime(form), one.text) for form in field.formats)
            else:
                texts = value if isinstance(value, tuple) else (value,)
                there = all(stands(text, one.text) for text in texts)
            if not there:
                yield Item(one.document, f"{record.type}.{name}", str(value))
