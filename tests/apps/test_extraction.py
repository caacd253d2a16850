"""The measurement of extraction: hand-worked counts, and the corpus' own truth by rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentops_ref.apps import measured
from agentops_ref.apps.extraction import Looked, compare, unprinted
from agentops_ref.config import load_config, shipped_config_dir
from agentops_ref.errors import OperatorError
from agentops_ref.etl.extract import Extracted, Provenance, Record, Schema, load_schema
from agentops_ref.wiring import App, build
from tests.etl.fakes import write


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


# --- the running case's question: which value holds, and which document set it ------------------

MANUAL = """# NL-8 installation manual

| Connection | NL-8 | Unit |
|---|---|---|
| Flare nut, gas line | 65 | Nm |
| Fan nut | 9 | Nm |
"""


def bulletin(number: str, day: str, text: str, supersedes: str = "none") -> str:
    return f"""# Service bulletin {number}: NL-8

| Number | Date | Affected models | Supersedes |
|---|---|---|---|
| {number} | {day} | NL-8 | {supersedes} |

{text}
"""


def holds(app: App, name: str) -> tuple[float, str | None]:
    app.sync(allow_mass_deletion=True)
    app.extract()
    sql = "SELECT value, set_by FROM current_values WHERE model = 'NL-8' AND name = $name"
    (row,) = app.tables.query(sql, {"name": name})
    return row["value"], row["set_by"]


def test_the_value_that_holds_follows_what_bulletins_say(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    own = {"etl.source.root": str(root), "etl.extract.model": False, "models.mode": "scripted"}
    places = {f"paths.{name}": str(tmp_path / name) for name in ("state", "cache")}
    app = build(load_config(overrides={**own, **places}))
    gas = "torque_flare_gas"
    write(root, {"manuals/nl-8.md": MANUAL})
    assert holds(app, gas) == (65.0, None)
    old = bulletin("SB-2023-001", "2023-05-01", "Tighten the gas line flare nut to 60 Nm.")
    write(root, {"bulletins/one.md": old})
    assert holds(app, gas) == (60.0, "SB-2023-001")
    fan = bulletin("SB-2024-002", "2024-05-01", "Tighten the fan nut to 12 Nm.", "SB-2023-001")
    write(root, {"bulletins/two.md": fan})
    assert holds(app, gas) == (65.0, None)  # superseded as a whole, so the manual holds again
    assert holds(app, "torque_fan_nut") == (12.0, "SB-2024-002")
    gone = bulletin("SB-2025-003", "2025-05-01", "SB-2024-002 has been withdrawn.")
    write(root, {"bulletins/three.md": gone})
    assert holds(app, "torque_fan_nut") == (9.0, None)
    (root / "bulletins" / "three.md").unlink()
    assert holds(app, "torque_fan_nut") == (12.0, "SB-2024-002")  # nothing says so any more


def test_a_published_measurement_of_records_is_no_ratio(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="make bench PUBLISH=1"):
        measured.records(tmp_path)
    (tmp_path / measured.RECORDS).write_text(json.dumps({"fields": []}))
    assert measured.records(tmp_path) == {"fields": []}
    with pytest.raises(OperatorError, match="no measurement"):
        measured.ratios(tmp_path)
