"""Pictures in Word and PowerPoint, through the hooks that unstructured has for them.

Their text is the description that an author or a screen reader's tool gave them, and what was read
in them, if it is configured that figures are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from agentops_ref.etl.parse.figure import Seen, joined, seen

_FILE = re.compile(r"[^/\\]+\.(png|jpe?g|gif|bmp|tiff?|emf|wmf|svg|webp)", re.IGNORECASE)


def _described(text: str) -> str:
    """Programs put the file's name there when nobody wrote a description."""
    return "" if _FILE.fullmatch(text.strip()) else text


@cache
def set_up() -> None:
    """Register both; unstructured keeps them for the process and passes pictures over otherwise."""
    from unstructured.partition import docx, pptx

    docx.register_picture_partitioner(InParagraph)
    pptx.register_picture_partitioner(OnSlide)


class InParagraph:
    """Of a Word paragraph."""

    @classmethod
    def iter_elements(cls, paragraph: Any, opts: Any) -> Iterator[Any]:
        from unstructured.documents.elements import ElementMetadata, Image

        for drawing in paragraph._p.xpath(".//w:drawing"):
            texts = drawing.xpath(".//wp:docPr/@descr")
            found = Seen()
            for embedded in drawing.xpath(".//a:blip/@r:embed")[:1]:
                part = paragraph.part.related_parts.get(embedded)
                if part is not None:
                    found = seen(partial(getattr, part, "blob"))
            if texts or found.text:
                own = "".join(map(_described, texts[:1]))
                text = joined(own, found.text) if found.text else own
                metadata = ElementMetadata(detection_class_prob=found.confidence)
                yield Image(text=text, metadata=metadata)


class OnSlide:
    """Of a slide, with the place where it stands."""

    @classmethod
    def iter_elements(cls, picture: Any, opts: Any) -> Iterator[Any]:
        from pptx.shapes.shapetree import SlideShapes
        from unstructured.documents.coordinates import PixelSpace
        from unstructured.documents.elements import CoordinatesMetadata, Image

        metadata = opts.text_metadata()
        sides = picture.left, picture.top, picture.width, picture.height
        # Within a group, the sides are in the group's own units.
        if isinstance(picture._parent, SlideShapes) and None not in sides:
            deck = picture.part.package.presentation_part.presentation
            left, top, width, height = sides
            points = ((left, top), (left + width, top + height))
            space = PixelSpace(width=deck.slide_width, height=deck.slide_height)
            metadata.coordinates = CoordinatesMetadata(points=points, system=space)
        text = _described(picture._element._nvXxPr.cNvPr.get("descr", ""))
        found = seen(lambda: picture.image.blob)
        metadata.detection_class_prob = found.confidence
        yield Image(text=joined(text, found.text) if found.text else text, metadata=metadata)
