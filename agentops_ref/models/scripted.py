"""Models for unit tests: no weights, no recordings, the same answer every time.

Exported from `agentops_ref.testing`; mode ``scripted`` uses them.
"""

from __future__ import annotations

import hashlib
import itertools
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
from pydantic import Field, PrivateAttr, SkipValidation

from agentops_ref.errors import DeveloperError
from agentops_ref.models.ocr import OcrLine
from agentops_ref.models.stream import in_pieces
from agentops_ref.models.structured import structured

Script = Callable[[Sequence[BaseMessage]], AIMessage | str]


class ScriptedChat(BaseChatModel):
    """Answers from a list, or by a function of the messages, and remembers what it was asked.

    Without either it repeats the first excerpt's marker and text, which is enough for a chain to
    produce an answer with a citation.
    """

    name: str | None = "scripted"
    replies: list[SkipValidation[AIMessage | str | Exception]] | None = None
    """Given in order; an exception is raised; asking once more than there are replies is wrong."""
    script: Script | None = Field(default=None, exclude=True, repr=False)
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    """The messages of every call, in order."""
    given: list[dict[str, Any]] = Field(default_factory=list)
    """What was given with each of them: tools, response format, ..."""
    bound: list[dict[str, Any]] = Field(default_factory=list)
    """The tools that were offered last, in the OpenAI format."""
    _next: Iterator[int] = PrivateAttr(default_factory=itertools.count)

    @property
    def _llm_type(self) -> str:
        return "agentops-scripted"

    def bind_tools(
        self, tools: Sequence[Any], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Remember the tools; whether one is called is up to the script."""
        self.bound[:] = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=list(self.bound), **kwargs)

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Parse the replies, which are then JSON texts."""
        return structured(self, schema, include_raw=include_raw)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.asked.append(list(messages))
        self.given.append(kwargs)
        reply = self._reply(messages)
        if isinstance(reply, Exception):
            raise reply
        message = AIMessage(reply) if isinstance(reply, str) else reply.model_copy()
        text = message.content
        if isinstance(text, str):
            ends = [at for word in stop or () if (at := text.find(word)) >= 0]
            message.content = text = text[: min(ends)] if ends else text
        read = sum(len(told.text.split()) for told in messages)
        written = len(message.text.split())
        message.usage_metadata = message.usage_metadata or {
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
        }
        message.response_metadata = {
            "finish_reason": "tool_calls" if message.tool_calls else "stop",
            "live_seconds": 0.0,
            **message.response_metadata,
            "model_name": "scripted",
            "answered": "scripted",
        }
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _reply(self, messages: Sequence[BaseMessage]) -> AIMessage | str | Exception:
        if self.script is not None:
            return self.script(messages)
        if self.replies is None:
            return _echo(messages)
        turn = next(self._next)
        if turn >= len(self.replies):
            raise DeveloperError(f"the script has {len(self.replies)} replies, one more was asked")
        return self.replies[turn]

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from in_pieces(self._generate(messages, stop, **kwargs).generations[0].message)


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
        """Embed texts and count them."""
        self.embedded += len(texts)
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Embed one text, uncounted."""
        return self._vector(text)

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in re.findall(r"\w+", text.lower()):
            place = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big")
            vector[place % self.dimensions] += 1.0
        length = math.sqrt(sum(value * value for value in vector)) or 1.0
        return [value / length for value in vector]


class ScriptedOcr:
    """Reads every image as the same lines; counts how many it read."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines or ("scripted line",)
        self.recipe = f"scripted/{'|'.join(self.lines)}"
        self.images = 0

    def read(self, image: bytes) -> tuple[OcrLine, ...]:
        """Return the lines, one below another."""
        self.images += 1
        return tuple(
            OcrLine(text, 1.0, ((0, 20 * i), (400, 20 * i), (400, 20 * i + 16), (0, 20 * i + 16)))
            for i, text in enumerate(self.lines)
        )
