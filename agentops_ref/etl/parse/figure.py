"""What a picture within a document says: nothing, its letters by OCR, or a vision model's words.

The parsers get a `Sight` where they want an OCR engine: it reads scans as the engine does, and
answers for figures as it is configured. Taught in chapter 4.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from agentops_ref.etl.parse.common import clean

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr, OcrLine

How = Literal["none", "ocr", "describe"]
MIN_SIDE = 100
"""Pixels of a picture's shorter side: smaller ones are icons and bullets."""
MAX_SIDE = 1600
"""Pixels of the longer one: larger ones are made smaller before they are looked at."""
MAX_PIXELS = 50_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


class Describe(Protocol):
    """A vision model behind a prompt."""

    @property
    def recipe(self) -> str:
        """Changes with the model and with the prompt."""
        ...

    @property
    def name(self) -> str:
        """Of the model; stands before what it says."""
        ...

    def __call__(self, image_png: bytes, /) -> str: ...


class Seen(NamedTuple):
    """What was read off a picture."""

    text: str = ""
    confidence: float | None = None
    """Mean of the OCR's lines, 0..1; None for a description and where nothing was read."""


@dataclass(frozen=True, slots=True)
class Sight:
    """An OCR engine, and what is to be done with figures."""

    ocr: Ocr
    figures: How = "none"
    describe: Describe | None = None

    def read(self, image_png: bytes, /) -> Sequence[OcrLine]:
        """Read a scan."""
        return self.ocr.read(image_png)

    def look(self, picture: Callable[[], bytes]) -> Seen:
        """Read a figure; ``picture`` gives its bytes, in any format, and is called if need be.

        A picture that is too small, or in a format that cannot be drawn (WMF), says nothing.
        """
        if self.figures == "none":
            return Seen()
        image = _prepared(picture())
        if image is None:
            return Seen()
        if self.figures == "describe" and self.describe is not None:
            said = clean(self.describe(image))
            # A model's words must not pass for the document's: a citation would quote them.
            return Seen(f"[described by {self.describe.name}] {said}" if said else "")
        return _labels(self.ocr.read(image))


def sight_of(ocr: Ocr) -> Sight:
    """What a parser was given, as a `Sight`."""
    return ocr if isinstance(ocr, Sight) else Sight(ocr)


SIGHT: ContextVar[Sight | None] = ContextVar("sight", default=None)
"""For the hooks that unstructured calls without arguments of ours."""


@contextmanager
def looking(ocr: Ocr) -> Iterator[None]:
    """For a while, `SIGHT` is what a parser was given."""
    token = SIGHT.set(sight_of(ocr))
    try:
        yield
    finally:
        SIGHT.reset(token)


def seen(picture: Callable[[], bytes]) -> Seen:
    """Look at a picture with the present `SIGHT`."""
    sight = SIGHT.get()
    return Seen() if sight is None else sight.look(picture)


def joined(*texts: str) -> str:
    """Put what is said about a picture together, each label once."""
    parts = [part.strip() for text in texts for part in text.split("; ")]
    return "; ".join(dict.fromkeys(filter(None, parts)))


def _labels(lines: Sequence[OcrLine]) -> Seen:
    from agentops_ref.etl.parse.scan import rows_of_scan

    cells = [cell for row in rows_of_scan(lines, None) for cell in row]
    if not cells:
        return Seen()
    confidence = round(fmean(cell.confidence for cell in cells), 3)
    return Seen(joined(*(cell.text for cell in cells)), confidence)


def _prepared(data: bytes) -> bytes | None:
    """As PNG on white, at most `MAX_SIDE` long; None for what is no picture to be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if min(image.size) < MIN_SIDE or image.width * image.height > MAX_PIXELS:
                return None
            image.load()
            shown = image.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    page = Image.new("RGBA", shown.size, "white")
    page.alpha_composite(shown)
    page.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    page.convert("RGB").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
