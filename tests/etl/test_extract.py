"""Extraction's pure parts: what stands in a text, what a row or a form gives, what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import ConfigError, ModelError
from agentops_ref.etl.extract import (
    Candidate,
    Extracted,
    Extractor,
    Provenance,
    Record,
    Rejected,
    Schema,
    Source,
    check,
    distinct,
    grounded,
    load_schema,
    number_stands,
    read_schema,
    stands,
)
from agentops_ref.etl.extract.context import in_force, place_of
from agentops_ref.etl.extract.form import can_hold, from_form, schema_of
from agentops_ref.etl.extract.grounded import readings
from agentops_ref.etl.extract.schema import ModelWay
from agentops_ref.etl.extract.store import ResultStore
from agentops_ref.records import Element

MODEL = r"\bNL-\d+(?: G2)?\b"
TREE: dict[str, Any] = {
    "pieces": {"model": MODEL},
    "types": {
        "torques": {
            "about": "Torques",
            "key": ["model", "joint"],
            "fields": {
                "model": {
                    "type": "string",
                    "required": True,
                    "match": "{{model}}",
                    "context": ["caption", "section", "title"],
                },
                "joint": {
                    "type": "choice",
                    "required": True,
                    "choices": {"fan": "fan nut", "gas": "gas line"},
                },
                "torque": {"type": "number", "required": True, "unit": ["Nm"]},
                "since": {"type": "date", "formats": ["%Y-%m-%d", "%d.%m.%Y"]},
                "tools": {"type": "list"},
            },
            "ways": [
                {
                    "way": "table",
                    "columns": {
                        "joint": "Connection",
                        "torque": "(?P<model>{{model}})|Torque.*",
                    },
                    "units": {"torque": "Unit"},
                },
                {
                    "way": "pattern",
                    "each": r"(?P<joint>\w+ \w+) to (?P<torque>[\d.,]+) (?P<torque_unit>\w+)",
                },
                {
                    "way": "model",
                    "documents": ["bulletins/*"],
                    "prompt": "p.md",
                    "fields": {"model": None, "joint": None, "torque": None},
                },
            ],
        }
    },
}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return read_schema(TREE, "test.yaml")


def source(*elements: tuple[str, str], document: str = "a.md") -> Source:
    made = [Element(kind, text) for kind, text in elements]  # type: ignore[arg-type]
    return Source(document, "0123456789ab", made)


def found(schema: Schema, where: Source, ask: Any = None) -> Any:
    return Extractor(schema, parse="p", ask=ask, store=None).extract(where, "c")


def values(record: Record) -> list[Any]:
    return [one for one in record.values.values() if one is not None]


# --- what stands in a text ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text", "there"),
    [
        ("1.75", "kg", "a charge of 1,75 kg", True),
        ("1.75", "kg", "a charge of 1.750\u202fkg of R32", True),
        ("1.75", "kg", "a charge of 1.75 g", False),
        ("1.75", "kg", "a charge of 11.75 kg", False),
        ("1.7", "kg", "a charge of 1.75 kg", False),
        ("1234.5", "mm", "a length of 1 234,5 mm", True),
        ("1234.5", "mm", "a length of 1.234,5 mm", True),
        ("10", None, "fault E10", False),
        ("8", None, "the NL-8", False),
        ("-17", "°C", "a freezing point of \u221217 °C", True),
        ("70", "Nm", "tighten to 70\nNm", True),
        ("70", "Nm", "tighten to 70Nm", True),
        ("70", "Nm", "70 turns, in Nm", False),
        ("70", "N", "tighten to 70 Nm", False),
        ("seventy", "Nm", "seventy Nm", False),
    ],
)
def test_a_number_stands_with_its_unit(value: str, unit: str, text: str, there: bool) -> None:
    assert number_stands(value, unit, text) is there


def test_in_a_table_the_unit_may_have_a_column_of_its_own() -> None:
    row = "Connection | NL-8 | Unit\nFan nut | 9 | Nm"
    assert number_stands("9", "Nm", row, cells=True)
    assert not number_stands("9", "Nm", row)
    assert not number_stands("8", "Nm", row, cells=True)


@pytest.mark.parametrize(
    ("printed", "meanings"),
    [
        ("70", {70.0}),
        ("1,75", {1.75}),
        ("1,750", {1.75, 1750.0}),
        ("0.700", {0.7}),
        ("1.234,5", {1234.5}),
        ("1,234,567", {1234567.0}),
        ("12 500", {12500.0}),
        ("1.2.3", set()),
        ("1.2,3.4", set()),
        ("", set()),
        ("E10", set()),
    ],
)
def test_what_a_printed_number_can_mean(printed: str, meanings: set[float]) -> None:
    assert readings(printed) == meanings


@given(st.floats(-9999, 9999).map(lambda x: round(x, 2)), st.sampled_from(["Nm", "kg", "°C"]))
def test_a_printed_number_stands_in_every_format(value: float, unit: str) -> None:
    point, comma = f"{value:.2f}", f"{value:.2f}".replace(".", ",")
    for text in (f"is {point} {unit}.", f"is {comma} {unit} now", f"({point}{unit})"):
        assert number_stands(point, unit, text)
        assert number_stands(comma, unit, text)
        assert not number_stands(f"{value + 1:.2f}", unit, text)


@given(st.text(max_size=30), st.text(max_size=60))
def test_the_checks_take_any_text(value: str, text: str) -> None:
    stands(value, text)
    number_stands(value, "Nm", text)
    if value.strip() and value.isalnum() and value.isascii():
        assert stands(value, f"before {value} after")


def test_a_value_is_a_whole_match(schema: Schema) -> None:
    field = schema.types["torques"].fields["model"]
    assert grounded(field, "NL-6 G2", None, "the NL-6 G2")
    assert not grounded(field, "NL-6", None, "the NL-6 G2")
    assert not grounded(field, "NL-1", None, "the NL-12")


# --- the ways -----------------------------------------------------------------------------------


def test_a_row_is_a_record_for_each_model_of_the_header(schema: Schema) -> None:
    text = "Connection | NL-6 | NL-8 G2 | Unit\nFan nut | 9 | 9,5 | Nm\nBolts | 45 | 45 | Nm"
    made = found(schema, source(("table", text)))
    assert [values(one) for one in made.records] == [["NL-6", "fan", 9.0], ["NL-8 G2", "fan", 9.5]]
    assert made.records[1].units == {"torque": "Nm"}
    assert made.records[1].provenance.quote == "Fan nut | 9 | 9,5 | Nm"
    assert made.rejected == ()  # the bolts are no joint that was asked for


def test_a_unit_may_stand_in_the_header_or_in_the_cell(schema: Schema) -> None:
    head = ("title", "NL-8 manual")
    header = source(head, ("table", "Connection | Torque (Nm)\nFan nut | 9"))
    assert [values(one) for one in found(schema, header).records] == [["NL-8", "fan", 9.0]]
    cell = source(head, ("table", "Connection | Torque\nFan nut | 9 Nm\nGas line | 65 lbf"))
    made = found(schema, cell)
    assert [values(one) for one in made.records] == [["NL-8", "fan", 9.0]]
    assert [one.reason for one in made.rejected] == ["torque: the unit is lbf, not Nm"]


def test_what_the_element_does_not_say_its_places_do(schema: Schema) -> None:
    where = source(
        ("title", "NL-8 manual"),
        ("text", "The fan nut to 9 Nm."),
        ("title", "The NL-12 and the NL-16"),
        ("text", "The fan nut to 10 Nm."),
        ("caption", "NL-16: torques"),
        ("table", "Connection | Torque (Nm)\nfan nut | 11"),
        ("text", "For the NL-20 the gas line to 12 Nm."),
    )
    made = found(schema, where)
    assert sorted(values(one)[::2] for one in made.records) == [
        ["NL-16", 11.0],
        ["NL-20", 12.0],
        ["NL-8", 9.0],
        ["NL-8", 10.0],  # the section names two, so the title decides
    ]
    assert place_of(where.elements, 0, "caption") is None
    assert in_force(where.elements, 5, ["caption", "title"]) == ["NL-16: torques", "NL-8 manual"]


def test_a_record_that_lacks_what_it_must_have_is_told(schema: Schema) -> None:
    made = found(schema, source(("text", "The fan nut to 9 Nm.")))
    assert made.records == ()
    assert [(one.fault, one.reason) for one in made.rejected] == [("unfit", "model is missing")]


# --- the check ----------------------------------------------------------------------------------


def candidate(method: Any = "model", element: int | None = None, **printed: Any) -> Candidate:
    units = {"torque": printed.pop("unit", "Nm")}
    full = {"model": "NL-8", "joint": "the fan nut", "torque": "9", **printed}
    return Candidate("torques", method, full, units, element)


WHERE = [("title", "NL-8"), ("text", "Old: 9 Nm."), ("text", "Do it. Set the fan nut to 9 Nm.")]


def test_a_models_record_is_found_again_in_its_element(schema: Schema) -> None:
    made = check(candidate(), schema.types["torques"], source(*WHERE))
    assert isinstance(made, Record)
    assert made.provenance.element == 2
    assert made.provenance.quote == "Set the fan nut to 9 Nm."


@pytest.mark.parametrize(
    "wrong",
    [{"torque": "10"}, {"unit": "kg"}, {"model": "NL-6"}, {"joint": "the gas line"}],
)
def test_an_invented_value_is_no_record(schema: Schema, wrong: dict[str, str]) -> None:
    made = check(candidate(**wrong), schema.types["torques"], source(*WHERE))
    assert isinstance(made, Rejected)
    assert made.fault == "invented"
    assert made.reason.startswith("stands in no element")


def test_values_from_two_elements_are_no_record(schema: Schema) -> None:
    apart = source(("title", "NL-8"), ("text", "The fan nut."), ("text", "To 9 Nm."))
    made = check(candidate(), schema.types["torques"], apart)
    assert isinstance(made, Rejected)
    assert made.fault == "invented"


def test_values_from_two_rows_are_no_record(schema: Schema) -> None:
    table = ("table", "Connection | NL-8 | Unit\nfan nut | 10 | Nm\ngas line | 9 | Nm")
    made = check(candidate(), schema.types["torques"], source(table))
    assert isinstance(made, Rejected)
    assert made.fault == "invented"
    made = check(candidate(torque="10"), schema.types["torques"], source(table))
    assert isinstance(made, Record)
    assert made.provenance.quote == "fan nut | 10 | Nm"


def test_types_are_read(schema: Schema) -> None:
    text = "From 12.11.2024 set the fan nut of the NL-8 to 9 Nm with spanner, gauge"
    full = candidate("pattern", 0, since="12.11.2024", tools="spanner, gauge")
    made = check(full, schema.types["torques"], source(("text", text)))
    assert isinstance(made, Record)
    assert made.values["since"] == date(2024, 11, 12)
    assert made.values["tools"] == ("spanner", "gauge")
    bad = candidate("pattern", 0, since="fan")
    made = check(bad, schema.types["torques"], source(("text", text)))
    assert isinstance(made, Rejected)
    assert made.fault == "unfit"


def test_the_same_record_counts_once_and_a_contradiction_twice(schema: Schema) -> None:
    table = ("table", "Connection | NL-8 | Unit\nFan nut | 9 | Nm")
    made = found(schema, source(table, ("text", "NL-8: fan nut to 9 Nm; fan nut to 10 Nm")))
    assert [one.provenance.method for one in made.records] == ["table", "pattern", "pattern"]
    kept = distinct(made.records, schema.types)
    assert [(one.values["torque"], one.provenance.method) for one in kept] == [
        (9.0, "table"),
        (10.0, "pattern"),
    ]


@given(
    st.sampled_from(["NL-6", "NL-8", "NL-8 G2"]),
    st.integers(1, 200),
    st.sampled_from(["Nm", "kg"]),
    st.lists(st.sampled_from(["NL-6", "NL-8 G2", "fan nut", "9 Nm", "120 Nm", "to 9", "Nm"])),
)
def test_no_value_of_a_record_is_outside_its_source(
    model: str, torque: int, unit: str, words: list[str]
) -> None:
    schema = read_schema(TREE, "test.yaml")
    where = source(("text", " ".join(words)))
    asked = candidate(model=model, torque=str(torque), unit=unit, joint="fan nut")
    made = check(asked, schema.types["torques"], where)
    text = where.elements[0].text
    if isinstance(made, Record):
        assert number_stands(str(torque), unit, text)
        assert "fan nut" in text
        assert grounded(schema.types["torques"].fields["model"], model, None, text)
    else:
        assert isinstance(made, Rejected)


# --- the form -----------------------------------------------------------------------------------


def test_a_form_has_the_ways_fields(schema: Schema) -> None:
    type_ = schema.types["torques"]
    way = type_.ways[2]
    assert isinstance(way, ModelWay)
    item = schema_of(type_, way)["properties"]["records"]["items"]
    assert list(item["properties"]) == ["model", "joint", "torque", "torque_unit"]
    assert item["required"] == list(item["properties"])
    assert not can_hold(type_, way, [Element("text", "The NL-8 holds 9 kg")])
    assert can_hold(type_, way, [Element("text", "tighten to 9Nm")])
    assert can_hold(type_, way, [Element("table", "Unit | NL-8\nNm | 9")])
    answer = {"records": [{"model": "NL-8", "joint": "", "torque": 9, "torque_unit": " Nm "}]}
    (made,) = from_form(type_, way, answer)
    assert made.printed == {"model": "NL-8", "torque": "9"}
    assert made.units == {"torque": "Nm"}
    for no_form in (None, [], {"records": "x"}, {"records": [1]}):
        with pytest.raises(ModelError, match="list of records"):
            list(from_form(type_, way, no_form))


# --- the schema ---------------------------------------------------------------------------------


def changed(**more: Any) -> dict[str, Any]:
    torques = {**TREE["types"]["torques"], **more}
    return {**TREE, "types": {"torques": torques}}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({**TREE, "type": {}}, r"x\.yaml: unknown key 'type'; did you mean 'types'\?"),
        (changed(kez=["model"]), r"unknown key 'types\.torques\.kez'; did you mean 'key'\?"),
        (changed(key=["modell"]), r"types\.torques: key: unknown field 'modell'; did you mean"),
        (changed(key=[]), r"types\.torques\.key: "),
        (
            changed(ways=[{"way": "table", "colums": {}, "columns": {}}]),
            r"unknown key 'types\.torques\.ways\.0\.table\.colums'; did you mean 'columns'\?",
        ),
        (
            changed(ways=[{"way": "pattern", "each": "(?P<jiont>x)"}]),
            r"ways\.0: unknown field 'jiont'; did you mean 'joint'\?",
        ),
        (
            changed(ways=[{"way": "pattern", "each": "(x"}]),
            r"pattern\.each: not a regular expression",
        ),
        (
            changed(ways=[{"way": "pattern", "each": "x", "set": {"joint": "fun"}}]),
            r"joint 'fun'; did you mean 'fan'\?",
        ),
        (
            changed(ways=[{"way": "pattern", "each": "{{modell}}"}]),
            r"unknown piece '\{\{modell\}\}'; did you mean 'model'\?",
        ),
        (changed(fields={"document": {"type": "string"}}), r"'document' cannot be a field's name"),
        (changed(fields={"model": {"type": "string", "unit": ["m"]}}), r"`unit` belongs to a numb"),
        (changed(fields={"model": {"type": "choice"}}), r"`choices` belong to type choice"),
        (
            changed(fields={"model": {"type": "string", "context": ["title"]}}),
            r"needs `match`",
        ),
        ({**TREE, "types": {"extractions": TREE["types"]["torques"]}}, r"cannot be a table's name"),
        ({**TREE, "types": {"bad name": TREE["types"]["torques"]}}, r"cannot be a table's name"),
        ({**TREE, "views": {"torques": "SELECT 1"}}, r"both a record type and a view"),
        ([], r"x\.yaml: file: "),
        ({"pieces": {}}, r"x\.yaml: key 'types' is missing"),
    ],
)
def test_a_wrong_schema_names_the_key(tree: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_schema(tree, "x.yaml")


def test_a_file_that_is_no_schema_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: not found; etl\.extract\.schema"):
        load_schema(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("types: [")
    with pytest.raises(ConfigError, match=r"bad\.yaml: not valid YAML"):
        load_schema(tmp_path / "bad.yaml")


def test_the_shipped_schema_is_valid() -> None:
    schema = load_schema(shipped_config_dir() / "extract.yaml")
    assert {"fault_codes", "product_values", "relations"} <= schema.types.keys()
    assert "current_values" in schema.views


# --- the recipe and the store -------------------------------------------------------------------


def test_the_recipe_takes_in_all_that_decides(schema: Schema) -> None:
    def ask(recipe: str) -> Any:
        class Asked:
            def recipe(self, prompt: str) -> str:
                return recipe + prompt

        return Asked()

    def recipe(**more: Any) -> str:
        given = {"schema": schema, "parse": "p", "ask": ask("m1"), **more}
        return Extractor(given["schema"], parse=given["parse"], ask=given["ask"], store=None).recipe

    other = read_schema(changed(about="other"), "x.yaml")
    told = [recipe(), recipe(parse="q"), recipe(ask=ask("m2")), recipe(ask=None)]
    assert len({*told, recipe(schema=other)}) == 5
    assert recipe() == told[0]


def test_dates_and_lists_come_back_from_the_store(tmp_path: Path) -> None:
    where = Provenance("d", "v", 0, 1, (0.0, 0.1, 0.5, 1.0), "q", "table", 0.5)
    values = {"since": date(2024, 2, 29), "tools": ("wrench", "gauge"), "torque": 9.0, "note": None}
    made = Extracted(
        (Record("torques", values, {"torque": "Nm"}, where),),
        (Rejected("torques", "model", "unfit", "why", {"tools": ("a",), "joint": "b"}, 3),),
        failed="no form",
    )
    ResultStore(tmp_path).put("r", "address", made)
    assert ResultStore(tmp_path).get("r", "address") == made


def test_what_is_stored_comes_back_and_damage_counts_as_absent(
    schema: Schema, tmp_path: Path
) -> None:
    text = "On the NL-8 set the fan nut to 9 Nm"
    where = source(("text", text), ("text", "gas line to 9 kg"))
    extractor = Extractor(schema, parse="p", store=ResultStore(tmp_path))
    first = extractor.extract(where, "c")
    assert first.records
    assert first.rejected
    assert extractor.extract(where, "c") == first
    assert extractor.work == {"extract": 1}
    (file,) = tmp_path.glob("extract/*/*/*.json")
    file.write_text("{")
    assert extractor.extract(where, "c") == first
    assert extractor.work == {"extract": 2}
