"""One kind of question to a model: a prompt file, a span, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.chain import UsageOf, generate
from agentops_ref.agents.limits import Limits
from agentops_ref.agents.prompts import Prompt
from agentops_ref.records import Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_LINE = 600
"""Characters of one message in a transcript."""


@dataclass(frozen=True)
class Ask:
    """A model behind a prompt."""

    model: Any
    """A LangChain chat model."""
    prompt: Prompt
    usage_of: UsageOf
    tracer: Tracer = field(default_factory=NoTracer)

    def __call__(
        self,
        *,
        schema: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        **values: str,
    ) -> tuple[str, Usage]:
        """Fill the prompt and return the model's text; with a schema, it is JSON of it.

        Raises
        ------
        ModelError
            The model gave nothing that can be used.
        LimitReached
            The request may not ask once more.
        """
        model = self.model
        if schema is not None:
            form = {"name": str(schema.get("title", "answer")), "schema": dict(schema)}
            model = model.bind(response_format={"type": "json_schema", "json_schema": form})
        messages = self.prompt.messages(**values)

        limits = limits or Limits()
        reply, usage = generate(model, messages, self.usage_of, self.tracer, limits)
        return reply.text.strip(), usage


def transcript(messages: Sequence[BaseMessage]) -> str:
    """Return messages as lines "User: ...", "Assistant: ...", "Result of TOOL: ...".

    System messages and tool calls are left out; a long message is cut, and it shows.
    """
    who = {"human": "User", "ai": "Assistant"}
    lines = []
    for message in messages:
        text = " ".join(message.text.split())
        if len(text) > _LINE:
            text = f"{text[:_LINE]} [...]"
        if message.type == "tool":
            lines.append(f"Result of {message.name or 'a tool'}: {text}")
        elif message.type in who and text:
            lines.append(f"{who[message.type]}: {text}")
    return "\n".join(lines)
