"""One agent, five ways: plain Python, LangGraph, LlamaIndex, DSPy, and configuration alone.

Taught in chapter 5. A technician's question comes in; a model may search the documents and look
things up in the records, a bounded number of times, and answers in one short sentence or abstains.
What is compared is how that is written, so the rest is the same for all: model, tools, limits and
traces are those of a `Run`, and but for DSPy, which writes its prompts itself, so is the prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agentops_ref.wiring.agents import WithTools, tool_agent

if TYPE_CHECKING:
    from agentops_ref.wiring import App

NAME = "one_agent"
"""The agent's entry in ``agent.allow`` and ``agent.prompts``."""
LOW_CODE = "one-agent"
"""The overlay of the configuration that is the fifth way."""
KINDS = {
    "plain Python": "agentops_ref.apps.oneagent.plain:agent",
    "LangGraph": "agentops_ref.apps.oneagent.langgraph_agent:agent",
    "LlamaIndex": "agentops_ref.apps.oneagent.llamaindex_agent:agent",
    "DSPy": "agentops_ref.apps.oneagent.dspy_agent:agent",
}
"""Name → what stands in ``agent.kind``."""


def one_agent(app: App, kind: Callable[..., WithTools]) -> WithTools:
    """Return the agent as one of its classes, over the configured parts."""
    return tool_agent(app, kind, name=NAME)
