"""How well records are extracted, against what the corpus is known to say. Taught in chapter 3.

The truth is what the generator was given to print (`_build/corpus/truth`), never what anybody read
back. A value counts in its document, for its key: the right torque for the wrong model is wrong.
A content that several corpus versions share counts once.

``python -m agentops_ref.apps.extraction`` prints the table; `agentops record run` calls it, so that
what the model is asked here is recorded.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from agentops_ref.etl.extract import Extracted, Record, Source, distinct
from agentops_ref.etl.extract.grounded import folded, number_stands, readings, stands
from agentops_ref.etl.extract.schema import RecordType, Schema
from agentops_ref.evals.statistics import Interval, proportion_interval
from agentops_ref.wiring import App

VERSIONS = (1, 2, 3)
SCANNED = frozenset({"certificate", "plate"})
"""Kinds of documents that are pictures of text."""
ALL = "all"


class Item(NamedTuple):
    """One value of one record of one document, in a form that can be compared."""

    document: str
    key: str
    """The record's key; "" for a field of the key, which counts by its value alone."""
    value: str


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


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measurement found."""

    documents: int
    """Distinct contents."""
    qualities: tuple[Quality, ...]
    wrong: tuple[Wrong, ...]
    invented: Mapping[str, int]
    """"type, way" → values that were rejected because they do not stand in their source."""
    unfit: Mapping[str, int]
    unprinted: tuple[Item, ...]
    """Values of records that passed, and that the generator did not print in that document."""
    incomplete: Mapping[str, str]
    failed: Mapping[str, str]
    work: Mapping[str, int]


class Looked(NamedTuple):
    """One content, what is printed in it, and what was extracted."""

    document: str
    kind: str
    text: str
    """Everything that the generator printed in it."""
    facts: Sequence[Mapping[str, Any]]
    about: Mapping[str, Any]
    """The truth's line for the document."""
    found: Extracted


def measure(
    app: App,
    *,
    versions: Sequence[int] = VERSIONS,
    progress: Callable[[str, int, int], None] | None = None,
) -> Measured:
    """Extract from every document of these corpus versions and compare with the truth.

    Raises
    ------
    FileNotFoundError
        The corpus was not built.
    """
    extractor = app.extractor
    before = Counter(extractor.work)
    looked = list(look(app, versions=versions, progress=progress))
    qualities, wrong = compare(looked, extractor.schema)
    faults: dict[str, Counter[str]] = {"invented": Counter(), "unfit": Counter()}
    for one in looked:
        for no in one.found.rejected:
            faults[no.fault][f"{no.type}, {no.method}"] += 1
    return Measured(
        len(looked),
        tuple(qualities),
        tuple(wrong),
        faults["invented"],
        faults["unfit"],
        tuple(item for one in looked for item in unprinted(one, extractor.schema)),
        {one.document: one.found.incomplete for one in looked if one.found.incomplete},
        {one.document: one.found.failed for one in looked if one.found.failed},
        Counter(extractor.work) - before,
    )


def look(
    app: App,
    *,
    versions: Sequence[int] = VERSIONS,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[Looked]:
    """Yield each distinct content of these versions with its truth and its records."""
    from agentops_ref.apps.fjordvarm.printed import printed
    from agentops_ref.etl.recipe import content_hash
    from agentops_ref.etl.sources import FolderSource

    corpus = app.config.path(app.config.paths.corpus)
    seen: set[tuple[str, str]] = set()
    for version in versions:
        truth = json.loads((corpus / "truth" / f"v{version}.json").read_text(encoding="utf-8"))
        texts = {one.path: "\n".join(one.pieces) for one in printed(version)}
        facts: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for fact in truth["facts"]:
            facts[fact["document"]].append(fact)
        root = corpus / f"v{version}" / "docs"
        source = FolderSource(root, ["**/*"], [])
        for done, about in enumerate(truth["documents"]):
            if progress is not None:
                progress(f"v{version}", done, len(truth["documents"]))
            path = about["path"]
            name = path.removeprefix("docs/")
            content = content_hash((root / name).read_bytes())
            if (name, content) in seen:
                continue
            seen.add((name, content))
            _, elements = app.stages.elements(source, name, known_hash=content)
            found = app.extractor.extract(Source(name, content[:12], elements), content)
            yield Looked(name, about["kind"], texts[path], facts[path], about, found)


# --- what is printed ----------------------------------------------------------------------------

Wanted = Mapping[str, Mapping[str, set[Item]]]
"""Record type → field → values."""


def wanted(one: Looked) -> dict[str, dict[str, set[Item]]]:
    """Return what the truth says that a document's records must be."""
    made: dict[str, dict[str, set[Item]]] = defaultdict(lambda: defaultdict(set))

    def add(type_: str, key: Mapping[str, str], **fields: str) -> None:
        joined = "|".join(map(folded, key.values()))
        for name, value in key.items():
            made[type_][name].add(Item(one.document, "", folded(value)))
        for name, value in fields.items():
            made[type_][name].add(Item(one.document, joined, folded(value)))

    for fact in one.facts:
        _of_fact(fact, one, add)
    if one.kind == "bulletin":
        number = PurePosixPath(one.document).stem
        add("bulletins", {"number": number}, date=one.about["date"])
        for model in one.about["models"]:
            add("bulletins", {"number": number}, models=model)
    if one.kind in SCANNED:
        _of_form(one, add)
    return made


Add = Callable[..., None]
_CERTIFICATE = {
    "model": "model",
    "serial_number": "serial",
    "inspection_date": "inspected",
    "next_inspection": "next_due",
    "charge_weighed": "charge",
    "leak_test_pressure": "test_pressure",
    "result": "result",
}
_PLATE = {"model": "model", "factory_charge": "charge", "max_current": "current", "year": "year"}


def _of_fact(fact: Mapping[str, Any], one: Looked, add: Add) -> None:
    subject, field, value = fact["subject"], fact["field"], fact["value"]
    parts = field.split("_")
    if field in ("supersedes", "withdraws"):
        kind = {"supersedes": "supersedes", "withdraws": "withdrawn"}[field]
        add("relations", {"source": subject, "kind": kind, "target": value})
    elif parts[0] == "fault" and parts[-1] in ("meaning", "remedy"):
        add("fault_codes", {"model": subject, "code": parts[1].upper()}, **{parts[-1]: value})
    elif field.startswith("refrigerant_charge_total_"):
        length = _number(parts[-1].removesuffix("m"), "m")
        add(
            "charges_by_length",
            {"model": subject, "pipe": length},
            charge=_number(value, fact["unit"]),
        )
    elif parts[0] == "torque" or field.startswith("refrigerant_charge_"):
        key = {"model": subject, "name": field}
        add("product_values", key, value=_number(value, fact["unit"]))


def _of_form(one: Looked, add: Add) -> None:
    """The lines of a certificate or plate: facts about one unit."""
    facts = {fact["field"]: fact for fact in one.facts}
    if one.kind == "certificate":
        names, type_ = _CERTIFICATE, "certificates"
        key = {"number": facts["certificate_number"]["value"]}
    else:
        names, type_ = _PLATE, "plates"
        key = {"serial": facts["serial_number"]["value"]}
    add(type_, key)
    for field, name in names.items():
        if field in facts:
            value, unit = facts[field]["value"], facts[field]["unit"]
            add(type_, key, **{name: _number(value, unit) if unit else value})


# --- what was found -----------------------------------------------------------------------------


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
        return [folded(_number(repr(value), record.units.get(name)))]
    return [folded(value)]


def _number(value: str, unit: str | None) -> str:
    """Write a number in one way: 1.70 kg and 1.7 kg are the same."""
    found = readings(value)
    plain = f"{min(found):g}" if len(found) == 1 else f"{float(value):g}" if found else value
    return f"{plain} {unit}" if unit else plain


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


# --- the comparison -----------------------------------------------------------------------------


def compare(looked: Iterable[Looked], schema: Schema) -> tuple[list[Quality], list[Wrong]]:
    """Count per record type, field, way and medium, and name what is not right. Pure."""
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


def table(found: Measured, *, ways: Sequence[str] = (ALL,)) -> list[dict[str, Any]]:
    """Return one row a field, for a data frame or a terminal; intervals are at 95 %."""
    return [
        {
            "type": one.type,
            "field": one.field,
            "way": one.way,
            "medium": one.medium,
            "right": one.right,
            "found": one.found,
            "printed": one.wanted,
            "precision": one.precision,
            "precision low": one.precision_interval().low if one.found else None,
            "recall": one.recall,
            "recall low": one.recall_interval().low if one.wanted else None,
        }
        for one in found.qualities
        if one.way in ways
    ]


def lines(found: Measured) -> Iterator[str]:
    """Yield the table in at most 80 columns, and what there is to say besides."""
    yield f"{'record type, field':34}{'way':8}{'medium':8}{'right':>6}{'prec.':>8}{'recall':>8}"
    for one in sorted(found.qualities, key=lambda q: (q.type, q.way != ALL, q.way, q.medium)):
        shares = [one.precision, one.recall]
        told = "".join("       -" if share is None else f"{share:8.3f}" for share in shares)
        yield f"{f'{one.type}.{one.field}':34}{one.way:8}{one.medium:8}{one.right:6}{told}"
    yield f"{found.documents} contents; accepted and not printed: {len(found.unprinted)}"
    for name, counted in (("invented", found.invented), ("unfit", found.unfit)):
        told = "; ".join(f"{what}: {n}" for what, n in counted.items()) or "none"
        yield f"rejected as {name}: {told}"
    for what, problems in (("incomplete", found.incomplete), ("failed", found.failed)):
        if problems:
            document, reason = next(iter(problems.items()))
            yield f"{what}: {len(problems)} documents, the first {document}: {reason[:200]}"


def main() -> None:
    """Measure as configured and print it."""
    from agentops_ref.config import load_config
    from agentops_ref.wiring import build

    print("\n".join(lines(measure(build(load_config())))))


if __name__ == "__main__":
    main()


__all__ = ["Measured", "Quality", "compare", "lines", "look", "measure", "table"]
