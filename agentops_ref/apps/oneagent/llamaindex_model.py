"""A run's chat model behind LlamaIndex's interface.

With a hosted model one would install LlamaIndex's own client for it. Ours is a LangChain model, and
the adapter that LlamaIndex has for those passes no tools.
"""

from __future__ import annotations

import asyncio
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
from llama_index.core.base.llms.types import TextBlock, ToolCallBlock
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    CustomLLM,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from pydantic import PrivateAttr

from agentops_ref.agents.run import Run


class RunModel(CustomLLM):
    """Asks the model of a run, which has the tools bound already."""

    _run: Run = PrivateAttr()

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        reply = self._run.ask([as_langchain(message) for message in messages])
        return ChatResponse(message=as_llamaindex(reply))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await asyncio.to_thread(self.chat, messages)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.chat([ChatMessage(prompt)]).message.content or "")

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        yield self.complete(prompt)


def as_llamaindex(message: BaseMessage) -> ChatMessage:
    """Return a LangChain message as LlamaIndex has it."""
    if isinstance(message, ToolMessage):
        answers = {"tool_call_id": message.tool_call_id, "name": message.name}
        return ChatMessage(message.text, role=MessageRole.TOOL, additional_kwargs=answers)
    if isinstance(message, AIMessage):
        calls = [
            ToolCallBlock(tool_call_id=call["id"], tool_name=call["name"], tool_kwargs=call["args"])
            for call in message.tool_calls
        ]
        return ChatMessage([TextBlock(text=message.text), *calls], role=MessageRole.ASSISTANT)
    role = MessageRole.SYSTEM if isinstance(message, SystemMessage) else MessageRole.USER
    return ChatMessage(message.text, role=role)


def as_langchain(message: ChatMessage) -> BaseMessage:
    """Return a LlamaIndex message as LangChain has it."""
    text = message.content or ""
    if message.role is MessageRole.TOOL:
        return ToolMessage(text, **message.additional_kwargs)
    if message.role is MessageRole.ASSISTANT:
        return AIMessage(text, tool_calls=tool_calls(message))
    return SystemMessage(text) if message.role is MessageRole.SYSTEM else HumanMessage(text)


def tool_calls(message: ChatMessage) -> list[ToolCall]:
    """Return the tools that a message calls."""
    return [
        ToolCall(name=block.tool_name, args=block.tool_kwargs, id=block.tool_call_id)
        for block in message.blocks
        if isinstance(block, ToolCallBlock) and isinstance(block.tool_kwargs, dict)
    ]
