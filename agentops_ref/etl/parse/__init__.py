"""Documents of any common format -> elements in reading order.

Taught in chapter 3::

    bytes -> pdf | office | web | mail | text | image -> tuple[Element, ...]

A parser is chosen by the file's extension and loads its libraries when it is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import PurePosixPath
from typing import Protocol

from agentops_ref.errors import AgentOpsError, DocumentError, nearest
from agentops_ref.etl.recipe import Recipe
from agentops_ref.records import Element

PARSER_VERSION = "4"
"""Part of the ETL's recipe: raise it when a parser gives other elements for the same bytes."""

LIBRARIES = (
    "lxml",
    "markdown-it-py",
    "openpyxl",
    "pdfminer.six",
    "pdfplumber",
    "pypdfium2",
    "python-docx",
    "python-pptx",
    "unstructured",
)
"""What the parsers stand on; their versions are part of the recipe too."""

PARSERS = {
    ".pdf": "pdf:parse_pdf",
    ".docx": "office:parse_docx",
    ".pptx": "office:parse_pptx",
    ".xlsx": "sheets:parse_xlsx",
    ".html": "web:parse_html",
    ".htm": "web:parse_html",
    ".md": "web:parse_markdown",
    ".markdown": "web:parse_markdown",
    ".eml": "mail:parse_mail",
    ".txt": "text:parse_text",
    ".csv": "text:parse_csv",
    ".png": "image:parse_image",
    ".jpg": "image:parse_image",
    ".jpeg": "image:parse_image",
}
"""Extension -> module and function of this package, called with ``(name, data, ocr)``."""


class OcrLine(Protocol):
    """One line of text that was found in an image."""

    @property
    def text(self) -> str: ...

    @property
    def confidence(self) -> float:
        """0..1."""
        ...

    @property
    def box(self) -> Sequence[Sequence[float]]:
        """Four corners (x, y) in pixels, clockwise from the top left of the upright text."""
        ...


class Ocr(Protocol):
    """What the parsers need of an OCR engine."""

    def read(self, image_png: bytes, /) -> Sequence[OcrLine]: ...


def library_versions() -> dict[str, str]:
    """Return library → installed version, "" where it is missing."""
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = ""
    return versions


def recipe(ocr_recipe: str, **more: str) -> Recipe:
    """Return what decides the elements besides the bytes.

    ``ocr_recipe`` names the OCR model, ``more`` what else looks at pictures.
    """
    made_by = {"ocr": ocr_recipe, "libraries": library_versions(), **more}
    return Recipe("parse", PARSER_VERSION, made_by)


def parse(name: str, data: bytes, *, ocr: Ocr) -> tuple[Element, ...]:
    """Return the elements of the document ``name`` whose content is ``data``.

    Raises `DocumentError` for an unknown type, a broken file and a file without any text.
    Errors of the surroundings (a library or model that is missing) are raised as they are.
    """
    extension = PurePosixPath(name).suffix.lower()
    if extension not in PARSERS:
        raise DocumentError(
            f"{name}: no parser for '{extension}' files{nearest(extension, tuple(PARSERS))}"
        )
    if not data:
        raise DocumentError(f"{name}: the file is empty (0 bytes)")
    module, _, function = PARSERS[extension].partition(":")
    parser = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    try:
        elements: tuple[Element, ...] = tuple(parser(name, data, ocr))
    except (AgentOpsError, ImportError):
        raise
    except RecursionError:
        raise DocumentError(f"{name}: nested too deeply") from None
    except Exception as error:  # a broken file can make a library raise anything
        reason = " ".join(str(error).split())[:200] or "no details"
        raise DocumentError(
            f"{name}: not a readable {extension[1:]} file ({type(error).__name__}: {reason})"
        ) from error
    if not any(item.text for item in elements):
        raise DocumentError(f"{name}: no text found")
    return elements
