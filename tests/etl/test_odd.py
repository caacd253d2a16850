"""Documents as the world writes them: turned, in columns, merged, right to left, nested."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from typing import Any

import pytest

from agentops_ref.etl.parse.bidi import in_order
from agentops_ref.etl.parse.common import clean
from agentops_ref.etl.show import show
from tests.etl.test_parse import NoOcr, read, texts

A4 = (595, 842)
LEFT = (
    "Left column begins here and runs on for",
    "several lines until the column is full,",
    "which is when one goes to the top.",
    "Its last line has no end and the",
)
RIGHT = (
    "right column takes up what it said at the",
    "top, and it has other things to say too,",
    "of the pump, its charge and pressure,",
    "of which this is the last of all.",
)


def drawn(*pages: Callable[[Any], None], size: tuple[int, int] = A4) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size)
    for page in pages:
        canvas.setFont("Helvetica", 11)
        page(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def lines_at(canvas: Any, x: float, y: float, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        canvas.drawString(x, y - 14 * number, line)


def table(rows: list[list[str]], style: list[Any], **more: Any) -> bytes:
    from reportlab.lib import colors
    from reportlab.platypus import SimpleDocTemplate, Table

    buffer = io.BytesIO()
    grid = ("GRID", (0, 0), (-1, -1), 0.5, colors.black)
    SimpleDocTemplate(buffer, pagesize=A4).build([Table(rows, style=[grid, *style], **more)])
    return buffer.getvalue()


# --- PDF --------------------------------------------------------------------------------------

TURNED = ("The first line of the text on a page that is", "turned by a quarter, or by a half.")


def turned(rotation: int, degrees: int) -> bytes:
    """Text that is drawn at an angle on a page that is shown at another."""

    def page(canvas: Any) -> None:
        canvas.translate(300, 420)
        canvas.rotate(degrees)
        lines_at(canvas, -100, 0, TURNED)
        canvas.setPageRotation(rotation)

    return drawn(page)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_page_is_read_whichever_way_up_it_is(rotation: int, degrees: int) -> None:
    found = read("a.pdf", turned(rotation, degrees))
    assert texts(found) == [" ".join(TURNED)]


@pytest.mark.parametrize(("rotation", "degrees"), [(0, 90), (90, 0), (0, 180), (270, 0)])
def test_the_box_on_a_turned_page_is_where_the_ink_is(rotation: int, degrees: int) -> None:
    import pypdfium2
    from PIL import ImageOps

    data = turned(rotation, degrees)
    (found,) = read("a.pdf", data)
    image = pypdfium2.PdfDocument(data)[0].render().to_pil().convert("L")
    ink = ImageOps.invert(image).getbbox()
    assert found.box is not None
    assert ink is not None
    sides = zip(found.box, ink, (*image.size, *image.size), strict=True)
    assert all(abs(share - pixel / whole) < 0.01 for share, pixel, whole in sides)
    marks = show("a.pdf", data, page=1, quote=" ".join(TURNED), ocr=NoOcr()).boxes
    assert len(marks) == 2, "one for each line"
    first = marks[0]
    assert all(a - 0.01 <= b for a, b in zip(found.box[:2], first[:2], strict=True))
    assert all(a + 0.01 >= b for a, b in zip(found.box[2:], first[2:], strict=True))


def test_a_stamp_across_the_margin_turns_no_page() -> None:
    def page(canvas: Any) -> None:
        lines_at(canvas, 72, 700, TURNED)
        canvas.translate(30, 300)
        canvas.rotate(90)
        canvas.drawString(0, 0, "Received in March 2024")

    assert " ".join(TURNED) in texts(read("a.pdf", drawn(page)))


def in_two_columns(canvas: Any) -> None:
    canvas.setFont("Helvetica-Bold", 16)
    canvas.drawString(60, 790, "A title that stands over both of the columns")
    canvas.setFont("Helvetica", 10)
    lines_at(canvas, 60, 750, LEFT)
    lines_at(canvas, 310, 750, RIGHT)


def test_columns_are_read_one_after_the_other() -> None:
    found = read("a.pdf", drawn(in_two_columns))
    assert [(item.kind, item.text) for item in found] == [
        ("title", "A title that stands over both of the columns"),
        ("text", " ".join((*LEFT, *RIGHT))),
    ]
    assert found[1].box is not None
    assert found[1].box[2] < 0.5, "of a paragraph that goes on in the next column, its first part"


def test_a_quote_is_found_in_its_column() -> None:
    shown = show("a.pdf", drawn(in_two_columns), page=1, quote=" ".join(RIGHT[:2]), ocr=NoOcr())
    assert len(shown.boxes) == 2
    assert all(left > 0.5 for left, *_ in shown.boxes)


def test_labels_and_their_values_are_no_columns() -> None:
    def page(canvas: Any) -> None:
        lines_at(canvas, 60, 700, ["Model", "Charge", "Oil", "Mass"])
        lines_at(canvas, 300, 700, ["NL-8", "1.70 kg", "0.9 l", "112 kg"])

    assert texts(read("a.pdf", drawn(page))) == ["Model NL-8 Charge 1.70 kg Oil 0.9 l Mass 112 kg"]


def test_a_merged_cell_stands_in_each_row_and_column_that_it_spans() -> None:
    rows = [
        ["Model", "Charge", "", "Oil"],
        ["", "min", "max", ""],
        ["NL-8", "1.6", "1.8", "0.9"],
        ["NL-9", "1.7", "1.9", ""],
    ]
    spans = [
        ("SPAN", (1, 0), (2, 0)),
        ("SPAN", (0, 0), (0, 1)),
        ("SPAN", (3, 0), (3, 1)),
        ("SPAN", (3, 2), (3, 3)),
    ]
    data = table(rows, spans)
    assert texts(read("a.pdf", data)) == [
        "Model | Charge | Charge | Oil\nModel | min | max | Oil\n"
        "NL-8 | 1.6 | 1.8 | 0.9\nNL-9 | 1.7 | 1.9 | 0.9"
    ]
    assert show("a.pdf", data, page=1, quote="NL-9 | 1.7 | 1.9 | 0.9", ocr=NoOcr()).boxes


@pytest.mark.parametrize("repeated", [0, 1])
def test_a_table_that_goes_on_overleaf_has_its_header_there(repeated: int) -> None:
    rows = [["Code", "Meaning"], *([f"E{n:02}", f"Meaning {n}"] for n in range(60))]
    bold = [("FONT", (0, 0), (-1, 0), "Helvetica-Bold")]
    found = read("a.pdf", table(rows, bold, repeatRows=repeated))
    assert [item.page for item in found] == [1, 2]
    assert all(text.startswith("Code | Meaning\nE") for text in texts(found))
    assert sum(text.count("\n") for text in texts(found)) == 60


def test_another_table_overleaf_keeps_its_own_first_row() -> None:
    rows = [["Code", "Meaning"], *([f"E{n:02}", f"Meaning {n}"] for n in range(60))]
    found = read("a.pdf", table(rows, []))
    assert texts(found)[1].startswith("E"), "nothing says that the first row is a header"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("flow con\u00ad", "trol of it"), "flow control of it"),
        (("the model NL\u00ad", "12 of it"), "the model NL-12 of it"),
        (("the NL\u00ad12 has it",), "the NL-12 has it"),
    ],
)
def test_soft_hyphens(lines: Sequence[str], text: str) -> None:
    assert texts(read("a.pdf", drawn(lambda c: unicode_at(c, lines)))) == [text]


def unicode_at(canvas: Any, lines: Sequence[str]) -> None:
    from pathlib import Path

    import matplotlib
    from reportlab.pdfbase import pdfmetrics, ttfonts

    fonts = Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf"
    pdfmetrics.registerFont(ttfonts.TTFont("DejaVu", fonts / "DejaVuSans.ttf"))
    canvas.setFont("DejaVu", 11)
    lines_at(canvas, 72, 700, lines)


def test_hebrew_on_a_page_is_read_from_the_right() -> None:
    # A PDF places the letters; the first one that is read stands rightmost.
    data = drawn(lambda c: unicode_at(c, ["םלוע םולש", "12-NL :םגד"]))
    assert texts(read("a.pdf", data)) == ["שלום עולם דגם: 12-NL"]
    assert show("a.pdf", data, page=1, quote="שלום עולם", ocr=NoOcr()).boxes


def test_words_of_both_directions() -> None:
    assert [text for _, text in in_order(["the", "word", "םולש", "here"])] == [
        "the",
        "word",
        "שלום",
        "here",
    ]
    assert [at for at, _ in in_order(["NL-8", "G2", "לש", "העינמ"])] == [3, 2, 0, 1]


def test_bullets_without_a_code_are_bullets() -> None:
    def page(canvas: Any) -> None:
        lines_at(canvas, 72, 700, ["\u2022 one thing", "\u2022 another"])

    assert texts(read("a.pdf", drawn(page)), "list") == ["one thing", "another"]


def test_ligatures_are_letters() -> None:
    assert clean("e\ufb03cient \ufb01eld, m\u00b2") == "efficient field, m\u00b2"


# --- Word, PowerPoint -------------------------------------------------------------------------

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def test_docx_reads_as_it_is_shown() -> None:
    import docx
    from docx.oxml import parse_xml

    document = docx.Document()
    document.add_heading("Charge", 1)
    paragraph = document.add_paragraph("Use ")
    for xml in (
        '<w:del {W} w:id="1"><w:r><w:delText>1.70 kg</w:delText></w:r></w:del>',
        '<w:ins {W} w:id="2"><w:r><w:t>1.62 kg</w:t></w:r></w:ins>',
    ):
        paragraph._p.append(parse_xml(xml.replace("{W}", W)))
    box = (
        f'<w:r {W} xmlns:v="urn:schemas-microsoft-com:vml"><w:pict><v:shape><v:textbox>'
        "<w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
        "</v:textbox></v:shape></w:pict></w:r>"
    )
    document.add_paragraph("Beside it: ")._p.append(parse_xml(box))
    control = f"<w:sdt {W}><w:sdtContent><w:p><w:r><w:t>Filled in.</w:t></w:r></w:p></w:sdtContent>"
    document.element.body.insert(1, parse_xml(f"{control}</w:sdt>"))
    buffer = io.BytesIO()
    document.save(buffer)
    found = texts(read("a.docx", buffer.getvalue()))
    assert found == ["Charge", "Filled in.", "Use 1.62 kg", "Beside it:", "In a box."]


def test_pptx_charts_are_tables_and_hidden_slides_are_left_out() -> None:
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Efficiency"
    data = CategoryChartData()
    data.categories = ["Jan", "Feb"]
    data.add_series("COP", (3.1, 2.9))
    place = [Inches(n) for n in (1, 1, 4, 3)]
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
    merged = slide.shapes.add_table(2, 3, *place).table
    for row in range(2):
        for column in range(3):
            merged.cell(row, column).text = f"c{row}{column}"
    merged.cell(0, 1).text = ""
    merged.cell(0, 0).merge(merged.cell(0, 1))
    slide.notes_slide.notes_text_frame.text = "Said aloud."
    hidden = deck.slides.add_slide(deck.slide_layouts[5])
    hidden.shapes.title.text = "Old values"
    hidden._element.set("show", "0")
    buffer = io.BytesIO()
    deck.save(buffer)
    found = read("a.pptx", buffer.getvalue())
    assert [(item.kind, item.text, item.page) for item in found] == [
        ("title", "Efficiency", 1),
        ("table", "c00 | c00 | c02\nc10 | c11 | c12", 1),
        ("table", "| COP\nJan | 3.1\nFeb | 2.9", 1),
        ("text", "Said aloud.", 1),
    ]


# --- HTML, mail -------------------------------------------------------------------------------


def test_html_within_forms_and_folds_is_read() -> None:
    found = read(
        "a.html",
        "<form><main><article><header><h1>Returns</h1></header><p>Within 30 days.</p></article>"
        "<details><summary>More</summary><p>Folded away.</p></details>"
        "<label>Model <input value='x'></label><select><option>NL-8</option></select>"
        "<button>Send</button></main></form>",
    )
    assert texts(found) == ["Returns", "Within 30 days.", "More", "Folded away.", "Model"]


def test_html_tables_within_tables_keep_all_words() -> None:
    found = read(
        "a.html",
        "<table><tr><th>A</th><th>B</th></tr><tr><td>x<table><tr><td>in1</td><td>in2</td></tr>"
        "</table></td><td>y</td></tr></table>",
    )
    assert texts(found) == ["A | B\nx in1 in2 | y"]


def test_every_part_of_a_mail_is_read_once() -> None:
    parts = (
        ("text/plain; charset=iso-8859-1", b"Bl\xe5b\xe6r."),
        ("text/html", b"<p>The same in colour.</p>"),
    )
    raw = b"From: a@b.no\nSubject: Nested\nMIME-Version: 1.0\n"
    raw += b"Content-Type: multipart/mixed; boundary=A\n\n--A\n"
    raw += b"Content-Type: multipart/related; boundary=B\n\n--B\n"
    raw += b"Content-Type: multipart/alternative; boundary=C\n"
    for kind, content in parts:
        raw += b"\n--C\nContent-Type: " + kind.encode() + b"\n\n" + content + b"\n"
    raw += b"--C--\n--B--\n--A\nContent-Type: text/html\n\n<p>Only here.</p>\n--A--\n"
    assert texts(read("a.eml", raw))[2:] == ["Blåbær.", "Only here."]


def test_a_mail_of_which_only_the_html_holds_something() -> None:
    message = EmailMessage()
    message["Subject"] = "Empty"
    message.set_content(" \n")
    message.add_alternative("<p>All of it.</p>", subtype="html")
    assert texts(read("a.eml", message.as_bytes()))[-1] == "All of it."


def test_attachments_without_an_ending_are_read_by_their_type() -> None:
    message = EmailMessage()
    message["Subject"] = "Parts"
    message.set_content("Here.")
    for kind, name, content in (
        ("csv", None, b"code,meaning\nE41,Fan\n"),
        ("plain", "notes", b"Some notes."),
        ("calendar", "visit.ics", b"SUMMARY:Visit"),
    ):
        message.add_attachment(content, maintype="text", subtype=kind, filename=name)
    message.add_attachment(b"PK", maintype="application", subtype="zip", filename="a.zip")
    found = read("a.eml", message.as_bytes())
    assert "code | meaning\nE41 | Fan" in texts(found, "table")
    assert {"Some notes.", "SUMMARY:Visit"} <= set(texts(found))
    assert any("no parser for '.zip'" in text for text in texts(found))
