"""Pictures on a PDF page: cut out of it as it is shown, and looked at."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from agentops_ref.etl.parse.figure import Sight, joined
from agentops_ref.etl.parse.page import Box
from agentops_ref.etl.parse.turned import Turned
from agentops_ref.records import Element, PageBox


def looked_at(
    elements: list[Element], page: Any, data: bytes, turned: Turned, sight: Sight
) -> Iterator[Element]:
    """Add to figures that hold a bitmap what is to be read in it; strokes have their labels."""
    number = page.page_number
    for item in elements:
        if item.kind != "figure" or item.box is None or not _has_bitmap(page, item.box):
            yield item
            continue
        seen = sight.look(partial(_cut_out, data, number, item.box, turned))
        text = joined(item.text, seen.text) if seen.text else item.text
        yield replace(item, text=text, confidence=seen.confidence)


def _has_bitmap(page: Any, box: PageBox) -> bool:
    boxes = [Box(i["x0"], i["top"], i["x1"], i["bottom"]).on(page) for i in page.images]
    return any(
        one is not None
        and box[0] <= (one[0] + one[2]) / 2 <= box[2]
        and box[1] <= (one[1] + one[3]) / 2 <= box[3]
        for one in boxes
    )


def _cut_out(data: bytes, number: int, box: PageBox, turned: Turned) -> bytes:
    """A part of the page, the right way up; ``box`` is that of the turned page."""
    from PIL import Image

    from agentops_ref.etl.parse.pdf import render

    image, _ = render(data, number)
    with Image.open(io.BytesIO(image)) as shown:
        upright = shown.rotate(-90 * turned.turns.get(number, 0), expand=True)
    width, height = upright.size
    left, top, right, bottom = box
    part = upright.crop(
        (int(left * width), int(top * height), round(right * width), round(bottom * height))
    )
    buffer = io.BytesIO()
    part.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
