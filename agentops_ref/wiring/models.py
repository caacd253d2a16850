"""The models that are configured, each recorded or replayed as the configuration says."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentops_ref.wiring.base import Base

if TYPE_CHECKING:
    from agentops_ref.settings import ChatConfig

TOOL_STEP = "tool_step.md"


class Models(Base):
    """Chat, vision, embeddings and OCR; see `agentops_ref.models`."""

    @cached_property
    def chat(self) -> Any:
        """The chat model: a LangChain `BaseChatModel`."""
        from agentops_ref.models.factory import chat_model

        paths = self.config.paths
        return chat_model(
            self.config.models,
            recordings=self.config.path(paths.recordings),
            weights=self.config.weights,
            prompts=self.config.prompts(TOOL_STEP),
        )

    @cached_property
    def vision(self) -> Any:
        """The chat model that takes images, recorded like the other one."""
        return self.chat_of(self.config.models.vision)

    def chat_of(self, chat: ChatConfig | None) -> Any:
        """Return another chat model in the place of the configured one, recorded like it."""
        from agentops_ref.models.factory import chat_model

        models, paths = self.config.models, self.config.paths
        return chat_model(
            models.model_copy(update={"chat": chat}),
            recordings=self.config.path(paths.recordings),
            weights=self.config.weights,
            prompts=self.config.prompts(TOOL_STEP),
        )

    @cached_property
    def embeddings(self) -> Any:
        """The embedding model: a LangChain `Embeddings` with a ``recipe``."""
        from agentops_ref.models.factory import embedding_model

        return embedding_model(
            self.config.models,
            recordings=self.config.path(self.config.paths.recordings),
            weights=self.config.weights,
        )

    @cached_property
    def ocr(self) -> Any:
        """The OCR engine: ``read(image) -> lines``, with a ``recipe``."""
        from agentops_ref.models.factory import ocr_model

        recordings = self.config.path(self.config.paths.recordings)
        return ocr_model(self.config.models, recordings=recordings)
