"""A cited passage on its page: which words are marked, and what is said when there are none."""

from __future__ import annotations

import io

import numpy as np
import pytest

from agentops_ref.errors import DocumentError
from agentops_ref.etl.show import Shown, show
from tests.etl.test_parse import FixedOcr, NoOcr, at, pdf, scanned_pdf

PAGE = [
    (50.0, 100.0, "Helvetica", 10.0, "The valve is opened by hand and instal-"),
    (50.0, 112.0, "Helvetica", 10.0, "led again after one minute. Then it is closed."),
    (50.0, 500.0, "Helvetica", 10.0, "The pump is started when"),
]
OVERLEAF = [(50.0, 100.0, "Helvetica", 10.0, "the valve is shut.")]


def tables() -> bytes:
    """Two tables with the same header; cells of two lines."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

    style = getSampleStyleSheet()["Normal"]
    parts = []
    for name, rows in (
        ("First codes", [("E10", "Communication lost between the indoor and the outdoor unit")]),
        ("More codes", [("E31", "Heater"), ("E41", "Fan of the outdoor unit locked by ice today")]),
    ):
        cells = [[Paragraph(text, style) for text in row] for row in (("Code", "Meaning"), *rows)]
        grid = Table(cells, colWidths=[60, 120])
        grid.setStyle(
            [("GRID", (0, 0), (-1, -1), 0.5, "black"), ("VALIGN", (0, 0), (-1, -1), "TOP")]
        )
        parts += [Paragraph(name, style), grid, Spacer(1, 20)]
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, pagesize=A4).build(parts)
    return buffer.getvalue()


def shown(data: bytes, quote: str, page: int = 1) -> Shown:
    return show("a.pdf", data, page=page, quote=quote, ocr=NoOcr())


def yellow(png: bytes) -> tuple[float, float, float, float]:
    """The area that is not grey, as shares."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 60
    ys, xs = np.flatnonzero(coloured.any(axis=1)), np.flatnonzero(coloured.any(axis=0))
    height, width = coloured.shape
    return xs[0] / width, ys[0] / height, (xs[-1] + 1) / width, (ys[-1] + 1) / height


def test_a_quote_is_marked_line_by_line() -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    found = shown(pdf(PAGE, OVERLEAF), "opened by hand and installed again")
    first, second = found.boxes
    before = stringWidth("The valve is ", "Helvetica", 10)
    assert first[0] == pytest.approx((50 + before) / 595, abs=0.002)
    assert second[0] == pytest.approx(50 / 595, abs=0.002)
    assert second[2] < first[2]  # ends with "again"
    assert yellow(found.png) == pytest.approx((second[0], first[1], first[2], second[3]), abs=0.008)


def test_a_quote_that_goes_on_overleaf_is_marked_where_it_begins() -> None:
    data = pdf(PAGE, OVERLEAF)
    (box,) = shown(data, "The pump is started when the valve is shut.").boxes
    assert box[1] == pytest.approx(500 / 842, abs=0.02)
    with pytest.raises(DocumentError, match="does not hold"):
        shown(data, "The pump is started when the valve is open.")


def test_a_row_is_marked_cell_by_cell_and_a_header_in_its_own_table() -> None:
    data = tables()
    row = shown(data, "E41 | Fan of the outdoor unit locked by ice today").boxes
    assert len(row) == 2
    caption, header, *rest = shown(
        data, "More codes\nCode | Meaning\nE41 | Fan of the outdoor unit locked by ice today"
    ).boxes
    assert tuple(rest) == row
    assert caption[1] < header[1] < row[0][1]
    first = shown(data, "First codes\nCode | Meaning").boxes
    assert first[-1][1] < caption[1]


def test_a_figure_is_marked_as_a_whole() -> None:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(600, 800))
    for radius in (20, 30, 40):
        canvas.circle(150, 500, radius)
    for x, y, label in ((120, 515, "pump"), (155, 490, "valve"), (120, 480, "pump")):
        canvas.setFontSize(8)
        canvas.drawString(x, y, label)
    canvas.drawString(60, 440, "Figure 1: the pump")
    canvas.save()
    for quote in ("pump; valve\nFigure 1: the pump", "pump; valve"):
        box, *caption = shown(buffer.getvalue(), quote).boxes
        assert box == pytest.approx((110 / 600, 260 / 800, 190 / 600, 340 / 800), abs=0.002)
        assert len(caption) == quote.count("Figure")


def test_a_scan_is_marked_by_its_recognised_lines() -> None:
    ocr = FixedOcr(at("Model", 60, 80), at("NL-8", 300, 82), at("Charge", 60, 400))
    found = show("a.pdf", scanned_pdf(), page=1, quote="Model: NL-8", ocr=ocr)
    (box,) = found.boxes
    assert box == pytest.approx((0.1, 0.1, 340 / 600, 102 / 800), abs=1e-4)


def test_a_photo_is_page_1() -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (200, 100), "white").save(buffer, "PNG")
    ocr = FixedOcr(at("IP24", 20, 40))
    found = show("a.png", buffer.getvalue(), page=1, quote="IP24", ocr=ocr)
    assert found.boxes == ((0.1, 0.4, 0.3, 0.6),)
    with pytest.raises(DocumentError, match=r"a\.png: no page 2; an image is page 1"):
        show("a.png", buffer.getvalue(), page=2, quote="IP24", ocr=ocr)


@pytest.mark.parametrize(
    ("name", "page", "quote", "message"),
    [
        ("a.pdf", 1, "the valve is shut", r"a\.pdf: page 1 does not hold .*; page 2 does"),
        ("a.pdf", 1, "18 Nm", r"page 1 does not hold '18 Nm'$"),
        ("a.pdf", 3, "valve", r"a\.pdf: no page 3; it has 2, counted from 1"),
        ("a.pdf", 1, " -- ", "has no letter or digit"),
        ("a.docx", 1, "valve", r"a\.docx: only PDF, PNG and JPEG files"),
    ],
)
def test_what_cannot_be_shown_is_said(name: str, page: int, quote: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        show(name, pdf(PAGE, OVERLEAF), page=page, quote=quote, ocr=NoOcr())
