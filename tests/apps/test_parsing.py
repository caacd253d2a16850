"""The measures of parsing, on cases worked by hand, and the truth that they are taken against."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from agentops_ref.apps.fjordvarm.printed import Printed, printed
from agentops_ref.apps.parsing import (
    Quality,
    Read,
    Share,
    measure,
    quality_by_format,
    quality_by_kind,
    read_of,
    tables_of_markdown,
)
from agentops_ref.etl.parse import parse
from agentops_ref.records import Element
from tests.etl.test_parse import NoOcr, RealOcr

SCANNED = {"certificate", "plate"}

PIECES = ("Torque", "Tighten both nuts.", "Part | Nm | Tool", "Nut | 18 | A", "Bolt | 45 | B")
TABLE = (("Part", "Nm", "Tool"), ("Nut", "18", "A"), ("Bolt", "45", "B"))
RIGHT = Read(
    "TORQUE\nTighten both\nnuts.\nPart Nm Tool\nNut 18 A\nBolt 45 B",
    [[["Part", "Nm", "Tool"], ["Nut", "18", "A"], ["Bolt", "45", "B"]]],
)


def test_everything_right() -> None:
    found = measure(PIECES, [TABLE], RIGHT)
    assert found == Quality(Share(13, 13), Share(0, 13), Share(6, 6), Share(4, 4), Share(0, 44))


def test_nothing_read() -> None:
    found = measure(PIECES, [TABLE], Read("", []))
    assert found == Quality(Share(0, 13), Share(0, 0), Share(0, 6), Share(0, 4), Share(44, 44))
    assert found.surplus.value is None


def test_words_are_counted_as_often_as_they_were_printed() -> None:
    found = measure(("a b b c",), [], Read("b a a d", []))
    assert found.words == Share(2, 4)  # a, b
    assert found.surplus == Share(2, 4)  # a second a, and d


@pytest.mark.parametrize(
    ("rows", "right"),
    [
        # The columns of the values changed places: the first column is still right.
        ([["Part", "Nm", "Tool"], ["Nut", "A", "18"], ["Bolt", "B", "45"]], 2),
        # The values of the rows changed places.
        ([["Part", "Nm", "Tool"], ["Nut", "45", "A"], ["Bolt", "18", "B"]], 4),
        # The header is missing, so that a row stands in its place.
        ([["Nut", "18", "A"], ["Bolt", "45", "B"]], 0),
        # A caption took the header's place.
        ([["Torque"], ["Part", "Nm", "Tool"], ["Nut", "18", "A"], ["Bolt", "45", "B"]], 0),
        # A cell lost its last letter.
        ([["Part", "Nm", "Tool"], ["Nut", "1", "A"], ["Bolt", "45", "B"]], 5),
        # The row's first cell, by which the others are found, is another.
        ([["Part", "Nm", "Tool"], ["Nut", "18", "A"], ["Bult", "45", "B"]], 3),
    ],
)
def test_a_cell_counts_in_its_row_and_column(rows: list[list[str]], right: int) -> None:
    assert measure(PIECES, [TABLE], RIGHT._replace(tables=[rows])).cells == Share(right, 6)


def test_a_table_may_come_in_two_parts_with_the_header_repeated() -> None:
    header, nut, bolt = ([*row] for row in TABLE)
    found = measure(PIECES, [TABLE], RIGHT._replace(tables=[[header, nut], [header, bolt]]))
    assert found.cells == Share(6, 6)


def test_a_form_s_value_counts_beside_its_label() -> None:
    form = (("", ""), ("Model", "NL-8"), ("Charge", "1.89 kg"))
    read = Read("Model: NL-8\nCharge:\n1.89 kg", [])
    assert measure(("Model | NL-8", "Charge | 1.89 kg"), [form], read).cells == Share(1, 2)


def test_order_is_that_of_neighbours() -> None:
    pieces = ("alpha", "beta", "gamma", "delta")
    assert measure(pieces, [], Read("alpha beta gamma delta", [])).order == Share(3, 3)
    assert measure(pieces, [], Read("beta alpha gamma delta", [])).order == Share(2, 3)
    assert measure(pieces, [], Read("alpha ga beta mma delta", [])).order == Share(1, 3)
    # A text that is printed twice may be either of the two.
    assert measure(("a1", "x", "a1", "y"), [], Read("a1 x a1 y", [])).order == Share(3, 3)


def test_wrong_characters_are_edits() -> None:
    found = measure(("Charge weighed 1.89 kg",), [], Read("Charqe weighed: 1.8 kg", []))
    assert found.characters == Share(2, 18)  # g read as q, 9 left out


def test_figures_of_documents_add_up() -> None:
    one = measure(PIECES, [TABLE], RIGHT)
    both = sum([one, measure(PIECES, [TABLE], Read("", []))], Quality())
    assert both.words == Share(13, 26)
    assert both.words.value == 0.5


def test_markdown_tables() -> None:
    text = "a\n| P | Nm |\n|---|:--:|\n| Nut | 18 |\n\n| Q |\n\nno | table\n"
    assert tables_of_markdown(text) == [[["P", "Nm"], ["Nut", "18"]], [["Q"]]]


def test_our_elements_become_a_text_and_tables() -> None:
    found = read_of([Element("text", "A b."), Element("table", "P | Nm |\nNut | 18 | |")])
    assert found.text == "A b.\nP | Nm |\nNut | 18 | |"
    assert found.tables == [[["P", "Nm", ""], ["Nut", "18", "", ""]]]


@pytest.fixture(scope="module")
def documents() -> dict[str, Printed]:
    return {one.path: one for one in printed(1)}


def test_the_truth_holds_what_the_generator_drew(documents: dict[str, Printed]) -> None:
    manual = documents["docs/manuals/nl-8-installation-manual.pdf"]
    assert manual.pieces[:2] == ("NL-8 installation manual", "About this manual")
    assert "Figure 2: NL-8 wiring diagram" in manual.pieces
    (faults,) = (rows for rows in manual.tables if rows[1][0] == "E31")
    assert faults[0] == ("Code", "Meaning", "Remedy")
    assert " | ".join(faults[1]) in manual.pieces
    paper = documents["docs/tenants/torvik/certificates/certificate-nl8-241007.pdf"]
    assert paper.pieces[:2] == ("Torvik Varme AS", "Certificate of inspection")
    assert paper.tables[0][0] == ("", "")
    assert "Charge weighed | 1.89 kg" in paper.pieces


def test_digital_documents_of_every_kind_are_read_whole(
    corpus: Path, documents: dict[str, Printed]
) -> None:
    kinds: dict[str, list[Printed]] = {}
    for one in documents.values():
        kinds.setdefault(one.kind, []).append(one)
    some = [one for kind in kinds.values() for one in kind[::6] if kind[0].kind not in SCANNED]
    total = quality_by_kind(some, corpus / "v1", parse=partial(parse, ocr=NoOcr()))
    assert set(total) == set(kinds) - SCANNED
    for kind, found in total.items():
        # In four manuals, a caption stands so low that it passes for a footer.
        floor = 0.995 if kind == "manual" else 1.0
        assert (found.words.value or 0) >= floor, (kind, found)
        assert (found.order.value or 0) >= floor, (kind, found)
        assert found.cells.value in (1.0, None), (kind, found)
    assert total["manual"].cells.of > 500


def test_scans_are_read_nearly_to_the_letter(corpus: Path, documents: dict[str, Printed]) -> None:
    some = [next(one for one in documents.values() if one.kind == kind) for kind in SCANNED]
    for kind, found in quality_by_kind(
        some, corpus / "v1", parse=partial(parse, ocr=RealOcr())
    ).items():
        assert (found.characters.value or 0) <= 0.01, (kind, found)
        assert (found.cells.value or 0) >= 0.9, (kind, found)


def test_formats_are_measured_each_by_itself(corpus: Path, documents: dict[str, Printed]) -> None:
    endings = {one.path.rsplit(".", 1)[-1]: one for one in documents.values()}
    scan = next(one for one in documents.values() if one.kind == "certificate")
    digital = next(one for one in documents.values() if one.kind == "user-guide")
    some = [one for ending, one in endings.items() if ending not in ("pdf", "png")]
    total = quality_by_format(
        [*some, scan, digital], corpus / "v1", parse=partial(parse, ocr=RealOcr())
    )
    assert set(total) == set(endings) - {"png"} | {"pdf, scanned"}
    for name, found in total.items():
        assert (found.words.value or 0) >= 0.97, (name, found)
        assert (found.order.value or 0) == 1.0, (name, found)
    assert (total["pdf, scanned"].characters.value or 0) <= 0.01
