"""Models: chat, embeddings and OCR, live, recorded or scripted.

::

    settings → factory → RecordedChat ─┬→ recordings/    (replay)
                                       └→ LocalChat, ChatOpenAI, any LangChain model (live)

Importing this package is cheap; the classes load their libraries when they are first touched.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "factory": ("chat_model", "embedding_model", "ocr_model", "usage_of"),
    "local": ("LocalChat",),
    "embed": ("MiniLmEmbeddings",),
    "ocr": ("Ocr", "OcrLine", "RapidOcr"),
    "recording": ("RecordedChat", "RecordedEmbeddings", "RecordedOcr"),
    "weights": ("pull", "status"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"agentops_ref.models.{module}"), name)
    raise AttributeError(f"module 'agentops_ref.models' has no attribute '{name}'")
