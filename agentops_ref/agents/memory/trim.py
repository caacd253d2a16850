"""How much of a conversation a model is shown. Pure. Taught in chapter 6.

A turn is a user's message and all that follows it up to the next one: tool calls, their results,
the answer. Turns are kept or dropped whole, so that no tool call loses its result, which most
providers refuse, and no answer its question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

Count = Callable[[Sequence["BaseMessage"]], int]
"""Tokens that messages take in a prompt."""


class Trimmed(NamedTuple):
    """What is shown and what is left out; together they are the messages, in order."""

    kept: list[BaseMessage]
    dropped: list[BaseMessage]


def turns(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """Cut messages before each user's message; what comes before the first one is a turn too."""
    found: list[list[BaseMessage]] = []
    for message in messages:
        if not found or message.type == "human":
            found.append([])
        found[-1].append(message)
    return found


def trimmed(messages: Sequence[BaseMessage], budget: int, *, count: Count | None = None) -> Trimmed:
    """Keep the newest turns that fit.

    System messages at the beginning are always kept, and so is the newest turn, even if it is
    larger than the budget: without the user's question there is nothing to answer. No older turn
    is kept beyond one that did not fit, since a conversation with a hole misleads.

    Parameters
    ----------
    budget
        Tokens for all that is kept.
    count
        Tokens of messages; LangChain's estimate of four characters a token if not given.
    """
    if count is None:
        from langchain_core.messages.utils import count_tokens_approximately

        count = count_tokens_approximately
    start = next((i for i, m in enumerate(messages) if m.type != "system"), len(messages))
    head, groups = list(messages[:start]), turns(messages[start:])
    kept: list[BaseMessage] = groups.pop() if groups else []
    while groups and count([*head, *groups[-1], *kept]) <= budget:
        kept = [*groups.pop(), *kept]
    return Trimmed([*head, *kept], [message for group in groups for message in group])
