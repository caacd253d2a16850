"""Photos and screenshots: everything in them comes from OCR."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from agentops_ref.errors import DocumentError
from agentops_ref.etl.parse.scan import elements_of_scan
from agentops_ref.records import Element

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr

MAX_PIXELS = 50_000_000


def parse_image(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """Read the text of a PNG or JPEG; the image is page 1."""
    image, size = upright(name, data)
    return elements_of_scan(ocr.read(image), page=1, size=size)


def upright(name: str, data: bytes) -> tuple[bytes, tuple[int, int]]:
    """The image as it is to be looked at, as PNG, and its width and height in pixels."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        if image.width * image.height > MAX_PIXELS:
            raise DocumentError(f"{name}: {image.width} x {image.height} pixels are too many")
        image.load()
        buffer = io.BytesIO()
        turned = ImageOps.exif_transpose(image).convert("RGB")
        turned.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), turned.size
