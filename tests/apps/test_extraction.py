"""The measurement of extraction: hand-worked counts, and the corpus' own truth by rules."""

from __future__ import annotations

import pytest

from agentops_ref.apps.extraction import Looked, compare, unprinted
from agentops_ref.config import shipped_config_dir
from agentops_ref.etl.extract import Extracted, Provenance, Record, Schema, load_schema


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(shipped_config_dir() / "extract.yaml")


def record(model: str, name: str, value: float, method: str = "model") -> Record:
    where = Provenance("bulletins/b.docx", "v", 0, None, None, "q", method)  # type: ignore[arg-type]
    values = {"model": model, "name": name, "value": value}
    return Record("product_values", values, {"value": "Nm"}, where)


def looked(*records: Record, text: str = "NL-8 9.0 Nm NL-6 9 Nm") -> Looked:
    facts = [
        {"subject": model, "field": "torque_fan_nut", "value": "9.0", "unit": "Nm"}
        for model in ("NL-6", "NL-8")
    ]
    return Looked("bulletins/b.docx", "note", text, facts, {}, Extracted(records))


def test_a_value_counts_for_its_key(schema: Schema) -> None:
    right = record("NL-8", "torque_fan_nut", 9.0)
    again = record("NL-8", "torque_fan_nut", 9.0, "pattern")
    other_model = record("NL-12", "torque_fan_nut", 9.0)
    qualities, wrong = compare([looked(right, again, other_model)], schema)
    by = {(q.field, q.way): q for q in qualities}
    whole = by["value", "all"]
    assert (whole.right, whole.found, whole.wanted) == (1, 2, 2)
    assert (whole.precision, whole.recall, whole.medium) == (0.5, 0.5, "digital")
    low, high = whole.recall_interval()
    assert (low, high) == pytest.approx((0.0945, 0.9055), abs=1e-4)  # Wilson, 1 of 2
    pattern = by["value", "pattern"]
    assert (pattern.right, pattern.found, pattern.wanted) == (1, 1, 2)
    assert by["name", "model"].precision == 1.0
    told = {(w.verdict, w.item.key) for w in wrong if (w.field, w.way) == ("value", "all")}
    assert told == {
        ("missed", "nl-6|torque_fan_nut"),
        ("not so", "nl-12|torque_fan_nut"),
    }


def test_what_was_not_printed_is_found_out(schema: Schema) -> None:
    one = looked(record("NL-8", "torque_fan_nut", 9.0), record("NL-8", "torque_fan_nut", 11.0))
    assert [(i.key, i.value) for i in unprinted(one, schema)] == [("product_values.value", "11.0")]
