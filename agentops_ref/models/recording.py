"""Recorded models: real answers of a named model, recorded once and replayed.

Taught in chapter 1. The wrappers below stand in front of any LangChain chat model, embedding
model or OCR engine. A request is keyed by the model's digest and everything that decides the
answer. What was recorded is replayed; what was not goes to the live model when that can run, and
is otherwise an error that names the two ways out.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableBinding, RunnableParallel, RunnableSequence
from pydantic import Field, PrivateAttr

from agentops_ref.errors import DeveloperError, NotRecorded, OperatorError, TransientError
from agentops_ref.models.ocr import Ocr, OcrLine
from agentops_ref.models.problems import translated
from agentops_ref.models.request import as_answer, key_of, plain, restored
from agentops_ref.models.store import (
    JsonStore,
    VectorStore,
    as_json,
    canonical,
    damaged,
    digest,
    log_answer,
)
from agentops_ref.models.stream import in_pieces

Mode = Literal["live", "replay", "record"]
IRRELEVANT = frozenset({"ls_structured_output_format", "stream", "stream_usage", "stream_options"})
"""Keyword arguments of a call that do not change what is answered."""
RESERVED = frozenset({"model", "messages", "tool_recipe"})
"""Names that a request has already: the model cannot be exchanged for one call."""
_making = threading.RLock()


class RecordedChat(BaseChatModel):
    """A chat model in front of another one, which is made only when it has to answer."""

    name: str | None = "recorded"
    model_name: str
    model_digest: str
    """Names the weights (or the endpoint) exactly; part of every key."""
    parameters: dict[str, Any]
    """Sampling parameters that are part of every key."""
    tool_recipe: str = ""
    """Names how tools are told to the model; part of the key of requests that offer tools."""
    mode: Mode
    folder: Path = Field(repr=False)  # a trace shows a model's repr, and nobody's home folder
    make: Callable[[], BaseChatModel] = Field(exclude=True, repr=False)
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
        """The model behind the recordings, made at the first use."""
        with _making:
            if self._live is None:
                self._live = self.make()
            return self._live

    @property
    def store(self) -> JsonStore:
        """Where this model's answers are."""
        return JsonStore(self.folder / "chat" / self.model_name)

    def bind_tools(
        self, tools: Sequence[Any], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind as the live model would: its own keyword arguments, on this wrapper."""
        return self._instead(self.live.bind_tools(tools, **kwargs))

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Bind as the live model would; the recorded text goes through the same parser."""
        return self._instead(
            self.live.with_structured_output(schema, include_raw=include_raw, **kwargs)
        )

    def _instead(self, runnable: Any) -> Runnable[Any, Any]:
        """Put this model where the live one stands in what the live one's methods returned."""
        placed = 0

        def place(part: Any) -> Any:
            nonlocal placed
            if isinstance(part, RunnableBinding) and isinstance(part.bound, BaseChatModel):
                placed += 1
                return self.bind(**part.kwargs)
            if isinstance(part, RunnableSequence):
                return RunnableSequence(*[place(step) for step in part.steps])
            if isinstance(part, RunnableParallel):
                return RunnableParallel({name: place(at) for name, at in part.steps__.items()})
            return part

        whole: Runnable[Any, Any] = place(runnable)
        if not placed:
            raise DeveloperError(
                f"{type(self.live).__name__} binds in a way that cannot be recorded "
                f"({type(runnable).__name__}); bind tools or response_format with .bind()"
            )
        return whole

    def request(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Everything that decides the answer, as plain JSON; its digest is the key.

        Raises
        ------
        DeveloperError
            An argument would replace what names the model.
        """
        if taken := RESERVED & kwargs.keys():
            raise DeveloperError(
                f"'{min(taken)}' cannot be set for one call of a recorded model; configure "
                "another model under models.chat"
            )
        asked: dict[str, Any] = {
            "model": {"name": self.model_name, "digest": self.model_digest, **self.parameters},
            "messages": plain(messages),
        }
        if stop:
            asked["stop"] = list(stop)
        given = {name: value for name, value in kwargs.items() if name not in IRRELEVANT}
        asked |= {name: value for name, value in given.items() if value is not None}
        if asked.get("tools") and self.tool_recipe:
            asked["tool_recipe"] = self.tool_recipe
        return asked

    def key(
        self, messages: Sequence[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> str:
        """Return the name under which the answer to a request is recorded."""
        return key_of(self.request(messages, stop, kwargs))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        asked = self.request(messages, stop, kwargs)
        key = key_of(asked)
        found = None if self.mode == "live" else self.store.get(key)
        if found is not None:
            replayed = restored(found, self.model_name, self.store.file(key))
            log_answer("replay")
            return ChatResult(generations=[ChatGeneration(message=replayed)])
        message = self._ask(messages, stop, kwargs)
        if self.mode == "record":
            self.store.put(key, {"request": as_json(asked), "response": as_answer(message)})
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _ask(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> AIMessage:
        """Ask the live model."""
        started = time.perf_counter()
        try:
            generation = self.live._generate(messages, stop, None, **kwargs).generations[0]
        except Exception as error:
            raise self._problem(messages, error) from error
        message = generation.message
        assert isinstance(message, AIMessage)
        message.response_metadata = {
            "live_seconds": round(time.perf_counter() - started, 3),
            **(generation.generation_info or {}),
            **message.response_metadata,
            **self._answered(),
        }
        return message

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if self.mode == "live" and type(self.live)._stream is not BaseChatModel._stream:
            yield from self._stream_live(messages, stop, kwargs)
        else:
            result = self._generate(messages, stop, run_manager, **kwargs)
            yield from in_pieces(result.generations[0].message)

    def _stream_live(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        started = time.perf_counter()
        try:
            for chunk in self.live._stream(messages, stop, None, **kwargs):
                # Told once, at the end: LangChain joins the chunks' texts, and so would it these.
                for name in ("model_name", "answered", "live_seconds"):
                    chunk.message.response_metadata.pop(name, None)
                    (chunk.generation_info or {}).pop(name, None)
                yield chunk
        except Exception as error:
            raise self._problem(messages, error) from error
        told = {"live_seconds": round(time.perf_counter() - started, 3)} | self._answered()
        yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata=told))

    def _answered(self) -> dict[str, str]:
        log_answer("live")
        return {"model_name": self.model_name, "answered": "live"}

    def _problem(self, messages: Sequence[BaseMessage], error: Exception) -> Exception:
        cause = translated(error, self.model_name)
        if self.mode != "replay" or not isinstance(cause, OperatorError | TransientError):
            return cause
        asked = " ".join(messages[-1].text.split()) if messages else ""
        asked = asked if len(asked) <= 80 else f"…{asked[-80:]}"  # a question ends its prompt
        return NotRecorded(
            f"{self.model_name} was never recorded answering “{asked}” and cannot run here "
            f"({cause}). Two ways out: fetch the model with `agentops models pull`, or record what "
            "the notebooks ask with `make record`"
        )


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
        self.name, self.digest, self.dimensions, self.mode = name, digest, dimensions, mode
        self.recipe = f"{name}@{digest[:12]}/float16"
        self.store = VectorStore(folder / "embeddings" / f"{name}.npy", dimensions)
        self._make = make
        self._live: Embeddings | None = None

    @property
    def live(self) -> Embeddings:
        """The model behind the recordings, made at the first use."""
        with _making:
            if self._live is None:
                self._live = self._make()
            return self._live

    def key(self, text: str) -> str:
        """Return the name under which the text's vector is recorded."""
        return digest(canonical({"model": self.digest, "text": text}))

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed texts; only those that are not recorded go to the live model."""
        keys = [self.key(text) for text in texts]
        known = {} if self.mode == "live" else self.store.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            vectors = self._ask(list(missing.values()))
            made = dict(zip(missing, vectors, strict=True))
            if self.mode == "record":
                self.store.put(made)
            known |= made
        return [known[key] for key in keys]

    def embed_query(self, text: str) -> list[float]:
        """Embed one text."""
        return self.embed_documents([text])[0]

    def _ask(self, texts: list[str]) -> list[list[float]]:
        """Ask the live model and round what it says."""
        try:
            vectors = self.live.embed_documents(texts)
        except Exception as error:
            cause = translated(error, self.name)
            if self.mode != "replay" or not isinstance(cause, OperatorError | TransientError):
                raise cause from error
            raise NotRecorded(
                f"{self.name} was never recorded embedding {len(texts)} of the texts, the first "
                f"“{' '.join(texts[0].split())[:80]}”, and cannot run here ({cause}). Two ways "
                "out: fetch the model with `agentops models pull`, or record what the notebooks "
                "ask with `make record`"
            ) from error
        rounded = np.asarray(vectors, dtype=np.float16)
        if rounded.shape != (len(texts), self.dimensions):
            raise OperatorError(
                f"{self.name} gave vectors of {rounded.shape[-1]} numbers, "
                f"models.embedding.dimensions says {self.dimensions}"
            )
        listed: list[list[float]] = rounded.astype(float).tolist()
        return listed


class RecordedOcr:
    """An OCR engine in front of another, keyed by the image's bytes.

    ``recipe`` names the engine that is installed, replaying or not: documents are read again when
    it is another one. It is no part of a key, so that recordings outlive an upgrade; whether the
    new version reads the same is for `verify` to say.
    """

    def __init__(
        self, *, name: str, recipe: str, mode: Mode, folder: Path, make: Callable[[], Ocr]
    ) -> None:
        self.name, self.recipe, self.mode = name, recipe, mode
        self.store = JsonStore(folder / "ocr" / name)
        self._make = make
        self._live: Ocr | None = None

    @property
    def live(self) -> Ocr:
        """The engine behind the recordings, made at the first use."""
        with _making:
            if self._live is None:
                self._live = self._make()
            return self._live

    def key(self, image: bytes) -> str:
        """Return the name under which the image's lines are recorded."""
        return hashlib.sha256(self.name.encode() + image).hexdigest()

    def read(self, image: bytes) -> tuple[OcrLine, ...]:
        """Return the lines of an image, recorded or read now."""
        key = self.key(image)
        found = None if self.mode == "live" else self.store.get(key)
        if found is not None:
            try:
                return tuple(
                    OcrLine(text, confidence, tuple((x, y) for x, y in box))
                    for text, confidence, box in found["lines"]
                )
            except (KeyError, TypeError, ValueError) as error:
                raise damaged(self.store.file(key), error) from error
        try:
            lines = tuple(self.live.read(image))
        except (ImportError, OperatorError) as error:
            if self.mode != "replay":
                raise
            raise NotRecorded(
                f"{self.name} was never recorded reading this image of {len(image)} bytes and "
                f"cannot run here ({error}); `make record` records what the notebooks read"
            ) from error
        if self.mode == "record":
            self.store.put(
                key, {"lines": [[line.text, line.confidence, line.box] for line in lines]}
            )
        return lines


def prune(folder: Path, used: set[str]) -> list[Path]:
    """Delete every recording below ``folder`` whose key is not in ``used``; return the files.

    Dropped vectors are counted by their model's file, which is listed once.
    """
    dropped = [
        file
        for kind in ("chat", "ocr")
        for file in sorted((folder / kind).rglob("*.json"))
        if file.stem not in used
    ]
    for file in dropped:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    for file in sorted((folder / "embeddings").glob("*.npy")):
        if VectorStore(file).keep(used):
            dropped.append(file)
    return dropped
