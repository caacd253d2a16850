"""A chat request as plain JSON, the key it is recorded under, and the answer that is kept with it.

What is written here decides whether a recording is found again: a change of any line that a key
depends on loses every recording made before.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)

from agentops_ref.errors import OperatorError
from agentops_ref.models.store import as_json, canonical, damaged, digest


def key_of(asked: dict[str, Any]) -> str:
    """Return the digest of a request; it does not depend on the order of keys.

    But for the properties of a schema: constrained decoding writes them in their order, so that
    another order is another request.
    """
    return digest(canonical({name: _ordered(value) for name, value in as_json(asked).items()}))


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: [[key, _ordered(schema)] for key, schema in inner.items()]
        if name == "properties" and isinstance(inner, dict)
        else _ordered(inner)
        for name, inner in value.items()
    }


def plain(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Messages as JSON; ids of tool calls become positions, since providers draw them at random."""
    positions: dict[str, int] = {}
    told: list[dict[str, Any]] = []
    for given in messages:
        # What was streamed and then put into the history is the message that it amounts to.
        message = message_chunk_to_message(given) if isinstance(given, BaseMessageChunk) else given
        entry: dict[str, Any] = {"role": message.type, "content": _content(message.content)}
        if message.name:
            entry["name"] = message.name
        if isinstance(message, ChatMessage):
            entry["as"] = message.role
        if isinstance(message, AIMessage) and message.tool_calls:
            for call in message.tool_calls:
                positions.setdefault(str(call["id"]), len(positions))
            entry["tool_calls"] = [[call["name"], call["args"]] for call in message.tool_calls]
        if isinstance(message, ToolMessage):
            entry["answers_call"] = positions.get(str(message.tool_call_id), -1)
        told.append(entry)
    return told


def _content(content: Any) -> Any:
    """Content without the ids that a provider draws for its blocks; tool calls stand elsewhere."""
    if isinstance(content, str):
        return content
    return [
        {name: value for name, value in block.items() if name not in ("id", "index")}
        if isinstance(block, dict)
        else block
        for block in content
        if not (isinstance(block, dict) and block.get("type") in ("tool_call", "tool_use"))
    ]


def messages_of(told: Sequence[dict[str, Any]]) -> list[BaseMessage]:
    """Return the messages that `plain` told, so that a recorded request can be asked again."""
    messages: list[BaseMessage] = []
    calls = 0
    for entry in told:
        content, name = entry["content"], entry.get("name")
        if entry["role"] == "system":
            messages.append(SystemMessage(content, name=name))
        elif entry["role"] == "human":
            messages.append(HumanMessage(content, name=name))
        elif entry["role"] == "chat":
            messages.append(ChatMessage(content=content, role=entry["as"], name=name))
        elif entry["role"] == "tool":
            call = f"call_{entry['answers_call']}"
            messages.append(ToolMessage(content, tool_call_id=call, name=name))
        elif entry["role"] == "ai":
            made = [
                {"name": tool, "args": arguments, "id": f"call_{calls + i}"}
                for i, (tool, arguments) in enumerate(entry.get("tool_calls", ()))
            ]
            calls += len(made)
            messages.append(AIMessage(content, tool_calls=made, name=name))
        else:
            raise OperatorError(f"a recorded message has the unknown role '{entry['role']}'")
    return messages


def as_answer(message: AIMessage) -> dict[str, Any]:
    """Return what is kept of an answer."""
    metadata = message.response_metadata
    parsed = message.additional_kwargs.get("parsed")
    record = {
        "content": message.content,
        "tool_calls": [[call["name"], call["args"], call["id"]] for call in message.tool_calls],
        "usage": dict(message.usage_metadata or {}),
        "finish_reason": metadata.get("finish_reason") or metadata.get("stop_reason") or "",
        "live_seconds": metadata["live_seconds"],
        "recorded_on": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    if metadata.get("cached_prompt"):
        record["cached_prompt"] = True
    if parsed is not None:
        record["parsed"] = (
            parsed.model_dump(mode="json") if hasattr(parsed, "model_dump") else parsed
        )
    return record


def restored(found: dict[str, Any], model_name: str, file: Path) -> AIMessage:
    """Return the recorded answer.

    Raises
    ------
    OperatorError
        The file lacks a part of it; names the file.
    """
    try:
        response = found["response"]
        parsed = response.get("parsed")
        return AIMessage(
            response["content"],
            additional_kwargs={} if parsed is None else {"parsed": parsed},
            tool_calls=[
                {"name": name, "args": args, "id": call}
                for name, args, call in response["tool_calls"]
            ],
            usage_metadata=response["usage"] or None,
            response_metadata={
                "model_name": model_name,
                "finish_reason": response["finish_reason"],
                "answered": "replay",
                "live_seconds": response["live_seconds"],
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(file, error) from error
