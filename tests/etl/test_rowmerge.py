"""Rows of some documents in a table: the others stay, counts are true, no change writes nothing."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentops_ref.etl.rowmerge import Kind, Merged, Row, made_here, merge_rows
from agentops_ref.etl.tables import DeltaTables

KINDS: dict[str, Kind] = {
    "id": "string",
    "document": "string",
    "page": "int",
    "value": "float",
    "day": "date",
    "names": "strings",
    "box": "floats",
}
DOCUMENTS = ("a", "it's", 'q"x')
CELLS = st.tuples(
    st.none() | st.integers(1, 2),
    st.none() | st.sampled_from([0.5, 2.0]),
    st.none() | st.just(date(2024, 2, 29)),
    st.none() | st.sampled_from([(), ("x", "y")]),
    st.none() | st.just((0.0, 0.25, 0.5, 1.0)),
)


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[str], dict[str, Row]]:
    """Documents, and the rows that these shall have."""
    documents = draw(st.lists(st.sampled_from(DOCUMENTS), unique=True, min_size=1))
    rows: dict[str, Row] = {}
    for document in documents:
        for number in draw(st.lists(st.integers(1, 3), unique=True)):
            key = f"{document}#{number}"
            rows[key] = (key, document, *draw(CELLS))
    return documents, rows


def held(tables: DeltaTables) -> dict[str, Row]:
    cells = [tuple(row.values()) for row in tables.query("SELECT * FROM t")]
    return {c[0]: tuple(tuple(x) if isinstance(x, list) else x for x in c) for c in cells}


@settings(max_examples=25, deadline=None)
@given(history=st.lists(steps(), min_size=1, max_size=5))
def test_random_histories(history: list[tuple[list[str], dict[str, Row]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tables, model = DeltaTables(Path(folder)), dict[str, Row]()
        for number, (documents, rows) in enumerate(history):
            before = tables.version("t") if number else -1
            old = {key: row for key, row in model.items() if row[1] in documents}
            done = merge_rows(tables, "t", KINDS, rows, documents=documents)
            assert done == Merged(
                len(rows.keys() - old.keys()),
                sum(old[key] != rows[key] for key in rows.keys() & old.keys()),
                len(old.keys() - rows.keys()),
            )
            model = {key: row for key, row in model.items() if key not in old} | rows
            assert held(tables) == model
            assert tables.version("t") - before == (any(done) or not number)
            line = tables.history("t")[0]
            if any(done):
                assert (line.inserted, line.updated, line.deleted) == done


def test_another_column_keeps_what_the_other_documents_have(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    few: Any = {"id": "string", "document": "string", "value": "float"}
    rows: dict[str, Row] = {"a#1": ("a#1", "a", 1.0), "b#1": ("b#1", "b", 2.0)}
    merge_rows(tables, "t", few, rows, documents=["a", "b"])
    more = {"id": "string", "document": "string", "note": "string", "value": "float"}
    new: dict[str, Row] = {"a#1": ("a#1", "a", "new", 1.0)}
    merge_rows(tables, "t", more, new, documents=["a"])  # type: ignore[arg-type]
    assert held(tables) == new | {"b#1": ("b#1", "b", None, 2.0)}
    assert tables.version("t") == 1
    assert made_here(tables) == ["t"]
