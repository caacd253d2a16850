"""What a document should give is counted in its chunks, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentops_ref import load_config
from agentops_ref.errors import ConfigError
from agentops_ref.etl.chunk import chunk
from agentops_ref.etl.extract import Schema, expected_fields, read_schema
from agentops_ref.etl.extract.completeness import elements_of
from agentops_ref.etl.quality import Fields
from agentops_ref.records import Chunk, Element, QualityReport
from agentops_ref.wiring import build

TREE: dict[str, Any] = {
    "types": {
        "faults": {
            "about": "Faults",
            "key": ["model", "code"],
            "expected": ["manuals/*"],
            "fields": {
                "model": {"type": "string", "required": True, "match": r"NL-\d+",
                          "context": ["caption", "title"]},
                "code": {"type": "string", "required": True},
                "remedy": {"type": "string"},
            },
            "ways": [{"way": "table", "columns": {"code": "Code", "remedy": "Remedy"}}],
        },
        "plates": {
            "about": "Plates",
            "key": ["serial"],
            "expected": ["plates/*", "manuals/*-plate.md"],
            "fields": {"serial": {"type": "string"}, "charge": {"type": "number", "unit": ["kg"]}},
            "ways": [
                {
                    "way": "pattern",
                    "each": r"^Serial: *(?P<serial>\S+)$",
                    "also": [r"^Charge: *(?P<charge>[\d.]+) *(?P<charge_unit>kg)$"],
                },
                {"way": "model", "prompt": "p.md", "fields": {"serial": None}},
            ],
        },
    }
}  # fmt: skip
TABLE = Element("table", "Code | Remedy\nE10 | Clean the filter\nE11 | Bleed")
TITLE = Element("title", "Manual")
CAPTION = Element("caption", "Faults of the NL-8")
PLATE = Element("text", "Serial: A-7\nCharge: 1.7 kg")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return read_schema(TREE, "test.yaml")


def cut(*elements: Element, document: str = "manuals/a.md") -> Sequence[Chunk]:
    settings = load_config(config_dir=None).etl.chunk
    return chunk(elements, document=document, version="0" * 12, settings=settings)


def found(schema: Schema, *elements: Element, document: str = "manuals/a.md") -> Fields | None:
    return expected_fields(lambda: schema)(document, cut(*elements, document=document))


def test_fields_of_a_table_and_of_its_caption(schema: Schema) -> None:
    assert found(schema, TITLE, CAPTION, TABLE) == Fields(3, 3)
    text = Element("text", "All about faults.")
    assert found(schema, TITLE, text, CAPTION, TABLE) == Fields(3, 3)


def test_what_parsing_lost_is_missed(schema: Schema) -> None:
    assert found(schema, TITLE, CAPTION) == Fields(0, 3)
    assert found(schema, TITLE, TABLE) == Fields(0, 3), "a required field is missing: no record"
    flat = Element("text", TABLE.text.replace(" | ", " "))
    assert found(schema, TITLE, CAPTION, flat) == Fields(0, 3)
    one_column = Element("table", "Code | Remark\nE10 | Clean the filter")
    assert found(schema, TITLE, CAPTION, one_column) == Fields(0, 3)


def test_a_document_without_chunks_gives_nothing_of_what_is_expected(schema: Schema) -> None:
    assert found(schema) == Fields(0, 3)


def test_fields_of_one_text(schema: Schema) -> None:
    assert found(schema, PLATE, document="plates/p.png") == Fields(2, 2)
    short = Element("text", "Serial: A-7")
    assert found(schema, short, document="plates/p.png") == Fields(1, 2)


def test_a_document_may_be_expected_to_give_several_types_or_none(schema: Schema) -> None:
    everything = (TITLE, CAPTION, TABLE, PLATE)
    assert found(schema, *everything, document="manuals/x-plate.md") == Fields(5, 5)
    assert found(schema, TITLE, CAPTION, TABLE, document="manuals/x-plate.md") == Fields(3, 5)
    assert found(schema, *everything, document="notes/a.md") is None


def test_the_schema_is_read_when_the_first_document_comes_and_once(schema: Schema) -> None:
    reads = []

    def read() -> Schema:
        reads.append(1)
        return schema

    completeness = expected_fields(read)
    assert not reads
    for name in ("notes/a.md", "plates/p.png"):
        completeness(name, cut(PLATE, document=name))
    assert len(reads) == 1


def test_a_long_table_is_put_together_from_its_chunks() -> None:
    rows = [f"E{n} | {'turn it off and on again, ' * 5}" for n in range(20)]
    table = Element("table", "\n".join(["Code | Remedy", *rows]))
    made = cut(TITLE, Element("title", "Faults"), CAPTION, table)
    assert len(made) > 2
    kinds = [(one.kind, one.text.split("\n")[0]) for one in elements_of(made)]
    assert kinds[:2] == [("title", "Manual"), ("title", "Faults")]
    assert kinds[2:] == [
        ("text", CAPTION.text),
        ("caption", CAPTION.text),
        ("table", "Code | Remedy"),
    ] * len(made)


def test_a_type_that_only_a_model_finds_cannot_be_expected() -> None:
    plates = {**TREE["types"]["plates"], "ways": TREE["types"]["plates"]["ways"][1:]}
    with pytest.raises(ConfigError, match="without a model"):
        read_schema({"types": {"plates": plates}}, "test.yaml")


BASE = (
    "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
    "etl:\n  source: {root: docs}\n  tables: {root: null}\n"
)


def test_a_sync_warns_when_records_can_no_longer_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(BASE)
    (tmp_path / "config" / "extract.yaml").write_text(yaml.safe_dump(TREE))
    manuals = tmp_path / "docs" / "manuals"
    manuals.mkdir(parents=True)

    def synced(joint: str) -> QualityReport:
        for n in range(12):
            rows = [f"E{10 + row}{joint}Clean filter {n} of the pump" for row in range(9)]
            lines = "\n".join([f"Code{joint}Remedy", joint.join(["---"] * 2), *rows])
            (manuals / f"{n}.md").write_text(f"# Faults of the NL-{n}\n\n{lines}\n")
        made = build(load_config())
        report = made.sync().quality
        assert report is not None
        assert not {"chat", "extractor"} & set(vars(made)), "no model is wired for it"
        return report

    (good,) = (v for v in synced(" | ").verdicts if v.metric == "extracted_share")
    assert (good.state, good.measured) == ("pass", 1.0)
    report = synced(": ")
    (bad,) = (v for v in report.verdicts if v.metric == "extracted_share")
    assert (bad.state, bad.on_fail, bad.measured) == ("fail", "warn", 0.0)
    assert "extracted_share" not in report.refused


def test_completeness_is_named_in_the_configuration() -> None:
    assert build(load_config()).quality_check().completeness is not None
    none = {"etl.quality.completeness": None}
    assert build(load_config(overrides=none)).quality_check().completeness is None
    wrong = {"etl.quality.completeness": "extrakt"}
    with pytest.raises(ConfigError, match="did you mean 'extract'"):
        build(load_config(overrides=wrong)).quality_check()
