"""What an expectation can be about: a value per document, or one per run. Taught in chapter 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.quality.language import guess
from agentops_ref.etl.quality.profile import DocumentProfile, words_of
from agentops_ref.records import Chunk

Value = float | str
Of = Literal["document", "change", "neighbours", "run"]
"""What a metric is measured on: a document alone; it and its accepted version; it and the others of
the run; the run as a whole."""
FEWEST_CHARS = 200
"""Accepted text below this is no base for a ratio: one line more doubles it."""


class Metric(NamedTuple):
    """One line of the catalogue."""

    of: Of
    meaning: str


class Fields(NamedTuple):
    """How much of what a document should give was found in it; for `extracted_share`."""

    found: int
    expected: int


METRICS: dict[str, Metric] = {
    "characters": Metric("document", "characters of text"),
    "characters_per_page": Metric("document", "characters a page, slide or sheet with text"),
    "words": Metric("document", "words"),
    "letters": Metric("document", "share of letters and digits among characters that are no space"),
    "ocr_confidence": Metric("document", "mean OCR confidence, where OCR read the document"),
    "ocr_lowest": Metric("document", "lowest OCR confidence of a passage"),
    "language": Metric("document", "ISO 639-1 code of the language, where there is enough text"),
    "mojibake": Metric("document", "misread or lost characters among those beyond ASCII"),
    "narrow_tables": Metric("document", "share of its tables that have one column only"),
    "ragged_rows": Metric("document", "share of table rows with more or fewer cells than the head"),
    "empty_cells": Metric("document", "share of table cells that are empty"),
    "headerless_tables": Metric("document", "share of its tables without words in the first row"),
    "chunks": Metric("document", "chunks"),
    "repeated_chunks": Metric("document", "share of its chunks whose text it has more than once"),
    "twins": Metric("neighbours", "other documents of the index with the same content or words"),
    "extracted_share": Metric("document", "share of the expected fields that were extracted"),
    "kept_text": Metric("change", "characters, as a multiple of the accepted version's"),
    "kept_words": Metric("change", "share of the accepted version's distinct words that are there"),
    "kept_cells": Metric("change", "table cells, as a multiple of the accepted version's"),
    "kept_language": Metric("change", "1 where the language is the accepted version's, else 0"),
    "kept_meaning": Metric("change", "cosine of the mean vectors of accepted and new version"),
    "cohesion": Metric("neighbours", "cosine of its chunks among each other, above that to others"),
    "vector_spread": Metric("run", "1 - mean cosine of two chunks; 0 where all vectors are equal"),
    "centroid_drift": Metric("run", "squared distance of new and accepted documents' mean vectors"),
}


def of_document(profile: DocumentProfile, fields: Fields | None = None) -> dict[str, Value]:
    """Return the metrics that a document has by itself; one that does not apply is left out."""
    tables = profile.tables
    found: dict[str, Value] = {
        "characters": profile.characters,
        "words": profile.words,
        "chunks": profile.chunks,
    }
    shares = {
        "characters_per_page": (profile.characters, profile.pages),
        "letters": (profile.letters, profile.symbols),
        "mojibake": (profile.damaged, profile.foreign),
        "narrow_tables": (tables.narrow, tables.tables),
        "headerless_tables": (tables.headerless, tables.tables),
        "ragged_rows": (tables.ragged, tables.rows),
        "empty_cells": (tables.empty, tables.cells),
        "repeated_chunks": (profile.repeated, profile.chunks),
        "extracted_share": fields or (0, 0),
    }
    found |= {name: part / whole for name, (part, whole) in shares.items() if whole}
    if profile.confidence is not None and profile.lowest is not None:
        found |= {"ocr_confidence": profile.confidence, "ocr_lowest": profile.lowest}
    if profile.language:
        found["language"] = profile.language
    return found


def of_change(
    old: Sequence[Chunk],
    old_vectors: Vectors,
    new: Sequence[Chunk],
    new_vectors: Vectors,
    *,
    same_model: bool,
) -> dict[str, Value]:
    """Compare a document with its accepted version, by what the index holds of it.

    Parameters
    ----------
    old_vectors, new_vectors
        Shape ``(chunks, dimensions)``.
    same_model
        Whether both were made by the same embedding recipe; otherwise they cannot be compared.

    Returns
    -------
    dict
        Nothing where the accepted version is too short to be a base (`FEWEST_CHARS`).
    """
    before, after = [c.text for c in old], [c.text for c in new]
    size = sum(map(len, before))
    if size < FEWEST_CHARS:
        return {}
    words = set(words_of(before))
    found: dict[str, Value] = {"kept_text": sum(map(len, after)) / size}
    if words:
        found["kept_words"] = len(words & set(words_of(after))) / len(words)
    if (cells := sum(text.count("|") for text in before)) >= 10:
        found["kept_cells"] = sum(text.count("|") for text in after) / cells
    if language := guess("\n".join(before)):
        found["kept_language"] = float(guess("\n".join(after)) == language)
    if same_model and len(old_vectors) and len(new_vectors):
        a, b = old_vectors.mean(axis=0), new_vectors.mean(axis=0)
        length = float(np.linalg.norm(a) * np.linalg.norm(b))
        found["kept_meaning"] = float(a @ b) / length if length else 0.0
    return found
