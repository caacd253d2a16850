"""Arguments are judged by a tool's JSON schema, and a model is told what is wrong with them.

Taught in chapter 6. A message names the argument, what was expected and what was given, since the
model that reads it is the one that can mend it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from agentops_ref.errors import DeveloperError, nearest

SHOWN = 3
"""Errors that a message lists; a model mends a few at a time."""


def validator_of(schema: Mapping[str, Any], tool: str) -> Any:
    """Return a validator of a tool's arguments.

    Raises
    ------
    DeveloperError
        It is no JSON schema.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise DeveloperError(
            f"tool {tool}: its parameters are no JSON schema: {error.message}"
        ) from None
    if schema.get("type", "object") != "object":
        raise DeveloperError(f"tool {tool}: its parameters must be an object's schema")
    # An empty registry: by default a reference to another host would be fetched from there.
    return Draft202012Validator(schema, registry=Registry())


def wrong(arguments: Any, validator: Any) -> str:
    """Return what is wrong with arguments, for the model that gave them; "" when nothing is."""
    if not isinstance(arguments, Mapping):
        return f"expected an object of arguments, got {_shown(arguments)}"
    found: list[str] = []
    for error in validator.iter_errors(arguments):
        found.extend(islice(_messages(error), SHOWN))
        if len(found) >= SHOWN:
            break
    return "; ".join(dict.fromkeys(found))


def _messages(error: Any) -> Iterator[str]:
    where = ".".join(str(step) for step in error.absolute_path)
    within = f"{where}." if where else ""
    properties = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        for name in missing:
            expected = _hint(properties.get(name, {}))
            yield f"argument '{within}{name}' is missing: expected {expected}"
    elif error.validator == "additionalProperties" and error.validator_value is False:
        for name in error.instance:
            if name not in properties:
                known = nearest(name[:100], tuple(properties)) or "; it takes none"
                yield f"there is no argument '{within}{name[:100]}'{known}"
    else:
        hint = _hint(error.schema)
        yield (
            f"argument '{where or 'arguments'}': expected {hint}, got {_shown(error.instance)}"
            + (f" ({error.message[:160]})" if error.validator not in ("type", "enum") else "")
        )


def _hint(schema: Any) -> str:
    """Say in a few words what a schema wants."""
    if not isinstance(schema, Mapping) or not schema:
        return "a value"
    if "enum" in schema:
        kind = "one of " + ", ".join(_shown(one) for one in schema["enum"])
    elif "const" in schema:
        kind = _shown(schema["const"])
    elif "anyOf" in schema:
        kind = " or ".join(_hint(one) for one in schema["anyOf"])
    else:
        named = schema.get("type", "value")
        kind = " or ".join(named) if isinstance(named, list) else str(named)
        kind += f" ({schema['format']})" if "format" in schema else ""
    about = schema.get("description", "")
    return (f"{kind}, {about}" if about else kind)[:300]


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)[:80]
