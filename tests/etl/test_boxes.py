"""Where elements stand: a box is compared with the ink of the page as PDFium renders it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from agentops_ref.etl.cache import StageCache
from agentops_ref.etl.parse import parse
from agentops_ref.etl.parse.common import around, page_box
from agentops_ref.records import Element, PageBox
from tests.etl.test_parse import FixedOcr, NoOcr, at, pdf, scanned_pdf

Change = Callable[[bytes], bytes]
LINES = [
    (50.0, 300.0, "Helvetica", 10.0, "The valve is opened by hand and"),
    (50.0, 312.0, "Helvetica", 10.0, "closed again after one minute."),
]


def ink(data: bytes, page: int = 1) -> PageBox:
    """The area of a page that is not white, as shares."""
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    pixels = document[page - 1].render(scale=4).to_numpy()
    document.close()
    dark = pixels.min(axis=2) < 200
    ys, xs = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    height, width = dark.shape
    return xs[0] / width, ys[0] / height, (xs[-1] + 1) / width, (ys[-1] + 1) / height


def with_page(data: bytes, **entries: Sequence[int] | int) -> bytes:
    """The same PDF with other entries in its page's dictionary."""
    page = b"".join(
        b" /%s %s" % (name.encode(), str(value).replace(",", "").encode())
        for name, value in entries.items()
    )
    assert data.count(b"/MediaBox [ 0 0 595 842 ]") == 1
    # The file's table of offsets is wrong then, which readers mend by themselves.
    changed = data.replace(b"/MediaBox [ 0 0 595 842 ]", page.strip())
    if b"MediaBox" not in page:
        changed = data.replace(b"/MediaBox", page.strip() + b" /MediaBox")
    return changed


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Rotate": 90},
        {"Rotate": 180},
        {"Rotate": 270},
        {"CropBox": [20, 400, 545, 782]},
        {"CropBox": [20, 400, 545, 782], "Rotate": 90},
        {"CropBox": [-50, 400, 545, 1000], "Rotate": 270},
        {"MediaBox": [10, 300, 595, 842]},
    ],
    ids=str,
)
def test_the_box_of_a_text_is_where_its_ink_is(change: dict[str, Sequence[int] | int]) -> None:
    data = with_page(pdf(LINES), **change)
    found = parse("a.pdf", data, ocr=NoOcr())
    box = around(item.box for item in found)
    assert box is not None
    assert box == pytest.approx(ink(data), abs=0.012)


@pytest.mark.parametrize("crop", [[0, 0, 0, 0], [900, 900, 990, 990], [-90, -90, -10, -10]])
def test_a_page_that_shows_nothing_is_read_without_places(crop: Sequence[int]) -> None:
    found = parse("a.pdf", with_page(pdf(LINES), CropBox=crop), ocr=NoOcr())
    assert [item.text for item in found] == [" ".join(line[-1] for line in LINES)]
    assert found[0].box is None


def test_boxes_of_tables_figures_and_pictures() -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(600, 800))
    canvas.drawString(60, 700, "The parts of the pump are listed in the table below.")
    canvas.grid([60, 180, 300], [600, 620, 640])
    for x, y, text in ((65, 625, "Part"), (185, 625, "Nm"), (65, 605, "Nut"), (185, 605, "18")):
        canvas.drawString(x, y, text)
    for radius in (20, 30, 40):
        canvas.circle(150, 500, radius)
    canvas.drawString(140, 497, "pump")
    canvas.drawString(60, 440, "Figure 1: the pump")
    canvas.drawImage(ImageReader(Image.new("RGB", (8, 8), "red")), 300, 300, 150, 100)
    canvas.drawImage(ImageReader(Image.new("RGB", (8, 8), "blue")), 500, 760, 60, 30)  # a logo
    canvas.save()
    found = parse("a.pdf", buffer.getvalue(), ocr=NoOcr())
    assert [(item.kind, item.text) for item in found] == [
        ("text", "The parts of the pump are listed in the table below."),
        ("table", "Part | Nm\nNut | 18"),
        ("figure", "pump"),
        ("caption", "Figure 1: the pump"),
        ("figure", ""),
    ]
    assert found[1].box == pytest.approx((0.1, 0.2, 0.5, 0.25), abs=0.002)
    assert found[2].box == pytest.approx((110 / 600, 260 / 800, 190 / 600, 340 / 800), abs=0.002)
    assert found[4].box == pytest.approx((0.5, 0.5, 0.75, 0.625), abs=0.002)


def test_a_picture_alone_is_not_a_text() -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    from agentops_ref.errors import DocumentError

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(600, 800))
    canvas.drawImage(ImageReader(Image.new("RGB", (8, 8), "red")), 300, 300, 150, 100)
    canvas.save()
    with pytest.raises(DocumentError, match="no text found"):
        parse("a.pdf", buffer.getvalue(), ocr=NoOcr())


def test_text_before_a_backdrop_is_text() -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(600, 800))
    canvas.drawImage(ImageReader(Image.new("RGB", (8, 8), "yellow")), 0, 0, 600, 800)
    canvas.drawString(60, 500, "The valve is opened by hand and closed again after one minute.")
    canvas.save()
    (item,) = parse("a.pdf", buffer.getvalue(), ocr=NoOcr())
    assert item.kind == "text"


def test_a_paragraph_that_goes_on_overleaf_has_the_box_of_its_first_page() -> None:
    first = [(50.0, 700.0, "Helvetica", 10.0, "The valve is opened by hand and")]
    second = [(50.0, 100.0, "Helvetica", 10.0, "closed again after one minute.")]
    data = pdf(first, second)
    (item,) = parse("a.pdf", data, ocr=NoOcr())
    assert item.box == pytest.approx(ink(data), abs=0.012)


def test_a_scan_s_boxes_are_those_of_its_lines() -> None:
    # The page has 300 x 400 points and is rendered with 600 x 800 pixels.
    ocr = FixedOcr(at("Model", 60, 80), at("NL-8", 300, 82), at("Charge", 60, 400))
    fields, line = parse("a.pdf", scanned_pdf(), ocr=ocr)
    assert fields.box == pytest.approx((0.1, 0.1, 340 / 600, 102 / 800), abs=1e-4)
    assert line.box == pytest.approx((0.1, 0.5, 0.2, 0.525), abs=1e-4)


def test_a_slide_s_picture_has_its_place_and_its_description() -> None:
    import pptx
    from PIL import Image

    image = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(image, "PNG")
    deck = pptx.Presentation()
    width, height = int(deck.slide_width or 0), int(deck.slide_height or 0)
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Valves"
    for left in (0, width // 2):
        shape = slide.shapes.add_picture(image, left, height // 2, width // 4, height // 4)
    shape._element._nvXxPr.cNvPr.set("descr", "The valve, cut open")
    buffer = io.BytesIO()
    deck.save(buffer)
    found = parse("a.pptx", buffer.getvalue(), ocr=NoOcr())
    assert [(item.kind, item.text, item.page) for item in found] == [
        ("title", "Valves", 1),
        ("figure", "", 1),
        ("figure", "The valve, cut open", 1),
    ]
    assert found[1].box == pytest.approx((0, 0.5, 0.25, 0.75), abs=1e-3)
    assert found[2].box == pytest.approx((0.5, 0.5, 0.75, 0.75), abs=1e-3)


def test_a_box_is_cut_at_the_page_s_edges() -> None:
    assert page_box(-0.1, 0.25, 1.00001, 0.33333333) == (0.0, 0.25, 1.0, 0.3333)
    assert page_box(1.2, 0.1, 1.4, 0.2) is None
    assert page_box(0.1, 0.2, 0.1, 0.4) is None


def test_the_cache_gives_elements_back_as_they_were(tmp_path: Path) -> None:
    elements = (
        Element("text", "18 Nm", 1, 0.9, (0.1, 0.2, 0.3, 0.4)),
        Element("title", "Torque"),
        Element("figure", "", 2, None, (0.0, 0.0, 1.0, 0.5)),
    )
    cache = StageCache(tmp_path)
    cache.put_elements("r", "c", elements)
    assert cache.get_elements("r", "c") == elements


@pytest.mark.parametrize("entry", ["[", "[[]]", "[1]", '[{"kind": "text"}]', '[{"box": [1]}]'])
def test_a_damaged_entry_of_the_cache_counts_as_absent(tmp_path: Path, entry: str) -> None:
    cache = StageCache(tmp_path)
    cache.put_elements("r", "c", [])
    (file,) = tmp_path.rglob("*.json")
    file.write_text(entry)
    assert cache.get_elements("r", "c") is None
