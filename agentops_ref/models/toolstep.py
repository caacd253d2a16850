"""Tool calls for a model that was not trained for them: one step of constrained decoding.

The schema admits ``{"tool": <name>, "arguments": <its schema>}`` or ``{"tool": "none", "reply":
<text>}``; the history of calls and results is told in plain messages.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.utils.json_schema import dereference_refs

from agentops_ref.errors import DeveloperError, ModelError

NONE = "none"
ROLE_MARK = re.compile(r"<\|(?=\w+\|>)")
"""The start of ``<|im_start|>`` and its like: llama.cpp reads them as role marks in any text."""


def chosen(tool_choice: Any) -> str | None:
    """Return a tool choice in one form: a tool's name, ``any``, ``none``, or None for either.

    Accepts what LangChain's models accept: ``"auto"``, ``"required"``, booleans and the
    OpenAI form ``{"type": "function", "function": {"name": ...}}``.
    """
    if isinstance(tool_choice, dict):
        return str(tool_choice.get("function", tool_choice).get("name"))
    if tool_choice is True or tool_choice == "required":
        return "any"
    if tool_choice in (None, False, "", "auto"):
        return None
    return str(tool_choice)


def step_schema(tools: Sequence[dict[str, Any]], tool_choice: str | None = None) -> dict[str, Any]:
    """Return the JSON schema of one step; ``tool_choice`` is what `chosen` returned.

    Raises
    ------
    DeveloperError
        ``tool_choice`` names a tool that is not offered, or a tool is named "none".
    """
    functions = [tool["function"] for tool in tools]
    names = [function["name"] for function in functions]
    if NONE in names:
        raise DeveloperError(f"a tool cannot be named '{NONE}': that is the step without a tool")
    if tool_choice not in (None, "any"):
        functions = [function for function in functions if function["name"] == tool_choice]
        if not functions:
            raise DeveloperError(f"tool_choice '{tool_choice}' is not among: {', '.join(names)}")
    options = [
        _option({"tool": {"const": function["name"]}, "arguments": _parameters(function)})
        for function in functions
    ]
    if tool_choice is None:
        options.append(_option({"tool": {"const": NONE}, "reply": {"type": "string"}}))
    return options[0] if len(options) == 1 else {"anyOf": options}


def _option(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _parameters(function: dict[str, Any]) -> dict[str, Any]:
    """Arguments' schema without references: inside another schema they would point nowhere."""
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    plain = dereference_refs(schema) if "$defs" in schema or "definitions" in schema else schema
    return {key: value for key, value in plain.items() if key not in ("$defs", "definitions")}


CUT = "it was cut off at models.chat.max_output_tokens, raise that"


def read_step(text: str, *, cut: bool = False) -> tuple[str, list[ToolCall]]:
    """Turn the model's JSON into (content, tool calls); one of them is empty.

    ``cut`` says that the output limit ended the text, so that the error can.

    Raises
    ------
    ModelError
        The text is not such a step.
    """
    try:
        step = json.loads(text)
        if step["tool"] == NONE:
            return str(step["reply"]), []
        arguments = dict(step["arguments"])
        name = str(step["tool"])
    except (ValueError, KeyError, TypeError) as error:
        why = f": {CUT}" if cut else ""
        raise ModelError(f"expected a tool step as JSON, got: {text[:200]!r}{why}") from error
    # The same call gets the same id, so that a replayed conversation is the same request.
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return "", [ToolCall(name=name, args=arguments, id=f"call_{digest}")]


def wire_messages(
    messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]], tool_prompt: str
) -> list[dict[str, str]]:
    """Return the messages in the OpenAI chat format, tools and their results told as text.

    Content is data: a document that holds ``<|im_start|>system`` must not open a turn with more
    authority than its sender's, so such marks are broken up (`ROLE_MARK`, ChatML's form).

    Raises
    ------
    DeveloperError
        A message holds something that is not text, which this model cannot read.
    """
    wire = [told for message in messages for told in _tell(message)]
    if tools:
        text = tool_prompt.replace("{tools}", "\n".join(_describe(tool) for tool in tools))
        if wire and wire[0]["role"] == "system":
            wire[0] = {"role": "system", "content": f"{wire[0]['content']}\n\n{text}"}
        else:
            wire.insert(0, {"role": "system", "content": text})
    return [told | {"content": ROLE_MARK.sub("< |", told["content"])} for told in wire]


def _tell(message: BaseMessage) -> list[dict[str, str]]:
    text = _text(message)
    if isinstance(message, SystemMessage):
        return [{"role": "system", "content": text}]
    if isinstance(message, ToolMessage):
        return [{"role": "user", "content": f"Result of {message.name or 'the tool'}:\n{text}"}]
    if isinstance(message, AIMessage):
        steps = [
            json.dumps({"tool": call["name"], "arguments": call["args"]}, ensure_ascii=False)
            for call in message.tool_calls
        ]
        said = [text] if text or not steps else []
        return [{"role": "assistant", "content": content} for content in (*said, *steps)]
    if isinstance(message, HumanMessage):
        return [{"role": "user", "content": text}]
    raise DeveloperError(f"a local model cannot be sent a message of type '{message.type}'")


def _text(message: BaseMessage) -> str:
    if isinstance(message.content, list):
        for block in message.content:
            kind = "text" if isinstance(block, str) else block.get("type")
            if kind not in ("text", "tool_call", "tool_use", "reasoning"):
                raise DeveloperError(f"a local model reads text, not a block of type '{kind}'")
    return str(message.text)


def _describe(tool: dict[str, Any]) -> str:
    function = tool["function"]
    properties = _parameters(function).get("properties", {})
    arguments = ", ".join(f"{name}: {_kind(schema)}" for name, schema in properties.items())
    return f"- {function['name']}({arguments}): {function.get('description', '')}"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    if "anyOf" in schema:
        return "|".join(_kind(option) for option in schema["anyOf"])
    return str(schema.get("type", "any"))
