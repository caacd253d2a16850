"""Secrets: named in YAML, looked up at the last moment, and never shown. Taught in chapter 7.

A configuration names a secret (``token_env: VARIABLE``, or ``${env:VARIABLE}`` within a text) and
never holds it. What was named is known here, and so are bearer tokens and JSON Web Tokens by their
look; `scrub` takes both out of whatever is about to be kept or shown.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from agentops_ref.errors import OperatorError

HIDDEN = "***"
SHORTEST = 6
"""Characters below which a value is not looked for: it would stand in harmless words as well."""
MOST = 100
"""Values that are remembered, the newest: tokens come and go, and each costs a look at a text."""

_REFERENCE = re.compile(r"\$\{env:(\w+)\}")
_ADDRESS = re.compile(r"(://[^:/@\s]*:)(\S+)@")
_SECRET_KEY = re.compile(r"(token|secret|password|api_?key|authorization)$", re.IGNORECASE)
_ENV_KEY = re.compile(r"_env$", re.IGNORECASE)
# By look: a JSON Web Token; what follows "Authorization:"; a bearer token, with a digit in it, so
# that "bearer certificates" stays.
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*")
_HEADER = re.compile(
    r"(authorization[\"']?\s*[:=,]\s*[\"']?(?:bearer|basic)\s+)[^\s\"',;\\]+", re.IGNORECASE
)
_BEARER = re.compile(r"\b(bearer\s+)(?=[\w.~+/=-]*\d)[\w.~+/=-]{12,}", re.IGNORECASE)

_variables: set[str] = set()
_values: dict[str, None] = {}


class Secret:
    """A text that shows itself as ``***`` to everything but `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        """Return the text, for the one place that sends it."""
        return self._value

    def __str__(self) -> str:
        return HIDDEN

    __repr__ = __str__

    def __format__(self, how: str) -> str:
        return format(HIDDEN, how)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled: name it, and look it up where it is needed")


def secret_of(variable: str, key: str) -> Secret:
    """Return the secret in an environment variable; ``key`` is the setting that names it.

    Raises
    ------
    OperatorError
        The variable is not set, or empty.
    """
    name(variable)
    value = os.environ.get(variable)
    if not value:
        raise OperatorError(f"{key}: the environment variable {variable} is not set")
    return Secret(value)


def resolved(value: Any, key: str) -> Any:
    """Return a value with each ``${env:VARIABLE}`` in its texts replaced by what it stands for.

    Raises
    ------
    OperatorError
        A variable is not set.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: secret_of(found[1], key).reveal(), value)
    if isinstance(value, Mapping):
        return {one: resolved(inner, f"{key}.{one}") for one, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, key) for inner in value]
    return value


def name(variable: str) -> None:
    """Let the value of an environment variable count as a secret, whenever it is set."""
    _variables.add(variable)


def remember(value: str) -> None:
    """Let a text count as a secret."""
    if len(value) < SHORTEST or _JWT.fullmatch(value):
        return  # a JSON Web Token is known by its look
    _values.pop(value, None)
    _values[value] = None
    while len(_values) > MOST:
        with suppress(KeyError, StopIteration, RuntimeError):  # another thread was first
            del _values[next(iter(_values))]


def learn(tree: Any, key: str = "") -> None:
    """Note every secret that a configuration names, or holds although it should not."""
    if isinstance(tree, Mapping):
        for one, value in tree.items():
            learn(value, str(one))
    elif isinstance(tree, list | tuple):
        for value in tree:
            learn(value, key)
    elif isinstance(tree, str):
        if _ENV_KEY.search(key):
            name(tree)
        for variable in _REFERENCE.findall(tree):
            name(variable)
        for _, password in _ADDRESS.findall(tree):
            if not _REFERENCE.search(password):
                remember(password)
        if is_secret_key(key) and not _REFERENCE.search(tree):
            remember(tree)


def is_secret_key(key: str) -> bool:
    """Whether a setting of this name holds a secret itself."""
    return bool(_SECRET_KEY.search(key)) and not _ENV_KEY.search(key)


def scrub(value: Any) -> Any:
    """Return a value without secrets: texts, and what mappings, lists and dataclasses hold of them.

    A value in which there is none is returned itself.

    >>> scrub("Authorization: Bearer abc123")
    'Authorization: Bearer ***'
    """
    if isinstance(value, str):
        return _scrubbed(value)
    if isinstance(value, bytes):
        shown = value.decode("utf-8", "surrogateescape")
        return value if (clean := _scrubbed(shown)) == shown else clean.encode()
    if isinstance(value, Mapping):
        made = {scrub(one): scrub(inner) for one, inner in value.items()}
        same = all(a is b for a, b in zip(made.values(), value.values(), strict=False))
        return value if same and made.keys() == value.keys() else made
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = [scrub(inner) for inner in value]
        return value if _same(parts, value) else type(value)(*parts)
    if isinstance(value, list | tuple | set | frozenset):
        parts = [scrub(inner) for inner in value]
        return value if _same(parts, value) else type(value)(parts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    return value


def _same(parts: list[Any], value: Any) -> bool:
    return all(a is b for a, b in zip(parts, value, strict=True))


def _fields(value: Any) -> Any:
    changed = {}
    for one in dataclasses.fields(value):
        held = getattr(value, one.name)
        if one.init and (clean := scrub(held)) is not held:
            changed[one.name] = clean
    return dataclasses.replace(value, **changed) if changed else value


def _known() -> Iterator[str]:
    found = {os.environ.get(variable, "") for variable in list(_variables)} | set(_values.copy())
    # The longest first: one secret may be the beginning of another.
    yield from sorted((one for one in found if len(one) >= SHORTEST), key=len, reverse=True)


def _scrubbed(text: str) -> str:
    clean = text
    for one in _known():
        for form in _forms(one):
            if form in clean:
                clean = clean.replace(form, HIDDEN)
    clean = _JWT.sub(HIDDEN, clean)
    clean = _HEADER.sub(rf"\1{HIDDEN}", clean)
    clean = _BEARER.sub(rf"\1{HIDDEN}", clean)
    return text if clean == text else clean


@lru_cache(1000)
def _forms(one: str) -> tuple[str, ...]:
    """Return how a secret may be written: as it is, within an address, within JSON."""
    import json

    quoted = json.dumps(one)[1:-1]
    return tuple(dict.fromkeys((one, quote(one, safe=""), quote(one), quoted)))


def guard_logs() -> None:
    """Let every log record of this process be scrubbed as it is made. Once is enough.

    Not a filter: one of a logger does not see its children's records, and one of a handler not
    those of the handlers that a library adds.
    """
    made = logging.getLogRecordFactory()
    if getattr(made, "scrubs", False):
        return

    def factory(*given: Any, **more: Any) -> logging.LogRecord:
        record = made(*given, **more)
        try:
            said = record.getMessage()
        except Exception:  # wrong arguments: logging says so itself
            return record
        if (clean := _scrubbed(said)) is not said:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[1] is not None:
            told = "".join(traceback.format_exception(record.exc_info[1]))
            if (clean := _scrubbed(told)) is not told:
                record.exc_info, record.exc_text = None, clean.rstrip()
        return record

    factory.scrubs = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(factory)
