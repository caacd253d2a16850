"""Are the recordings what the model says today? A random sample of them is asked again, live.

Differences are expected where another processor rounds otherwise; how many, is what this says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref.errors import OperatorError
from agentops_ref.models.factory import chat_model, embedding_model, ocr_model
from agentops_ref.models.local import LocalChat
from agentops_ref.models.recording import RecordedChat, RecordedEmbeddings, RecordedOcr
from agentops_ref.models.request import messages_of, restored
from agentops_ref.models.store import damaged
from agentops_ref.settings_models import ModelsConfig

Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How the live models compare with what is recorded."""

    model: str
    total: int
    """Chats that are recorded of this model, with these weights."""
    compared: int
    """Chats of the random sample that were asked again."""
    identical: int
    """Of these, how many gave the same text and the same tool calls."""
    differing: tuple[tuple[str, str, str], ...] = ()
    """(key, recorded, live) of each that differs."""
    vectors: int = 0
    """Embeddings that were compared."""
    vector_difference: float = 0.0
    """Largest absolute difference of one number of a vector; unit vectors, so 0..2."""
    images: int = 0
    """Images that were read again."""
    images_differing: tuple[str, ...] = ()
    """Keys of the images whose lines have another text."""
    confidence_difference: float = 0.0
    """Largest absolute difference of a line's confidence, among images with the same text."""
    skipped: int = 0
    """Chats recorded of other models, other weights or with another tool prompt."""


def verify(
    recordings: Path,
    settings: ModelsConfig,
    *,
    weights: Path,
    prompts: Path,
    sample: int,
    rng: random.Random,
    texts: Iterable[str] = (),
    images: Iterable[bytes] = (),
    progress: Progress | None = None,
) -> VerifyReport:
    """Ask a random sample of the recorded chats again, and compare to the letter.

    Vectors and scans are kept without what was embedded or read, so these are compared for the
    ``texts`` and ``images`` that the caller has; those that were never recorded are passed over.

    Raises
    ------
    OperatorError
        The weights are missing, or a recording is damaged.
    """
    live = settings.model_copy(update={"mode": "live"})
    chat = chat_model(live, recordings=recordings, weights=weights, prompts=prompts)
    if not isinstance(chat, RecordedChat):
        raise OperatorError("models.mode is scripted: there is nothing to verify")
    known, skipped = _recorded(chat)
    drawn = rng.sample(known, min(sample, len(known)))
    differing = []
    for done, (file, found) in enumerate(drawn):
        if progress:
            progress("verify", done, len(drawn))
        recorded, now = _asked_again(chat, file, found)
        if recorded != now:
            differing.append((file.stem, recorded, now))
    if progress:
        progress("verify", len(drawn), len(drawn))
    identical = len(drawn) - len(differing)
    vectors, difference = _vectors(
        embedding_model(live, recordings=recordings, weights=weights), texts
    )
    read, other, confidence = _images(ocr_model(live, recordings=recordings), images)
    return VerifyReport(
        model=chat.model_name,
        total=len(known),
        compared=len(drawn),
        identical=identical,
        differing=tuple(differing),
        vectors=vectors,
        vector_difference=difference,
        images=read,
        images_differing=other,
        confidence_difference=confidence,
        skipped=skipped,
    )


def _recorded(chat: RecordedChat) -> tuple[list[tuple[Path, dict[str, Any]]], int]:
    """Return what was recorded of this model and in this way, and how many others there are."""
    found, skipped = [], 0
    for file in sorted(chat.store.folder.parent.rglob("*.json")):
        try:
            recording = json.loads(file.read_text(encoding="utf-8"))
            request = recording["request"]
            model, recipe = request["model"], request.get("tool_recipe", chat.tool_recipe)
            made_by = model["name"], model["digest"], recipe
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(file, error) from error
        if made_by == (chat.model_name, chat.model_digest, chat.tool_recipe):
            found.append((file, recording))
        else:
            skipped += 1
    return found, skipped


def _asked_again(chat: RecordedChat, file: Path, found: dict[str, Any]) -> tuple[str, str]:
    """Return what was recorded and what the live model says now."""
    request = {**found["request"]}
    asked, stop = messages_of(request.pop("messages")), request.pop("stop", None)
    request.pop("tool_recipe", None)
    model = request.pop("model")
    as_configured = {"name", "digest"} | {
        name for name, value in chat.parameters.items() if model.get(name) == value
    }
    other = {name: value for name, value in model.items() if name not in as_configured}
    if isinstance(chat.live, LocalChat):  # rounding depends on it: ask as it was asked
        other["cache_prompt"] = found["response"].get("cached_prompt", False)
    result = chat._generate(asked, stop, None, **(other | request))
    return _told(restored(found, chat.model_name, file)), _told(result.generations[0].message)


def _told(message: Any) -> str:
    """Text and tool calls of an answer, as one text."""
    calls = [[call["name"], call["args"]] for call in message.tool_calls]
    text = message.content if isinstance(message.content, str) else json.dumps(message.content)
    return f"{text}{json.dumps(calls, ensure_ascii=False, sort_keys=True)}" if calls else text


def _vectors(embeddings: Any, texts: Iterable[str]) -> tuple[int, float]:
    if not isinstance(embeddings, RecordedEmbeddings):
        return 0, 0.0
    by_key = {embeddings.key(text): text for text in texts}
    recorded = embeddings.store.get(list(by_key)) if by_key else {}
    if not recorded:
        return 0, 0.0
    now = np.asarray(embeddings.embed_documents([by_key[key] for key in recorded]))
    return len(recorded), float(np.abs(now - np.asarray(list(recorded.values()))).max())


def _images(ocr: Any, images: Iterable[bytes]) -> tuple[int, tuple[str, ...], float]:
    if not isinstance(ocr, RecordedOcr):
        return 0, (), 0.0
    read, differing, largest = 0, [], 0.0
    for image in images:
        key = ocr.key(image)
        found = ocr.store.get(key)
        if found is None:
            continue
        read += 1
        now = ocr.read(image)
        if [line[0] for line in found["lines"]] != [line.text for line in now]:
            differing.append(key)
            continue
        for (_, confidence, _), line in zip(found["lines"], now, strict=True):
            largest = max(largest, abs(confidence - line.confidence))
    return read, tuple(differing), largest
