"""A whole message told as a stream: for models that have their answer at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk


def as_chunk(message: BaseMessage) -> AIMessageChunk:
    """Return a whole message as one chunk of a stream."""
    assert isinstance(message, AIMessage)
    return AIMessageChunk(
        content=message.content,
        additional_kwargs=message.additional_kwargs,
        tool_call_chunks=[
            {
                "name": call["name"],
                "args": json.dumps(call["args"]),
                "id": call["id"],
                "index": index,
                "type": "tool_call_chunk",
            }
            for index, call in enumerate(message.tool_calls)
        ],
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
    )


def in_pieces(message: BaseMessage) -> Iterator[ChatGenerationChunk]:
    """Yield the text word by word, the usage and everything else with the last word.

    A message with tool calls or with blocks comes in one piece.
    """
    last = as_chunk(message)
    if isinstance(last.content, str) and not last.tool_call_chunks:
        pieces = re.findall(r"\s*\S+\s*$|\s*\S+|\s+", last.content)
        for piece in pieces[:-1]:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        last = last.model_copy(update={"content": pieces[-1] if pieces else ""})
    yield ChatGenerationChunk(message=last)
