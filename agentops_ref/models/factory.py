"""From settings to models: the providers, and the recording in front of each."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from agentops_ref.errors import ConfigError, OperatorError, nearest
from agentops_ref.models.ocr import Ocr, RapidOcr
from agentops_ref.models.recording import RecordedChat, RecordedEmbeddings, RecordedOcr
from agentops_ref.models.scripted import HashEmbeddings, ScriptedChat, ScriptedOcr
from agentops_ref.models.store import canonical, digest
from agentops_ref.records import Usage
from agentops_ref.secret import resolved
from agentops_ref.settings_models import ChatConfig, EmbeddingConfig, ModelsConfig, OcrConfig

CHAT = ("local", "openai", "langchain")
TOOL_STEP = "tool_step.md"
MILLION = 1_000_000
REACH = {"api_key_env", "timeout", "max_retries", "request_timeout"}
"""Options that say how an endpoint is reached, not what it answers."""


def chat_model(
    settings: ModelsConfig, *, recordings: Path, weights: Path, prompts: Path
) -> BaseChatModel:
    """Return the configured chat model, recorded or not. Nothing is loaded or connected to.

    ``prompts`` is the folder that holds ``tool_step.md``.

    Raises
    ------
    ConfigError
        Unknown provider, or a class or option that does not exist.
    """
    chat = settings.chat
    if settings.mode == "scripted":
        return ScriptedChat()
    local = chat.provider == "local"
    return RecordedChat(
        model_name=chat.name,
        model_digest=chat.digest or _options_digest(chat),
        parameters={
            "temperature": chat.temperature,
            "max_tokens": chat.max_output_tokens,
            "seed": chat.seed,
        },
        tool_recipe=digest(_tool_prompt(prompts)) if local else "",
        mode=settings.mode,
        folder=recordings,
        make=_chat_maker(chat, weights, prompts),
    )


def _chat_maker(chat: ChatConfig, weights: Path, prompts: Path) -> Callable[[], BaseChatModel]:
    if chat.provider == "local":
        return lambda: _local(chat, weights, prompts)
    if chat.provider == "openai":
        return lambda: _openai(chat)
    if chat.provider == "langchain":
        return lambda: _langchain(chat)
    if ":" in chat.provider:
        return lambda: _imported(chat.provider, "models.chat.provider")(chat)
    raise ConfigError(
        f"models.chat.provider: unknown '{chat.provider}'{nearest(chat.provider, CHAT)}"
    )


def _local(chat: ChatConfig, weights: Path, prompts: Path) -> BaseChatModel:
    from agentops_ref.models.local import LocalChat

    return LocalChat(
        model_name=chat.name,
        weights=weights / chat.options.get("file", f"{chat.name}.gguf"),
        context_tokens=chat.context_tokens,
        max_output_tokens=chat.max_output_tokens,
        temperature=chat.temperature,
        seed=chat.seed,
        threads=chat.threads,
        tool_prompt=_tool_prompt(prompts),
        digest=chat.digest,
        cache_prompt=chat.options.get("cache_prompt", True),
    )


def _tool_prompt(prompts: Path) -> str:
    file = prompts / TOOL_STEP
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"prompt {file} cannot be read: {error.strerror}") from error


def _openai(chat: ChatConfig) -> BaseChatModel:
    """Return a client of any endpoint that speaks the OpenAI chat format."""
    from langchain_openai import ChatOpenAI

    options = resolved(dict(chat.options), "models.chat.options")
    variable = options.pop("api_key_env", None)

    def key() -> str:  # looked up at the first request, so that replaying needs none
        found = os.environ.get(variable, "") if variable else "not-needed"
        if not found:
            raise OperatorError(f"{variable}, named by models.chat.options.api_key_env, is not set")
        return found

    given = {
        "model": chat.name,
        "api_key": key,
        "temperature": chat.temperature,
        "max_tokens": chat.max_output_tokens,
        "seed": chat.seed,
        "stream_usage": True,
    }
    model: BaseChatModel = _made(ChatOpenAI, given | options, "models.chat.options")
    return model


def _langchain(chat: ChatConfig) -> BaseChatModel:
    """Return any LangChain chat model: ``options.class`` is ``package.module:Class``.

    The other options are its arguments. Name, temperature and output limit are passed by
    LangChain's standard names; an option set to null takes one of these back.
    """
    options = resolved(dict(chat.options), "models.chat.options")
    path = options.pop("class", None)
    if not path:
        raise ConfigError(
            "models.chat.options.class is missing: expected an import path such as "
            "langchain_anthropic:ChatAnthropic"
        )
    given = {
        "model": chat.name,
        "temperature": chat.temperature,
        "max_tokens": chat.max_output_tokens,
    }
    wanted = {name: value for name, value in (given | options).items() if value is not None}
    make = _imported(path, "models.chat.options.class")
    model: BaseChatModel = _made(make, wanted, "models.chat.options")
    return model


def _made(make: Callable[..., Any], arguments: dict[str, Any], key: str) -> Any:
    try:
        return make(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {error}") from error


def _imported(path: str, key: str) -> Any:
    module, colon, attribute = path.partition(":")
    if not colon:
        raise ConfigError(f"{key}: expected package.module:name, got '{path}'")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if "." in missing:
            raise ConfigError(f"{key}: there is no module {missing}") from error
        raise OperatorError(
            f"{key}: {missing} is not installed: pip install {missing.replace('_', '-')}"
        ) from error
    except AttributeError as error:
        raise ConfigError(f"{key}: {error}") from error


def embedding_model(
    settings: ModelsConfig, *, recordings: Path, weights: Path
) -> RecordedEmbeddings | HashEmbeddings:
    """Return the configured embedding model, recorded or not; it has a ``recipe``."""
    embedding = settings.embedding
    if settings.mode == "scripted":
        return HashEmbeddings(embedding.dimensions)
    return RecordedEmbeddings(
        name=embedding.name,
        digest=embedding.digest or _options_digest(embedding),
        dimensions=embedding.dimensions,
        mode=settings.mode,
        folder=recordings,
        make=_embedding_maker(embedding, weights, settings.chat.threads),
    )


def _embedding_maker(
    embedding: EmbeddingConfig, weights: Path, threads: int
) -> Callable[[], Embeddings]:
    if embedding.provider == "minilm":
        from agentops_ref.models.embed import MiniLmEmbeddings

        return lambda: MiniLmEmbeddings(
            weights / embedding.name, threads=threads, digest=embedding.digest
        )
    if embedding.provider == "langchain" or ":" in embedding.provider:
        path = embedding.options.get("class", embedding.provider)
        options = {k: v for k, v in embedding.options.items() if k != "class"}
        key = "models.embedding.options"
        return lambda: _made(_imported(path, f"{key}.class"), resolved(options, key), key)
    known = ("minilm", "langchain")
    raise ConfigError(
        f"models.embedding.provider: unknown '{embedding.provider}'"
        f"{nearest(embedding.provider, known)}"
    )


def ocr_model(settings: ModelsConfig, *, recordings: Path) -> RecordedOcr | ScriptedOcr:
    """Return the configured OCR engine, recorded or not; it has a ``recipe``."""
    ocr = settings.ocr
    if settings.mode == "scripted":
        return ScriptedOcr()
    return RecordedOcr(
        name=ocr.name,
        recipe=_ocr_recipe(ocr),
        mode=settings.mode,
        folder=recordings,
        make=_ocr_maker(ocr),
    )


def _ocr_recipe(ocr: OcrConfig) -> str:
    """Name an engine by its options and by the version of its package, which holds its models."""
    package = re.split("[.:]", ocr.provider)[0]
    try:
        version = metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):  # a module of the project's own
        version = ""
    return f"{ocr.name}@{_options_digest(ocr)[:12]}/{package}-{version}"


def _ocr_maker(ocr: OcrConfig) -> Callable[[], Ocr]:
    if ocr.provider == "rapidocr":
        return lambda: RapidOcr(ocr.name, **ocr.options)
    if ":" in ocr.provider:
        key = "models.ocr.options"
        return lambda: _made(_imported(ocr.provider, "models.ocr.provider"), ocr.options, key)
    raise ConfigError(
        f"models.ocr.provider: unknown '{ocr.provider}'{nearest(ocr.provider, ('rapidocr',))}"
    )


def _options_digest(part: ChatConfig | EmbeddingConfig | OcrConfig) -> str:
    """Name an endpoint by what was configured for it, since its weights cannot be seen."""
    options = {name: value for name, value in part.options.items() if name not in REACH}
    return digest(canonical([part.provider, part.name, options]))


def usage_of(message: BaseMessage, chat: ChatConfig) -> Usage:
    """Return what one model call used, at the configured prices."""
    used = message.usage_metadata if isinstance(message, AIMessage) else None
    seconds = float(message.response_metadata.get("live_seconds") or 0.0)
    if not used:
        return Usage(calls=1, live_seconds=seconds)
    cost = used["input_tokens"] * chat.price_input + used["output_tokens"] * chat.price_output
    return Usage(used["input_tokens"], used["output_tokens"], cost / MILLION, 1, seconds)
