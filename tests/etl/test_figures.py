"""Pictures within documents: left alone, read by OCR, or described by a vision model."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest

from agentops_ref import load_config
from agentops_ref.errors import ConfigError
from agentops_ref.etl.parse import parse
from agentops_ref.etl.parse.figure import Sight
from agentops_ref.records import Element
from agentops_ref.testing import ScriptedChat
from agentops_ref.wiring import build
from tests.etl.test_parse import FixedOcr, NoOcr, RealOcr, at

LABELS = ("L1 supply 230 V", "terminal X2", "pump P1")


def wiring(width: int = 600, height: int = 300, *, form: str = "PNG") -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for number, label in enumerate(LABELS):
        draw.text((60, 30 + 90 * number), label, fill="black", font_size=36)
    draw.line((20, 20, 20, 280), fill="black", width=4)
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def pdf(picture: bytes, *, rotation: int = 0) -> bytes:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842))
    canvas.drawString(72, 760, "The wiring of the pump is shown in the figure below this line.")
    canvas.drawImage(ImageReader(io.BytesIO(picture)), 100, 400, 360, 180)
    canvas.setPageRotation(rotation)
    canvas.save()
    return buffer.getvalue()


def docx(picture: bytes, description: str | None = None) -> bytes:
    from docx import Document

    document = Document()
    document.add_paragraph("The wiring is shown below.")
    document.add_picture(io.BytesIO(picture))
    if description is not None:
        (drawn,) = document.element.body.xpath(".//wp:docPr")
        drawn.set("descr", description)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def pptx(picture: bytes) -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Wiring"
    slide.shapes.add_picture(io.BytesIO(picture), Inches(1), Inches(2))
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def html(picture: bytes) -> bytes:
    code = base64.b64encode(picture).decode()
    return (
        f'<h1>Wiring</h1><p>See below.</p><img alt="Plan" src="data:image/png;base64,{code}">'
        '<img alt="elsewhere" src="https://example.com/x.png">'
    ).encode()


FILES = {"a.pdf": pdf, "a.docx": docx, "a.pptx": pptx, "a.html": html}


def figure(name: str, data: bytes, sight: Any) -> Element:
    found = [item for item in parse(name, data, ocr=sight) if item.kind == "figure"]
    return next(item for item in found if item.text != "elsewhere")


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_labels_in_a_picture_are_read_with_their_confidence(name: str) -> None:
    found = figure(name, FILES[name](wiring()), Sight(RealOcr(), "ocr"))
    for label in LABELS:
        assert label.replace(" ", "") in found.text.replace(" ", "")
    assert found.confidence is not None
    assert found.confidence > 0.8
    if name == "a.html":
        assert found.text.startswith("Plan; ")


@pytest.mark.slow
def test_a_picture_on_a_turned_page_is_read_upright() -> None:
    found = figure("a.pdf", pdf(wiring(), rotation=90), Sight(RealOcr(), "ocr"))
    assert "terminalX2" in found.text.replace(" ", "")


@pytest.mark.parametrize("name", FILES)
def test_by_default_no_picture_is_looked_at(name: str) -> None:
    data = FILES[name](wiring())
    assert parse(name, data, ocr=NoOcr()) == parse(name, data, ocr=Sight(NoOcr(), "none"))


@pytest.mark.parametrize(
    "picture", [wiring(90, 400), b"\xd7\xcd\xc6\x9a" + bytes(100), b"no picture"]
)
def test_small_pictures_and_unknown_formats_say_nothing(picture: bytes) -> None:
    seen = Sight(NoOcr(), "ocr").look(lambda: picture)
    assert (seen.text, seen.confidence) == ("", None)


def test_a_picture_is_shown_on_white_and_not_too_large() -> None:
    from PIL import Image

    ocr = FixedOcr(at("X2", 10, 10))
    buffer = io.BytesIO()
    Image.new("LA", (4000, 1000), (0, 0)).save(buffer, "PNG")
    assert Sight(ocr, "ocr").look(buffer.getvalue).text == "X2"
    shown = Image.open(io.BytesIO(ocr.images[0]))
    assert shown.size == (1600, 400)
    assert shown.getpixel((0, 0)) == (255, 255, 255)


def test_what_the_author_wrote_stands_first() -> None:
    ocr = FixedOcr(at("terminal X2", 10, 10))
    found = figure("a.docx", docx(wiring(), "Wiring of P1"), Sight(ocr, "ocr"))
    assert (found.text, found.confidence) == ("Wiring of P1; terminal X2", 0.9)


# --- described ----------------------------------------------------------------------------------

VISION = {
    "etl.parse.figures": "describe",
    "models.vision": {"provider": "openai", "name": "some-vision"},
}


@pytest.mark.parametrize("name", FILES)
def test_a_description_says_that_it_is_one(name: str, tmp_path: Path) -> None:
    app = build(load_config(overrides={**VISION, "paths.cache": str(tmp_path)}))
    chat = ScriptedChat(script=lambda messages: "A pump on\nterminal X2.")
    app.__dict__["vision"] = chat
    app.__dict__["ocr"] = WithRecipe()
    data = FILES[name](wiring())
    found = [item for item in app.stages.parse(name, data) if "described" in item.text]
    assert [item.kind for item in found] == ["figure"]
    assert found[0].text.endswith("[described by some-vision] A pump on terminal X2.")
    assert found[0].confidence is None
    ((system, asked),) = chat.asked
    assert system.type == "system"
    text, picture = asked.content
    assert isinstance(picture, dict)
    assert isinstance(text, dict)
    assert "label" in text["text"]
    code = picture["image_url"]["url"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(code).startswith(b"\x89PNG")
    app.stages.parse(name, data)
    assert len(chat.asked) == 1, "kept in the cache"


class WithRecipe(NoOcr):
    recipe = "none"


def test_the_recipe_changes_with_what_is_done_to_figures() -> None:
    hashes = {
        build(load_config(overrides=more)).stages.recipes.parse.hash
        for more in (
            {},
            {"etl.parse.figures": "ocr"},
            VISION,
            {**VISION, "models.vision": {"provider": "openai", "name": "another"}},
        )
    }
    assert len(hashes) == 4


def test_a_description_needs_a_model() -> None:
    app = build(load_config(overrides={"etl.parse.figures": "describe"}))
    with pytest.raises(ConfigError, match=r"models\.vision"):
        _ = app.stages
