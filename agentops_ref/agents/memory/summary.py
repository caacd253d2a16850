"""What was trimmed stays as a summary; a follow-up question is made to stand alone.

Taught in chapter 6. Both are one model call, and none where there is nothing to do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from agentops_ref.agents.limits import Limits
from agentops_ref.agents.memory.ask import Ask, transcript
from agentops_ref.errors import ModelError
from agentops_ref.records import Usage

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_CODE = re.compile(r"(?:\w[\w-]*)?\d(?:[\w.,/:-]*\w)?")
_LONGER = 400
"""Characters by which a rewritten question may be longer than the question."""


class Summary(NamedTuple):
    """A summary and what it cost to extend it."""

    text: str
    usage: Usage


class Summariser:
    """Extends a summary by what was said since. What it says already is not asked for again.

    Parameters
    ----------
    ask
        Filled with {summary} (so far) and {turns} (to be added).
    most
        Characters of a summary. A longer one is condensed: one more call, of the summary alone.
    """

    def __init__(self, ask: Ask, *, most: int) -> None:
        self._ask, self._most = ask, most

    def extend(
        self, summary: str, dropped: Sequence[BaseMessage], *, limits: Limits | None = None
    ) -> Summary:
        """Return the summary with the dropped messages in it; asks nothing if there are none.

        Raises
        ------
        ModelError
            The model gave nothing; the messages must be kept.
        """
        said = transcript(dropped)
        if not said:
            return Summary(summary, Usage())
        text, usage = self._ask(summary=summary or "(nothing yet)", turns=said, limits=limits)
        known = summary.splitlines()
        added = [line for line in text.splitlines() if line.strip() and line not in known]
        if not text:
            raise ModelError("the summary of a conversation came back empty")
        longer = "\n".join([*known, *added])
        if len(longer) <= self._most:
            return Summary(longer, usage)
        condensed, more = self._ask(summary="(nothing yet)", turns=longer, limits=limits)
        if not condensed:
            raise ModelError("the condensed summary of a conversation came back empty")
        return Summary(condensed[: self._most], usage + more)


class Standing(NamedTuple):
    """A question that stands alone, what it cost, and whether the model's words were taken."""

    text: str
    usage: Usage
    rewritten: bool


class Standalone:
    """Makes a follow-up question stand alone: "And the NL-12?" → "What does the NL-12 weigh?"."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __call__(
        self,
        question: str,
        history: Sequence[BaseMessage],
        *,
        summary: str = "",
        limits: Limits | None = None,
    ) -> Standing:
        """Return the question for a search that knows no history.

        Without history nothing is asked. The question stays as it is if the rewritten one drops a
        code or number of it, has one that was never mentioned, or is no question's length: an
        invented serial number would fetch somebody else's unit.
        """
        before = "\n".join(part for part in (summary, transcript(history)) if part)
        if not before:
            return Standing(question, Usage(), False)
        text, usage = self._ask(history=before, question=question, limits=limits)
        text = " ".join(text.split())
        mentioned = codes(f"{before}\n{question}")
        sound = text and len(text) <= len(question) + _LONGER
        if sound and codes(question) <= codes(text) <= mentioned:
            return Standing(text, usage, text != question)
        return Standing(question, usage, False)


def codes(text: str) -> frozenset[str]:
    """Return what has a digit in it, in capitals: "NL-8", "17", "E41"."""
    return frozenset(found[0].upper() for found in _CODE.finditer(text))
