"""Files that are small and would cost minutes, gigabytes or a tenant's privacy."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest

from agentops_ref.errors import DocumentError
from agentops_ref.etl.chunk import NOBODY, kind_and_tenant
from agentops_ref.etl.parse import parse
from agentops_ref.etl.parse.pdf import MAX_PIXELS, RENDER_SCALE


class Sizes:
    """An OCR engine that remembers the sizes, in pixels, of the images that it was given."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def read(self, image_png: bytes, /) -> tuple[Any, ...]:
        self.sizes.append(struct.unpack(">II", image_png[16:24]))
        return ()


def workbook(cells: dict[str, Any]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    assert book.active is not None
    for place, value in cells.items():
        book.active[place] = value
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def picture_page(width: float, height: float) -> bytes:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen import canvas

    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=(width, height))
    page.drawImage(ImageReader(Image.new("RGB", (8, 8), "white")), 0, 0, width, height)
    page.save()
    return buffer.getvalue()


def test_a_stray_cell_in_the_last_corner_costs_nothing() -> None:
    filled = {"A1": "Code", "B1": "Price", "A2": "FV-1", "B2": 7}
    found = parse("x.xlsx", workbook({**filled, "XFD1048576": "end"}), ocr=Sizes())
    assert [item.text for item in found] == ["Code | Price\nFV-1 | 7", "end"]


def test_a_sheet_of_too_many_cells_is_refused() -> None:
    rows = {f"XFD{row}": "x" for row in range(1, 200)}
    with pytest.raises(DocumentError, match="more than 2,000,000 cells"):
        parse("x.xlsx", workbook(rows), ocr=Sizes())


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(595, 842, (595 * RENDER_SCALE, 842 * RENDER_SCALE)), (14400, 14400, None), (2, 14400, None)],
    ids=["A4", "largest page", "strip"],
)
def test_a_page_is_rendered_in_bounds(
    width: float, height: float, expected: tuple[float, float] | None
) -> None:
    ocr = Sizes()
    with pytest.raises(DocumentError, match="no text"):
        parse("x.pdf", picture_page(width, height), ocr=ocr)
    assert len(ocr.sizes) == 1
    assert ocr.sizes[0][0] * ocr.sizes[0][1] <= 1.01 * MAX_PIXELS
    assert expected is None or ocr.sizes[0] == expected


def test_a_file_beside_the_tenants_folders_is_nobodys() -> None:
    assert kind_and_tenant("tenants/contract.pdf") == {"kind": "", "tenant": NOBODY}


@pytest.mark.parametrize("layers", [1, 2])
def test_a_pdf_whose_stream_unpacks_to_gigabytes_is_refused_at_once(layers: int) -> None:
    import zlib

    from agentops_ref.etl.parse import parse
    from agentops_ref.etl.parse.archive import MAX_STREAM

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * 10**7) for _ in range(MAX_STREAM // 10**7 + 1))
    packed += packer.flush()
    for _ in range(layers - 1):
        packed = zlib.compress(packed, 9)
    filters = b"[" + b"/FlateDecode " * layers + b"]"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        b"<< /Length %d /Filter %s >>\nstream\n%s\nendstream" % (len(packed), filters, packed),
    ]
    body = b"%PDF-1.4\n"
    for number, text in enumerate(objects, 1):
        body += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    body += b"trailer << /Root 1 0 R /Size 5 >>\n%%EOF"
    assert len(body) < MAX_STREAM // 500
    with pytest.raises(DocumentError, match="decompression bomb"):
        parse("bomb.pdf", body, ocr=None)
