"""Tool calls for a model that was not trained for them: one step of constrained decoding.

The schema admits ``{"tool": <name>, "arguments": <its schema>}`` or ``{"tool": "none", "reply":
<text>}``; the history of calls and results is told in plain messages.
"""

from __future__ import annotations

import hashlib
import json
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

from agentops_ref.errors import ModelError

NONE = "none"


def step_schema(tools: Sequence[dict[str, Any]], tool_choice: str | None = None) -> dict[str, Any]:
    """Return the JSON schema of one step.

    Raises
    ------
    ModelError
        ``tool_choice`` names a tool that is not offered.
    """
    functions = [tool["function"] for tool in tools]
    forced = tool_choice in ("any", "required", "auto") or tool_choice is None
    if not forced:
        functions = [function for function in functions if function["name"] == tool_choice]
        if not functions:
            raise ModelError(f"tool_choice '{tool_choice}' is not among the tools offered")
    options: list[dict[str, Any]] = [
        {
            "type": "object",
            "properties": {
                "tool": {"const": function["name"]},
                "arguments": function.get("parameters") or {"type": "object"},
            },
            "required": ["tool", "arguments"],
            "additionalProperties": False,
        }
        for function in functions
    ]
    if tool_choice in (None, "auto"):
        options.append(
            {
                "type": "object",
                "properties": {"tool": {"const": NONE}, "reply": {"type": "string"}},
                "required": ["tool", "reply"],
                "additionalProperties": False,
            }
        )
    return options[0] if len(options) == 1 else {"anyOf": options}


def read_step(text: str) -> tuple[str, list[ToolCall]]:
    """Turn the model's JSON into (content, tool calls); one of them is empty.

    Raises
    ------
    ModelError
        The text is not such a step, usually because it was cut off at the output limit.
    """
    try:
        step = json.loads(text)
        if step["tool"] == NONE:
            return str(step["reply"]), []
        arguments = step["arguments"]
        name = str(step["tool"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"expected a tool step as JSON, got: {text[:200]!r}") from error
    # The same call gets the same id, so that a replayed conversation is the same request.
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return "", [ToolCall(name=name, args=arguments, id=f"call_{digest}")]


def wire_messages(
    messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]], tool_prompt: str
) -> list[dict[str, str]]:
    """Return the messages in the OpenAI chat format, tools and their results told as text."""
    wire: list[dict[str, str]] = []
    for message in messages:
        if isinstance(message, SystemMessage):
            wire.append({"role": "system", "content": message.text})
        elif isinstance(message, HumanMessage):
            wire.append({"role": "user", "content": message.text})
        elif isinstance(message, ToolMessage):
            told = f"Result of {message.name or 'the tool'}:\n{message.text}"
            wire.append({"role": "user", "content": told})
        elif isinstance(message, AIMessage) and message.tool_calls:
            for call in message.tool_calls:
                step = {"tool": call["name"], "arguments": call["args"]}
                wire.append({"role": "assistant", "content": json.dumps(step)})
        else:
            wire.append({"role": "assistant", "content": message.text})
    if tools:
        told = tool_prompt.replace("{tools}", "\n".join(_describe(tool) for tool in tools))
        if wire and wire[0]["role"] == "system":
            wire[0] = {"role": "system", "content": f"{wire[0]['content']}\n\n{told}"}
        else:
            wire.insert(0, {"role": "system", "content": told})
    return wire


def _describe(tool: dict[str, Any]) -> str:
    function = tool["function"]
    properties = (function.get("parameters") or {}).get("properties", {})
    arguments = ", ".join(
        f"{name}: {schema.get('type', 'any')}" for name, schema in properties.items()
    )
    return f"- {function['name']}({arguments}): {function.get('description', '')}"
