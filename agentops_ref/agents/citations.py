"""From the markers in a model's answer to citations that resolve.

A citation names document, version and page, and quotes the passage verbatim, so that a reader
(or a scorer) can check it without asking the model again. The quote is chosen by code: models
paraphrase when they are asked to quote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentops_ref.records import Citation, Hit

_MARKER = re.compile(r"\[(\d{1,2})\]")
_WORD = re.compile(r"[a-z0-9]+(?:[.,-][a-z0-9]+)*")
_PIECES = re.compile(r"(?<=[.!?])\s+|\n")


class Draft(NamedTuple):
    """What a model said: the answer and, when it was asked for them, its evidence."""

    text: str
    excerpt: int = 0
    """1-based number of the excerpt it used; 0 when it named none."""
    quote: str = ""
    """What it says stands there; to be checked, models paraphrase."""


def answer_schema(excerpts: int) -> dict[str, Any]:
    """Return the JSON schema of a structured answer over this many excerpts.

    The order matters: evidence is written before the answer, so that the answer follows from it.
    """
    return {
        "title": "answer",
        "type": "object",
        "properties": {
            "excerpt": {"type": "integer", "enum": list(range(excerpts + 1))},
            "quote": {"type": "string", "maxLength": 200},
            "answer": {"type": "string", "maxLength": 400},
        },
        "required": ["excerpt", "quote", "answer"],
        "additionalProperties": False,
    }


def read_draft(text: str) -> Draft:
    """Read a structured answer; text that is none is an answer without evidence."""
    try:
        said = json.loads(text)
        return Draft(str(said["answer"]).strip(), int(said["excerpt"]), str(said["quote"]))
    except (ValueError, TypeError, KeyError):
        return Draft(text.strip())


def words(text: str) -> set[str]:
    """Lower-case words and numbers; a decimal or a code such as ``NL-8`` stays one word."""
    return set(_WORD.findall(text.lower()))


def strip_markers(text: str) -> str:
    """Remove ``[1]``-style markers and the space before them."""
    return re.sub(r"\s*\[\d{1,2}\]", "", text).strip()


def support(answer: str, passage: str) -> float:
    """Share of the answer's words that the passage holds, 0..1; 0 for an empty answer."""
    wanted = words(strip_markers(answer))
    return len(wanted & words(passage)) / len(wanted) if wanted else 0.0


def best_quote(answer: str, hit: Hit) -> str:
    """Return the sentence or line of the hit that shares most words with the answer."""
    pieces = [piece.strip() for piece in _PIECES.split(hit.chunk.text) if piece.strip()]
    wanted = words(strip_markers(answer))
    return max(pieces, key=lambda piece: len(wanted & words(piece)), default=hit.chunk.text)


def cite(draft: Draft, hits: Sequence[Hit], *, min_support: float) -> tuple[Citation, ...]:
    """Resolve the excerpt that the model named, or the markers in its text, to citations.

    A number that points past the excerpts is dropped. When the model gave no usable one, the
    one excerpt that supports the answer best is cited, if it holds at least ``min_support`` of
    the answer's words; otherwise there is no citation, and the scorers see that.
    """
    answer = f"{draft.text} {draft.quote}"
    named = [draft.excerpt] if draft.excerpt else [int(n) for n in _MARKER.findall(draft.text)]
    numbers = list(dict.fromkeys(named))
    chosen = [hits[number - 1] for number in numbers if 1 <= number <= len(hits)]
    if not chosen and hits:
        best = max(hits, key=lambda hit: support(answer, _shown(hit)))
        if support(answer, _shown(best)) >= min_support:
            chosen = [best]
    return tuple(
        Citation(hit.chunk.document, hit.chunk.version, hit.chunk.page, best_quote(answer, hit))
        for hit in chosen
    )


def _shown(hit: Hit) -> str:
    return f"{hit.chunk.context}\n{hit.chunk.text}"
