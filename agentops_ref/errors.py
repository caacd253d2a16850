"""Errors, split by who must act, each saying whether a retry can help.

A message names the input, what was expected and what to do, on one line where it fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any


class AgentOpsError(Exception):
    """Base of all errors that this package raises on purpose."""

    retryable: bool = False
    """Whether the same call may succeed later without anybody changing anything."""


class DeveloperError(AgentOpsError):
    """The calling code is wrong."""


class ConfigError(AgentOpsError):
    """A configuration value is wrong; its author must act. Names file, key and a nearby name."""


class OperatorError(AgentOpsError):
    """The surroundings are wrong (missing weights, full disk, locked index); the operator acts."""


class MissingExtra(OperatorError):
    """An optional library is not installed; names the extra that brings it."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: pip install 'agentops-ref[{extra}]'")


class NotRecorded(OperatorError):
    """A replayed model was asked something that was never recorded, and no weights are present."""


class TransientError(AgentOpsError):
    """A time-out, a refused connection, a busy server: trying again can help."""

    retryable = True


class AccessError(AgentOpsError):
    """Whoever asks may not: no token, one that is refused, or rights that do not reach so far."""


class ModelError(AgentOpsError):
    """The model's answer cannot be used (not the schema, an unknown tool)."""


class ContextOverflow(ModelError):
    """A prompt does not fit the model's context. Says both sizes, in tokens."""


class DocumentError(AgentOpsError):
    """One document cannot be used; its owner must act. It is quarantined, the others go on."""


class SyncRefused(OperatorError):
    """A sync would have done harm and changed nothing (mass deletion, failed listing)."""


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or the list of known names."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


_LONE = re.compile("[\\ud800-\\udfff]")
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")


def about(document: str, reason: str) -> str:
    """Return what failed as one line that a terminal shows as it is, whatever a name holds.

    Most reasons begin with the document's name already.
    """
    return printable(f"{document}: {reason.removeprefix(f'{document}: ')}")


def printable(text: str) -> str:
    """Put a text on one line; control characters, which a terminal would obey, become escapes.

    >>> printable("a\\nb \\x1b[2J")
    'a b \\\\x1b[2J'
    """
    flat = " ".join(text.split())
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), flat)


def reason(error: BaseException) -> str:
    """Return an error as one line: ours as they are written, others with their type."""
    try:
        text = printable(str(error))[:300]
    except Exception:  # an error's own text may fail
        text = ""
    if isinstance(error, AgentOpsError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def encodable(value: Any) -> Any:
    """Return a value in whose texts a lone half of a surrogate pair, which no file, log or socket
    takes, is the replacement character. Texts without one are as they were.

    >>> encodable({"said": "a\\ud800b"})
    {'said': 'a�b'}
    """
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {encodable(key): encodable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [encodable(one) for one in value]
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(encodable(one) for one in value)
    return value
