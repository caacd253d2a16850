"""Optical character recognition: PP-OCR on ONNX Runtime; its models come in the wheel."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentops_ref.errors import DocumentError


@dataclass(frozen=True, slots=True)
class OcrLine:
    """One line of recognised text."""

    text: str
    confidence: float
    """0..1, rounded to 4 digits, so that another processor's rounding does not show."""
    box: tuple[tuple[int, int], ...]
    """The four corners in pixels, clockwise from the top left."""


class Ocr(Protocol):
    """An image in, lines of text out, top to bottom."""

    def read(self, image: bytes) -> Sequence[OcrLine]: ...


class RapidOcr:
    """`rapidocr`'s PP-OCR; about a second an image. Loaded on the first call."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name, self._options = name, options
        self._engine: Any = None
        self._one_at_a_time = threading.Lock()  # the engine keeps its state in attributes

    def read(self, image: bytes) -> tuple[OcrLine, ...]:
        """Read a PNG or JPEG.

        Raises
        ------
        DocumentError
            The bytes are not an image that can be decoded.
        """
        with self._one_at_a_time:
            found = self._found(image)
        if found.txts is None:
            return ()
        return tuple(
            OcrLine(
                text,
                round(float(score), 4),
                tuple((round(float(x)), round(float(y))) for x, y in box),
            )
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        )

    def _found(self, image: bytes) -> Any:
        if self._engine is None:
            logging.getLogger("RapidOCR").setLevel(logging.ERROR)
            from rapidocr import RapidOCR

            self._engine = RapidOCR(params={"Global.log_level": "error", **self._options})
        try:
            return self._engine(image)
        except Exception as error:
            raise DocumentError(f"not a readable image: {error}") from error
