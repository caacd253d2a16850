"""Models: chat, embeddings and OCR, live, recorded or scripted.

::

    settings → factory → RecordedChat ─┬→ recordings/    (replay, record)
                                       └→ LocalChat, ChatOpenAI, any LangChain model (live)

    weights.yaml → pull → the user's cache folder → LocalChat, MiniLmEmbeddings
    recordings/  → prune (what nobody asks for) · verify (a sample, asked again live)

Importing this package is cheap; a class loads its libraries when it is first touched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentops_ref.models.embed import MiniLmEmbeddings
    from agentops_ref.models.factory import chat_model, embedding_model, ocr_model, usage_of
    from agentops_ref.models.local import LocalChat
    from agentops_ref.models.ocr import Ocr, OcrLine, RapidOcr
    from agentops_ref.models.recording import (
        RecordedChat,
        RecordedEmbeddings,
        RecordedOcr,
        prune,
    )
    from agentops_ref.models.scripted import HashEmbeddings, ScriptedChat, ScriptedOcr
    from agentops_ref.models.verify import VerifyReport
    from agentops_ref.models.weights import pull, status

_HOMES = {
    "chat_model": "factory",
    "embedding_model": "factory",
    "ocr_model": "factory",
    "usage_of": "factory",
    "LocalChat": "local",
    "MiniLmEmbeddings": "embed",
    "Ocr": "ocr",
    "OcrLine": "ocr",
    "RapidOcr": "ocr",
    "RecordedChat": "recording",
    "RecordedEmbeddings": "recording",
    "RecordedOcr": "recording",
    "prune": "recording",
    "HashEmbeddings": "scripted",
    "ScriptedChat": "scripted",
    "ScriptedOcr": "scripted",
    "VerifyReport": "verify",
    "pull": "weights",
    "status": "weights",
}

__all__ = [
    "HashEmbeddings",
    "LocalChat",
    "MiniLmEmbeddings",
    "Ocr",
    "OcrLine",
    "RapidOcr",
    "RecordedChat",
    "RecordedEmbeddings",
    "RecordedOcr",
    "ScriptedChat",
    "ScriptedOcr",
    "VerifyReport",
    "chat_model",
    "embedding_model",
    "ocr_model",
    "prune",
    "pull",
    "status",
    "usage_of",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"agentops_ref.models.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'agentops_ref.models' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
