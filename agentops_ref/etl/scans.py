"""The images of a source that are read by OCR, as parsing hands them over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from agentops_ref.errors import DocumentError
from agentops_ref.etl.parse import OcrLine, parse
from agentops_ref.etl.sources import Source


class _Collector:
    """Stands where OCR stands and keeps what it is given to read."""

    def __init__(self) -> None:
        self.images: list[bytes] = []

    def read(self, image_png: bytes, /) -> tuple[OcrLine, ...]:
        self.images.append(image_png)
        return ()


def scans(source: Source, documents: Iterable[str]) -> Iterator[bytes]:
    """Yield the scanned pages and photos of ``documents``, each parsed when its turn comes.

    They are parsed again for it, since neither the index nor the cache keeps an image.
    """
    for document in documents:
        found = _Collector()
        with suppress(DocumentError):  # to a parser, a scan that nothing is read from is empty
            parse(document, source.read(document), ocr=found)
        yield from found.images
