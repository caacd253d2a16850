"""What a document's records must be: the truth that its generator was given to print."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from agentops_ref.etl.extract import Extracted, Source
from agentops_ref.etl.extract.grounded import folded, readings
from agentops_ref.wiring import App

VERSIONS = (1, 2, 3)
SCANNED = frozenset({"certificate", "plate"})
"""Kinds of documents that are pictures of text."""


class Item(NamedTuple):
    """One value of one record of one document, in a form that can be compared."""

    document: str
    key: str
    """The record's key; "" for a field of the key, which counts by its value alone."""
    value: str


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
        length = amount(parts[-1].removesuffix("m"), "m")
        add(
            "charges_by_length",
            {"model": subject, "pipe": length},
            charge=amount(value, fact["unit"]),
        )
    elif parts[0] == "torque" or field.startswith("refrigerant_charge_"):
        key = {"model": subject, "name": field}
        add("product_values", key, value=amount(value, fact["unit"]))


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
            add(type_, key, **{name: amount(value, unit) if unit else value})


def amount(value: str, unit: str | None) -> str:
    """Write a number in one way: 1.70 kg and 1.7 kg are the same."""
    found = readings(value)
    plain = f"{min(found):g}" if len(found) == 1 else f"{float(value):g}" if found else value
    return f"{plain} {unit}" if unit else plain
