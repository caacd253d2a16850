"""A model as a scorer: one binary question about an answer and what the model was shown.

Taught in chapter 8. A judge is an instrument with an error of its own; what it says means something
once it has been held against labels. It is given a way to ask, and knows of no model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from agentops_ref.errors import ModelError, TransientError
from agentops_ref.records import Answer, Case, Score

Ask = Callable[[Mapping[str, str], Mapping[str, Any]], Any]
"""Called with what fills the prompt (excerpts, question, answer) and a JSON schema; returns the
object that the model wrote. Raises `ModelError` for what is no such object."""
Reason = Literal["none", "before"]
"""Whether the judge writes down why before it says what."""

_WORD = re.compile(r"[a-z0-9]+(?:[.,-][a-z0-9]+)*")
_PIECES = re.compile(r"(?<=[.!?])\s+|\n")
REASON_CHARS = 160
"""A reason that is longer costs more than the verdict is worth."""


class Judge:
    """Asks a model whether an answer meets a criterion; 1 is yes, 0 is no.

    Not applicable to abstentions and to answers without excerpts. What cannot be read, and a model
    that cannot be asked, is a score with an error.
    """

    def __init__(
        self,
        name: str,
        *,
        criterion: str,
        ask: Ask,
        recipe: str,
        reason: Reason,
        chars: int,
    ) -> None:
        """Make a judge.

        Parameters
        ----------
        criterion
            The question that is decided, in words; for people, the prompt says it to the model.
        recipe
            Names the prompt and the model exactly.
        chars
            Characters of excerpts that the judge is shown; see `trim`.
        """
        self.__name__ = self.__qualname__ = name
        self.criterion, self.reason, self.chars = criterion, reason, chars
        self._ask = ask
        decides = "\n".join([criterion, recipe, reason, str(chars)])
        self.digest = hashlib.sha256(decides.encode()).hexdigest()[:12]

    @property
    def schema(self) -> dict[str, Any]:
        """What the model must write, as a JSON schema; what stands first is written first."""
        fields: dict[str, Any] = {}
        if self.reason == "before":
            fields["reason"] = {"type": "string", "maxLength": REASON_CHARS}
        fields["verdict"] = {"type": "string", "enum": ["yes", "no"]}
        return {
            "title": "verdict",
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }

    def __call__(self, case: Case, answer: Answer) -> Score:
        """Judge one answer; the case's expectations are not looked at."""
        name = self.__name__
        if answer.abstained:
            return Score(name, None, "abstained")
        if not answer.hits:
            return Score(name, None, "no excerpts to hold the answer against")
        shown = [
            f"{hit.chunk.context}: {hit.chunk.text}" if hit.chunk.context else hit.chunk.text
            for hit in answer.hits
        ]
        values = {
            "excerpts": trim(shown, f"{case.question} {answer.text}", self.chars),
            "question": case.question,
            "answer": answer.text,
        }
        try:
            return self._read(self._ask(values, self.schema))
        except (ModelError, TransientError) as error:
            return Score(name, None, error=f"{type(error).__name__}: {error}")

    def _read(self, said: Any) -> Score:
        verdict = said.get("verdict") if isinstance(said, dict) else None
        if verdict not in ("yes", "no"):
            raise ModelError(f"expected a verdict yes or no, got {str(said)[:200]!r}")
        reason = str(said.get("reason", "")).strip()
        return Score(self.__name__, float(verdict == "yes"), reason or f"verdict: {verdict}")


def trim(excerpts: Sequence[str], about: str, chars: int) -> str:
    """Number the excerpts and keep of them what has most words in common with a text.

    Parameters
    ----------
    excerpts
        Each begins with a line that says what it is; that line stays with whatever is kept of it.
    about
        The question and the answer.
    chars
        Characters to keep, at least one; the first piece is kept even if it alone is longer.

    Returns
    -------
    str
        Sentences and table rows in their order, under the numbers that the excerpts have.
    """
    wanted = set(_WORD.findall(about.casefold()))
    pieces = [_PIECES.split(excerpt.strip()) for excerpt in excerpts]
    ranked = sorted(
        ((row, at) for row, found in enumerate(pieces) for at in range(len(found))),
        key=lambda place: -len(wanted & set(_WORD.findall(pieces[place[0]][place[1]].casefold()))),
    )
    kept: set[tuple[int, int]] = set()
    used = 0
    for row, at in ranked:
        added = {(row, 0), (row, at)} - kept
        size = sum(len(pieces[r][a]) + 1 for r, a in added)
        if kept and used + size > chars:
            continue
        kept |= added
        used += size
    lines = []
    for row, found in enumerate(pieces):
        text = "\n".join(piece for at, piece in enumerate(found) if (row, at) in kept)
        if text:
            lines.append(f"[{row + 1}] {text}")
    return "\n".join(lines)
