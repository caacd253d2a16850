"""What a guard is, and the one type of decision. Taught in chapter 7."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agentops_ref.agents.request import Request

Channel = Literal["user", "document", "tool", "answer"]
"""Where a text comes from; facts of long-term memory count as documents."""
Verdict = Literal["pass", "redact", "block", "ask"]
OnHit = Literal["redact", "block", "ask"]
REMOVED = "[removed]"
"""Stands for what a guard took out of a text."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a text."""

    verdict: Verdict
    text: str
    """As it may go on; of a text that is blocked, nothing."""
    reasons: tuple[str, ...] = ()
    """What was found: the guard's name, and the rule or kind."""

    @property
    def stopped(self) -> bool:
        """Whether the text may not go on."""
        return self.verdict in ("block", "ask")


@dataclass(frozen=True, slots=True)
class Context:
    """What a guard may know beside the text. It comes from code, never from a model."""

    request: Request = field(default_factory=Request)
    question: str = ""
    """What was asked: of a tool's result, the arguments of the call."""
    shown: tuple[str, ...] = ()
    """What the model was shown before it said an answer: excerpts, facts, results of tools."""


class Guard(Protocol):
    """Looks at one text. It changes nothing and remembers nothing."""

    def check(self, text: str, channel: Channel, context: Context) -> Decision: ...


def passed(text: str) -> Decision:
    """Let a text go on as it is."""
    return Decision("pass", text)


def hit(on_hit: OnHit, reasons: Sequence[str], redacted: str = REMOVED) -> Decision:
    """Return the decision on a text in which something was found.

    ``redacted`` is the text without it; a guard that cannot say which part it is removes all.
    """
    return Decision(on_hit, redacted if on_hit == "redact" else "", tuple(dict.fromkeys(reasons)))
