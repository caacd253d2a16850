"""The way with a model: a record type becomes a form, a filled form candidates.

Taught in chapter 3. Decoding is constrained to the form's JSON schema, so an answer is well formed;
whether it is right is another matter, and `check` looks at every value. A model is asked to copy
words, not to choose a name: which choice they are, code decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from agentops_ref.errors import ModelError
from agentops_ref.etl.extract.grounded import has_quantity
from agentops_ref.etl.extract.records import Candidate
from agentops_ref.etl.extract.schema import ModelWay, RecordType
from agentops_ref.records import Element

NUMBER = "^-?[0-9]+([.][0-9]+)?$"
TEXT_LENGTH, UNIT_LENGTH, ITEMS = 60, 12, 8
"""Characters and items that a form has room for, so that no answer goes on for ever."""


class Ask(Protocol):
    """A chat model with its prompts, as the wiring makes it."""

    def recipe(self, prompt: str) -> str:
        """Return what decides the answers: the model, its settings, the prompt's text."""
        ...

    def __call__(self, prompt: str, schema: Mapping[str, Any], document: str) -> Any:
        """Return the model's answer, JSON of the schema.

        Raises
        ------
        ModelError
            The answer cannot be used; asking again would give the same.
        OperatorError
            The model cannot be asked here.
        """
        ...


def schema_of(type_: RecordType, way: ModelWay) -> dict[str, Any]:
    """Return the JSON schema of a list of the type's records, with the way's fields."""
    properties: dict[str, Any] = {}
    for name, pattern in way.fields.items():
        field = type_.fields[name]
        text: dict[str, Any] = {"type": "string", "maxLength": TEXT_LENGTH}
        if field.type == "number":
            text = {"type": "string", "pattern": NUMBER}
        if pattern is not None:
            text = {"type": "string", "pattern": pattern}
        if field.type == "list":
            properties[name] = {"type": "array", "maxItems": ITEMS, "items": text}
        else:
            properties[name] = text
        if field.unit:
            properties[f"{name}_unit"] = {"type": "string", "maxLength": UNIT_LENGTH}
    record = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "title": type_.name,
        "type": "object",
        "properties": {"records": {"type": "array", "maxItems": way.most, "items": record}},
        "required": ["records"],
        "additionalProperties": False,
    }


def can_hold(type_: RecordType, way: ModelWay, elements: Sequence[Element]) -> bool:
    """Whether a document can have a record of the type, so that asking is worth its price.

    False where a required number could stand nowhere, since no number of the document has a unit
    that it may have: whatever a model said, `check` would reject it.
    """
    for name in way.fields:
        field = type_.fields[name]
        if field.required and field.unit:
            texts = [element.text for element in elements]
            if not any(has_quantity(text, field.unit) for text in texts):
                return False
    return True


def text_of(elements: Sequence[Element]) -> str:
    """Return what a model is shown of a document: its elements, one below the other."""
    return "\n".join(element.text for element in elements if element.text)


def from_form(type_: RecordType, way: ModelWay, answer: Any) -> Iterator[Candidate]:
    """Yield a candidate for each record of a filled form.

    Raises
    ------
    ModelError
        The answer is not of the form's schema, as a provider without constrained decoding gives.
    """
    records = answer.get("records") if isinstance(answer, Mapping) else None
    if not isinstance(records, list) or not all(isinstance(one, Mapping) for one in records):
        raise ModelError(f"expected an object with a list of records, got {str(answer)[:80]}")
    for one in records:
        printed: dict[str, str | tuple[str, ...]] = {}
        units: dict[str, str] = {}
        for name in way.fields:
            value = one.get(name)
            if isinstance(value, list):
                value = tuple(str(item) for item in value if str(item).strip())
            elif value is not None:
                value = str(value).strip()
            if value:
                printed[name] = value
            unit = str(one.get(f"{name}_unit") or "").strip()
            if unit and type_.fields[name].unit:
                units[name] = re.sub(r"\s+", " ", unit)
        if printed:
            yield Candidate(type_.name, "model", {**printed, **way.set}, units)
