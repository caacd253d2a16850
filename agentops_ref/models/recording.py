"""Recorded models: real answers of a named model, recorded once and replayed.

Taught in chapter 1. The wrappers below stand in front of any LangChain chat model, embedding
model or OCR engine. A request is keyed by the model's digest and everything that decides the
answer. What was recorded is replayed; what was not goes to the live model when that can run, and
is otherwise an error that names the two ways out.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import PrivateAttr

from agentops_ref.errors import NotRecorded, OperatorError
from agentops_ref.models.ocr import Ocr, OcrLine
from agentops_ref.models.store import JsonStore, VectorStore, canonical, digest

Mode = Literal["live", "replay", "record"]
MATTERS = ("tools", "tool_choice", "response_format", "temperature", "max_tokens", "seed")
"""Keyword arguments of a call that decide its answer."""


class RecordedChat(BaseChatModel):
    """A chat model in front of another one, which is made only when it has to answer."""

    name: str | None = "recorded"
    model_name: str
    model_digest: str
    """Names the weights (or the endpoint) exactly; part of every key."""
    parameters: dict[str, Any]
    """Sampling parameters that are part of every key."""
    mode: Mode
    folder: Path
    make: Callable[[], BaseChatModel]
    """Makes the live model; cheap, it must not load weights before its first call."""
    _live: BaseChatModel | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "agentops-recorded"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "mode": self.mode, **self.parameters}

    @property
    def live(self) -> BaseChatModel:
        if self._live is None:
            self._live = self.make()
        return self._live

    @property
    def _store(self) -> JsonStore:
        return JsonStore(self.folder / "chat" / self.model_name)

    def bind_tools(
        self, tools: Sequence[Any], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind as the live model would: its own keyword arguments, on this wrapper."""
        bound = self.live.bind_tools(tools, **kwargs)
        assert isinstance(bound, RunnableBinding)
        return self.bind(**bound.kwargs)

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Bind as the live model would; the recorded text goes through the same parser."""
        sequence: Any = self.live.with_structured_output(schema, include_raw=include_raw, **kwargs)
        bound = sequence.first
        assert isinstance(bound, RunnableBinding)
        rest: Any = sequence.last
        for step in reversed(sequence.middle):
            rest = step | rest
        whole: Runnable[LanguageModelInput, Any] = self.bind(**bound.kwargs) | rest
        return whole

    def request(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Everything that decides the answer, as plain JSON; its digest is the key."""
        asked: dict[str, Any] = {
            "model": {"name": self.model_name, "digest": self.model_digest, **self.parameters},
            "messages": _plain(messages),
        }
        if stop:
            asked["stop"] = stop
        asked |= {name: kwargs[name] for name in MATTERS if kwargs.get(name) is not None}
        return asked

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        asked = self.request(messages, stop, kwargs)
        key = digest(canonical(asked))
        found = None if self.mode == "live" else self._store.get(key)
        if found is not None:
            replayed = _restore(found, self.model_name)
            return ChatResult(generations=[ChatGeneration(message=replayed)])
        try:
            result = self.live._generate(messages, stop, run_manager, **kwargs)
        except OperatorError as error:
            raise self._missing(messages, error) from error
        message = result.generations[0].message
        message.response_metadata = {
            **message.response_metadata,
            "model_name": self.model_name,
            "answered": "live",
        }
        if self.mode == "record":
            assert isinstance(message, AIMessage)
            self._store.put(key, {"request": asked, "response": _record(message)})
        return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        from agentops_ref.models.local import as_chunk

        if self.mode == "live":
            yield from self.live._stream(messages, stop, run_manager, **kwargs)
            return
        message = self._generate(messages, stop, run_manager, **kwargs).generations[0].message
        whole = as_chunk(message)
        pieces = _pieces(message.text) if not whole.tool_call_chunks else []
        for piece in pieces[:-1]:
            if run_manager:
                run_manager.on_llm_new_token(piece)
            yield ChatGenerationChunk(message=type(whole)(content=piece))
        last = whole.model_copy(update={"content": pieces[-1] if pieces else whole.content})
        yield ChatGenerationChunk(message=last)

    def _missing(self, messages: Sequence[BaseMessage], cause: OperatorError) -> OperatorError:
        if self.mode == "live":
            return cause
        asked = " ".join(messages[-1].text.split())
        return NotRecorded(
            f"{self.model_name} was never recorded answering “…{asked[-80:]}” and cannot run here "
            f"({cause}). Two ways out: fetch the model with `agentops models pull`, or ask what "
            "was recorded; `make record` records what the notebooks ask"
        )


def _plain(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Messages as JSON; ids of tool calls become positions, since providers draw them at random."""
    positions: dict[str, int] = {}
    plain: list[dict[str, Any]] = []
    for message in messages:
        entry: dict[str, Any] = {"role": message.type, "content": message.content}
        if isinstance(message, AIMessage) and message.tool_calls:
            for call in message.tool_calls:
                positions.setdefault(str(call["id"]), len(positions))
            entry["tool_calls"] = [[call["name"], call["args"]] for call in message.tool_calls]
        answered = getattr(message, "tool_call_id", None)
        if answered is not None:
            entry["answers_call"] = positions.get(str(answered), -1)
        plain.append(entry)
    return plain


def _record(message: AIMessage) -> dict[str, Any]:
    metadata = message.response_metadata
    return {
        "content": message.content,
        "tool_calls": [[call["name"], call["args"], call["id"]] for call in message.tool_calls],
        "usage": dict(message.usage_metadata or {}),
        "finish_reason": metadata.get("finish_reason", ""),
        "live_seconds": metadata.get("live_seconds"),
        "recorded_on": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _restore(found: dict[str, Any], model_name: str) -> AIMessage:
    response = found["response"]
    return AIMessage(
        response["content"],
        tool_calls=[
            {"name": name, "args": args, "id": call} for name, args, call in response["tool_calls"]
        ],
        usage_metadata=response["usage"] or None,
        response_metadata={
            "model_name": model_name,
            "finish_reason": response["finish_reason"],
            "answered": "replay",
            "live_seconds": response["live_seconds"],
        },
    )


def _pieces(text: str) -> list[str]:
    """Cut a recorded text into words with their spaces, as a stream would bring it."""
    import re

    return re.findall(r"\S+\s*|\s+", text)


class RecordedEmbeddings(Embeddings):
    """Embeddings in front of others. Vectors are rounded to float16 in every mode.

    The rounding makes a replayed vector equal to a live one, and hides most of what another
    processor's arithmetic would change.
    """

    def __init__(
        self,
        *,
        name: str,
        digest: str,
        dimensions: int,
        mode: Mode,
        folder: Path,
        make: Callable[[], Embeddings],
    ) -> None:
        self.name, self.digest, self.mode = name, digest, mode
        self.recipe = f"{name}@{digest[:12]}/float16"
        self._make, self._live = make, None
        self._store = VectorStore(folder / "embeddings" / f"{name}.npy", dimensions)

    @property
    def live(self) -> Embeddings:
        if self._live is None:
            self._live = self._make()  # type: ignore[assignment]
        return self._live  # type: ignore[return-value]

    def key(self, text: str) -> str:
        return digest(canonical({"model": self.digest, "text": text}))

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        keys = [self.key(text) for text in texts]
        known = {} if self.mode == "live" else self._store.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            try:
                vectors = self.live.embed_documents(list(missing.values()))
            except OperatorError as error:
                if self.mode == "live":
                    raise
                raise NotRecorded(
                    f"{self.name} was never recorded embedding {len(missing)} of {len(texts)} "
                    f"texts, the first “{next(iter(missing.values()))[:60]}”, and cannot run here "
                    f"({error}). Fetch it with `agentops models pull`"
                ) from error
            made = {
                key: np.asarray(vector, dtype=np.float16).astype(float).tolist()
                for key, vector in zip(missing, vectors, strict=True)
            }
            if self.mode == "record":
                self._store.put(made)
            known |= made
        return [known[key] for key in keys]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class RecordedOcr:
    """An OCR engine in front of another, keyed by the image's bytes."""

    def __init__(self, *, name: str, mode: Mode, folder: Path, make: Callable[[], Ocr]) -> None:
        self.name, self.mode = name, mode
        self._make, self._live = make, None
        self._store = JsonStore(folder / "ocr" / name)

    @property
    def live(self) -> Ocr:
        if self._live is None:
            self._live = self._make()  # type: ignore[assignment]
        return self._live  # type: ignore[return-value]

    def read(self, image: bytes) -> tuple[OcrLine, ...]:
        import hashlib

        key = hashlib.sha256(self.name.encode() + image).hexdigest()
        found = None if self.mode == "live" else self._store.get(key)
        if found is not None:
            return tuple(
                OcrLine(text, confidence, tuple((x, y) for x, y in box))
                for text, confidence, box in found["lines"]
            )
        lines = tuple(self.live.read(image))
        if self.mode == "record":
            self._store.put(
                key, {"lines": [[line.text, line.confidence, line.box] for line in lines]}
            )
        return lines


def prune(folder: Path, used: set[str]) -> list[Path]:
    """Delete every recording below ``folder`` whose key is not in ``used``; return the files.

    Dropped vectors are counted by their model's file, which is listed once.
    """
    dropped = [file for file in sorted(folder.rglob("*.json")) if file.stem not in used]
    for file in dropped:
        file.unlink()
    for file in sorted((folder / "embeddings").glob("*.npy")):
        if VectorStore(file, np.load(file, allow_pickle=False)["vector"].shape[1]).keep(used):
            dropped.append(file)
    return dropped
