"""Structured output by constrained decoding: a JSON schema in, an object of it out."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel

from agentops_ref.errors import ModelError
from agentops_ref.models.toolstep import CUT


def response_format(schema: Any) -> dict[str, Any]:
    """Return the OpenAI-style ``response_format`` of a pydantic class, TypedDict or JSON schema."""
    plain = schema if isinstance(schema, dict) and "title" not in schema else None
    made = convert_to_json_schema(schema) if plain is None else plain
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": made}}


def structured(model: BaseChatModel, schema: Any, *, include_raw: bool) -> Runnable[Any, Any]:
    """Bind the schema to the model and parse what it writes.

    With ``include_raw`` the result is a dictionary of ``raw``, ``parsed`` and ``parsing_error``,
    as LangChain's own models return it; else an answer that does not fit raises `ModelError`.
    """
    bound = model.bind(response_format=response_format(schema))
    parse: Runnable[AIMessage, Any] = RunnableLambda(_reader(schema))
    if not include_raw:
        return bound | parse
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parse, parsing_error=lambda _: None
    ).with_fallbacks(
        [RunnablePassthrough.assign(parsed=lambda _: None)], exception_key="parsing_error"
    )
    return RunnableMap(raw=bound) | parsed


def _reader(schema: Any) -> Callable[[AIMessage], Any]:
    is_class = isinstance(schema, type) and issubclass(schema, BaseModel)
    parser: Any = PydanticOutputParser(pydantic_object=schema) if is_class else JsonOutputParser()

    def read(message: AIMessage) -> Any:
        try:
            return parser.invoke(message)
        except ValueError as error:
            cut = message.response_metadata.get("finish_reason") == "length"
            why = CUT if cut else str(error)[:200]
            raise ModelError(
                f"expected JSON of the schema, got {message.text[:200]!r}: {why}"
            ) from error

    return read
