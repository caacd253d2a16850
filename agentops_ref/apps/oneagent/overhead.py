"""What a framework's own code costs: questions whose model and tool answer at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pandas as pd
from langchain_core.messages import AIMessage, BaseMessage

from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.run import ToolAgent
from agentops_ref.agents.tools import Registry
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.apps.oneagent import NAME
from agentops_ref.apps.oneagent.dspy_agent import COMPILED, DspyAgent
from agentops_ref.apps.oneagent.langgraph_agent import GraphAgent
from agentops_ref.apps.oneagent.llamaindex_agent import WorkflowAgent
from agentops_ref.apps.oneagent.plain import PlainAgent
from agentops_ref.models.scripted import Script
from agentops_ref.testing import ScriptedChat
from agentops_ref.wiring import App

QUESTION = "How tight is the flare nut of an NL-8?"
FOUND = "18 Nm"


def search_documents(query: str) -> str:
    """Search."""
    return FOUND


def reply(messages: Sequence[BaseMessage]) -> AIMessage | str:
    """Call the tool once, then answer, in the form in which the agent asks."""
    asked = messages[-1].text
    if "`lookups`" in asked:
        return json.dumps({"lookups": [{"tool": search_documents.__name__, "argument": "NL-8"}]})
    if "`answer`" in asked:
        return json.dumps({"answer": FOUND})
    if FOUND in asked:
        return FOUND
    call = {"name": search_documents.__name__, "args": {"query": "NL-8"}, "id": "call_1"}
    return AIMessage("", tool_calls=[call])


def measure(app: App, *, questions: int = 100, warm: int = 10) -> pd.DataFrame:
    """Return milliseconds of processor time a question, a column for each way; they take turns.

    Each question is two model calls and a tool call. Nothing is traced, and no limit runs. Where
    nothing waits for a model, it is the processor that takes the time; a clock would also count
    what else the machine does.
    """
    kinds: Mapping[str, Callable[..., ToolAgent]] = {
        "plain Python": PlainAgent,
        "LangGraph": GraphAgent,
        "LlamaIndex": WorkflowAgent,
        "DSPy": partial(DspyAgent, compiled=app.config.prompts(COMPILED) / COMPILED),
        "low code": ToolLoop,
    }
    agents = {name: alone(app, kind, reply) for name, kind in kinds.items()}
    took: dict[str, list[float]] = {name: [] for name in agents}
    for number in range(warm + questions):
        for name, agent in agents.items():
            started = time.process_time()
            answer = agent(QUESTION)
            if number >= warm:
                took[name].append(1000 * (time.process_time() - started))
            assert answer.text == FOUND
            assert answer.usage.calls == 2
    return pd.DataFrame(took)


def alone(app: App, kind: Callable[..., ToolAgent], script: Script) -> ToolAgent:
    """Return one of the ways over a scripted model and a tool that answers at once."""
    settings = app.config.agent
    return kind(
        name=NAME,
        registry=Registry([FunctionTool(search_documents)]),
        model=ScriptedChat(script=script),
        prompt=app.prompt_of(NAME),
        usage_of=app.usage_of,
        context_chars=settings.context_chars,
        min_support=settings.min_support,
        max_steps=settings.max_steps,
    )
