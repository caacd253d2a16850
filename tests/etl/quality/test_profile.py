"""What is counted in a document, by hand-worked cases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.etl.quality import profile
from agentops_ref.etl.quality.language import guess
from agentops_ref.etl.quality.metrics import of_document
from agentops_ref.etl.quality.profile import Tables, profile_from
from agentops_ref.records import Chunk, Element

ENGLISH = "The pump stops when the flow sensor reports less than twelve litres a minute for long."
NORWEGIAN = (
    "Varmepumpen stopper når strømningsmåleren melder mindre enn tolv liter i minuttet lenge."
)


def chunk(text: str, ordinal: int = 0) -> Chunk:
    return Chunk(f"c{ordinal}", "a.txt", "v", ordinal, text, "")


def test_counts_of_a_small_document() -> None:
    elements = [
        Element("title", "Torque", page=1),
        Element("text", " 18 Nm. ", page=2, confidence=0.9),
        Element("text", "E41", page=2, confidence=0.5),
        Element("figure", "", page=3),
    ]
    found = profile(elements, [chunk("18 Nm."), chunk("E41", 1), chunk("E41", 2)])
    assert (found.characters, found.pages, found.words) == (6 + 6 + 3, 2, 4)
    assert (found.symbols, found.letters) == (14, 13), "the full stop is no letter"
    assert (found.chunks, found.repeated, found.read, found.lowest) == (3, 1, 2, 0.5)
    assert found.confidence == pytest.approx((0.9 * 8 + 0.5 * 3) / 11)
    assert found.language == "", "too little to tell"
    values = of_document(found)
    assert values["characters_per_page"] == 7.5
    assert values["repeated_chunks"] == pytest.approx(1 / 3)
    assert "mojibake" not in values, "nothing beyond ASCII to judge"


def test_shape_of_tables() -> None:
    whole = "Code | Meaning\nE41 | low pressure\nE42 | "
    ragged = "A | B\n1 | 2 | 3\n4 | 5"
    narrow = "E41\nE42"
    numbers = "1 | 2\n3 | 4"
    elements = [Element("table", text) for text in (whole, ragged, narrow, numbers)]
    assert profile(elements, []).tables == Tables(
        tables=4, narrow=1, headerless=1, rows=6, ragged=1, cells=2 + 2 + 3 + 2 + 1 + 2, empty=1
    )


@pytest.mark.parametrize(
    ("text", "foreign", "damaged"),
    [
        ("Kjøl væske 5 °C – ‘nå’", 7, 0),
        ("Kjøl væske – ’".encode().decode("cp1252", "replace"), 4, 4),
        ("Kj\ufffdl v\ufffdske", 2, 2),
        ("plain", 0, 0),
        ("São João, ação", 4, 0),
    ],
)
def test_misread_and_lost_characters(text: str, foreign: int, damaged: int) -> None:
    found = profile([Element("text", text)], [])
    assert (found.foreign, found.damaged) == (foreign, damaged)


def test_languages_are_told_apart_and_the_same_each_time() -> None:
    assert (guess(ENGLISH), guess(NORWEGIAN)) == ("en", "no")
    mixed = f"{ENGLISH} {NORWEGIAN}"
    assert len({guess(mixed) for _ in range(5)}) == 1
    assert guess("NL-8 12 E41") == guess("・" * 200) == ""


def test_copies_in_other_formats_have_one_digest() -> None:
    one = profile([Element("title", "Torque"), Element("text", "18 Nm")], [])
    two = profile([Element("table", "Torque | 18 Nm")], [])
    assert one.digest == two.digest != ""
    assert profile([], []).digest == ""


@given(st.lists(st.tuples(st.sampled_from(("text", "table", "title")), st.text(max_size=40))))
def test_any_text_is_counted_and_survives_the_cache(parts: list[tuple[Any, str]]) -> None:
    found = profile([Element(kind, text) for kind, text in parts], [])
    assert 0 <= found.letters <= found.symbols
    assert found.tables.ragged <= found.tables.rows
    assert found.tables.empty <= found.tables.cells
    assert 0 <= found.damaged <= found.foreign
    stored = asdict(found)
    assert profile_from({**stored, "tables": list(found.tables)}) == found
    assert profile_from({"tables": [1]}) is None
    for name, value in of_document(found).items():
        if name in ("letters", "mojibake", "narrow_tables", "ragged_rows", "empty_cells"):
            assert 0 <= float(value) <= 1, name
