"""The schema of the section ``models:``; what each key means stands in ``config/base.yaml``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChatConfig(_Section):
    provider: str
    name: str
    digest: str | None
    options: dict[str, Any]
    context_tokens: int = Field(gt=0)
    max_output_tokens: int = Field(gt=0)
    temperature: float = Field(ge=0)
    seed: int
    threads: int = Field(gt=0)
    price_input: float = Field(ge=0)
    price_output: float = Field(ge=0)


class EmbeddingConfig(_Section):
    provider: str
    name: str
    digest: str | None
    options: dict[str, Any]
    dimensions: int = Field(gt=0)


class OcrConfig(_Section):
    provider: str
    name: str
    options: dict[str, Any]


class VisionConfig(ChatConfig):
    prompt: str = "describe.md"
    digest: str | None = None
    options: dict[str, Any] = {}
    context_tokens: int = Field(default=8192, gt=0)
    max_output_tokens: int = Field(default=300, gt=0)
    temperature: float = Field(default=0, ge=0)
    seed: int = 7
    threads: int = Field(default=2, gt=0)
    price_input: float = Field(default=0, ge=0)
    price_output: float = Field(default=0, ge=0)


class ModelsConfig(_Section):
    mode: Literal["live", "replay", "record", "scripted"]
    chat: ChatConfig
    embedding: EmbeddingConfig
    ocr: OcrConfig
    vision: VisionConfig | None
