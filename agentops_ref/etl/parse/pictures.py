"""Pictures in Word and PowerPoint, through the hooks that unstructured has for them.

Their text is the description that an author or a screen reader's tool gave them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

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

        for text in paragraph._p.xpath(".//w:drawing//wp:docPr/@descr"):
            yield Image(text=_described(text), metadata=ElementMetadata())


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
        text = picture._element._nvXxPr.cNvPr.get("descr", "")
        yield Image(text=_described(text), metadata=metadata)
