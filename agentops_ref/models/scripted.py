"""Models for unit tests: no weights, no recordings, the same answer every time.

Exported from `agentops_ref.testing`; mode ``scripted`` uses them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from agentops_ref.models.ocr import OcrLine

Script = Callable[[Sequence[BaseMessage]], AIMessage | str]


class ScriptedChat(BaseChatModel):
    """Answers from a list, or by a function of the messages, and remembers what it was asked.

    Without a script it repeats the first excerpt's marker and text, which is enough for a chain
    to produce an answer with a citation.
    """

    name: str | None = "scripted"
    replies: list[AIMessage | str | Exception] = Field(default_factory=list)
    """Used up in order; an exception is raised."""
    script: Script | None = None
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    bound: list[dict[str, Any]] = Field(default_factory=list)
    """Tools that were offered, in the OpenAI format."""

    @property
    def _llm_type(self) -> str:
        return "agentops-scripted"

    def bind_tools(
        self, tools: Sequence[Any], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        self.bound[:] = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=list(self.bound), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.asked.append(list(messages))
        reply: AIMessage | str | Exception
        if self.script is not None:
            reply = self.script(messages)
        elif self.replies:
            reply = self.replies.pop(0)
        else:
            reply = _echo(messages)
        if isinstance(reply, Exception):
            raise reply
        message = AIMessage(reply) if isinstance(reply, str) else reply.model_copy()
        read = sum(len(asked.text.split()) for asked in messages)
        written = len(message.text.split())
        message.usage_metadata = {
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
        }
        message.response_metadata = {"model_name": "scripted", "answered": "scripted"}
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        from agentops_ref.models.local import as_chunk

        message = self._generate(messages, stop, run_manager, **kwargs).generations[0].message
        yield ChatGenerationChunk(message=as_chunk(message))


def _echo(messages: Sequence[BaseMessage]) -> str:
    found = re.search(r"\[1\] .*?: (.+)", messages[-1].text)
    return f"{found[1]} [1]" if found else "scripted answer"


class HashEmbeddings(Embeddings):
    """Bag of words hashed into a vector of length 1: texts that share words are near."""

    def __init__(self, dimensions: int = 384) -> None:
        self.dimensions = dimensions
        self.recipe = f"hash/{dimensions}"
        self.embedded = 0
        """How many texts were embedded; work is counted with it."""

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        self.embedded += len(texts)
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._vector(text)

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in re.findall(r"\w+", text.lower()):
            place = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big")
            vector[place % self.dimensions] += 1.0
        length = math.sqrt(sum(value * value for value in vector)) or 1.0
        return [value / length for value in vector]


class ScriptedOcr:
    """Reads every image as the same lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines or ("scripted line",)

    def read(self, image: bytes) -> tuple[OcrLine, ...]:
        return tuple(
            OcrLine(text, 1.0, ((0, 20 * i), (400, 20 * i), (400, 20 * i + 16), (0, 20 * i + 16)))
            for i, text in enumerate(self.lines)
        )
