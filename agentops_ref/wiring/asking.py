"""What is asked about documents: a prompt with the chat model that answers it.

Each names in its ``recipe`` all that decides an answer: a changed prompt or model asks anew.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentops_ref.settings_models import ChatConfig, VisionConfig
    from agentops_ref.wiring.models import Models


class Asking:
    """Asks the chat model to fill a form, with a prompt of the configuration."""

    def __init__(self, app: Models) -> None:
        self._app = app

    def _prompt(self, name: str) -> Any:
        from agentops_ref.agents.prompts import load_prompt

        return load_prompt(self._app.config.prompts(name), name)

    def recipe(self, prompt: str) -> str:
        chat = self._app.config.models.chat
        decides = (chat.name, chat.digest, chat.temperature, chat.seed, chat.max_output_tokens)
        return f"{'/'.join(map(str, decides))}/{self._prompt(prompt).digest}"

    def __call__(self, prompt: str, schema: Mapping[str, Any], document: str) -> Any:
        form = self._app.chat.with_structured_output(dict(schema))
        return form.invoke(self._prompt(prompt).messages(document=document))


class Summariser:
    """The chat model behind the summaries' prompt."""

    def __init__(self, app: Models, prompt: str) -> None:
        from agentops_ref.agents.prompts import load_prompt

        self._app, self._prompt = app, load_prompt(app.config.prompts(prompt), prompt)

    @property
    def recipe(self) -> str:
        return _recipe_of(self._app.config.models.chat, self._prompt.digest)

    def __call__(self, document: str, text: str) -> str:
        filled = self._prompt.messages(document=document, text=text)
        return str(self._app.chat.invoke(filled).text)


class Filling:
    """The chat model behind a prompt with several places: ``filling(values, schema)``.

    ``model`` takes the place of ``models.chat``.
    """

    def __init__(self, app: Models, prompt: str, model: ChatConfig | None = None) -> None:
        from agentops_ref.agents.prompts import load_prompt

        self._app, self._model = app, model
        self._prompt = load_prompt(app.config.prompts(prompt), prompt)

    @property
    def recipe(self) -> str:
        return _recipe_of(self._model or self._app.config.models.chat, self._prompt.digest)

    def __call__(self, values: Mapping[str, str], schema: Mapping[str, Any]) -> Any:
        model = self._app.chat_of(self._model) if self._model else self._app.chat
        form = model.with_structured_output(dict(schema))
        return form.invoke(self._prompt.messages(**values))


class Describer:
    """The vision model behind its prompt."""

    def __init__(self, app: Models, vision: VisionConfig) -> None:
        from agentops_ref.agents.prompts import load_prompt

        self._app, self._vision = app, vision
        self._prompt = load_prompt(app.config.prompts(self._vision.prompt), self._vision.prompt)
        self.name: str = self._vision.name

    @property
    def recipe(self) -> str:
        return _recipe_of(self._vision, self._prompt.digest)

    def __call__(self, image_png: bytes) -> str:
        *before, last = self._prompt.messages()
        url = f"data:image/png;base64,{b64encode(image_png).decode()}"
        picture = {"type": "image_url", "image_url": {"url": url}}
        asked = last.model_copy(update={"content": [{"type": "text", "text": last.text}, picture]})
        return str(self._app.vision.invoke([*before, asked]).text)


def _recipe_of(chat: Any, prompt: str) -> str:
    """Name a chat model and a prompt by all that decides what is answered."""
    from agentops_ref.etl.recipe import text_hash

    named = chat.model_dump(mode="json", exclude={"threads", "price_input", "price_output"})
    return f"{prompt}/{text_hash(json.dumps(named, sort_keys=True))[:12]}"
