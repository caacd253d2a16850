"""Fakes that tests use, ours and yours: no weights, no recordings, no network.

``models.mode: scripted`` wires them; or make them by hand::

    >>> from agentops_ref.testing import ScriptedChat
    >>> ScriptedChat(replies=["18 Nm [1]"]).invoke("What torque?").text
    '18 Nm [1]'
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.models.scripted import HashEmbeddings, ScriptedChat, ScriptedOcr

if TYPE_CHECKING:
    from agentops_ref.etl import Stages


def hash_stages(
    *,
    dimensions: int = 64,
    target_chars: int = 600,
    max_chars: int = 900,
    cache: Path | str | None = None,
) -> Stages:
    """Return real parsers and chunks with `HashEmbeddings`, and without OCR."""
    from agentops_ref.etl import default_stages
    from agentops_ref.settings import ChunkConfig

    embeddings = HashEmbeddings(dimensions)
    return default_stages(
        ocr=None,
        ocr_recipe="none",
        embeddings=embeddings,
        embedding_recipe=embeddings.recipe,
        chunk=ChunkConfig(target_chars=target_chars, max_chars=max_chars),
        cache=cache,
    )


__all__ = ["HashEmbeddings", "ScriptedChat", "ScriptedOcr", "hash_stages"]
