"""The agents, over the same search, tables and models. Another kind is one function here.

A factory is called with the `App` and returns what is called with a question; `parts.PARTS` gives
it its name in YAML.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.records import Answer
from agentops_ref.wiring.index import Index
from agentops_ref.wiring.parts import load
from agentops_ref.wiring.tables import Tables

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent


class Agents(Index, Tables):
    """The configured agent, and others for comparisons; see `agentops_ref.agents`."""

    @cached_property
    def agent(self) -> Agent:
        """The configured agent: a question in, an `Answer` out."""
        return self.agent_of(self.config.agent.kind)

    def agent_of(self, kind: str) -> Agent:
        """Return an agent of another kind over the same parts, for comparisons."""
        make = load("agent", kind)
        if make is direct:
            make = partial(direct, kind=kind)
        return Versioned(make(self), self, kind)

    def prompt_of(self, kind: str) -> Any:
        """Return the prompt of a kind of agent."""
        from agentops_ref.agents.prompts import load_prompt

        prompts = self.config.agent.prompts
        if kind not in prompts:
            known = nearest(kind, tuple(prompts))
            raise ConfigError(f"agent.prompts: no prompt for '{kind}'{known}")
        return load_prompt(self.config.prompts(prompts[kind]), prompts[kind])

    def usage_of(self, message: Any) -> Any:
        """Return tokens and cost of one model call, at the configured prices."""
        from agentops_ref.models.factory import usage_of

        return usage_of(message, self.config.models.chat)


def chain(app: Agents) -> Agent:
    from agentops_ref.agents.chain import Chain

    agent = app.config.agent
    return Chain(
        search=app.search,
        model=app.chat,
        prompt=app.prompt_of("chain"),
        usage_of=app.usage_of,
        context_chars=agent.context_chars,
        min_support=agent.min_support,
        tracer=app.tracer,
    )


def tool_loop(app: Agents) -> Agent:
    from agentops_ref.agents.loop import ToolLoop
    from agentops_ref.agents.tools import records_tool

    agent = app.config.agent
    return ToolLoop(
        search=app.search,
        tools=lambda: [records_tool(app.tables.query)],
        model=app.chat,
        prompt=app.prompt_of("tools"),
        usage_of=app.usage_of,
        context_chars=agent.context_chars,
        min_support=agent.min_support,
        max_steps=agent.max_steps,
        tracer=app.tracer,
    )


def direct(app: Agents, kind: str = "llm") -> Agent:
    from agentops_ref.agents.chain import Direct

    return Direct(
        model=app.chat, prompt=app.prompt_of(kind), usage_of=app.usage_of, tracer=app.tracer
    )


class Versioned:
    """Adds to each answer the index version that it was read from."""

    def __init__(self, agent: Agent, app: Agents, kind: str) -> None:
        self._agent, self._app, self.kind = agent, app, kind

    def __call__(self, question: str, **given: Any) -> Answer:
        version = self._app.index.version
        return dataclasses.replace(self._agent(question, **given), index_version=version)


def kind_of(agent: Agent) -> str:
    """Return what a run's log calls an agent: its kind, or the name that its author gave it."""
    if isinstance(agent, Versioned):
        return agent.kind
    return str(getattr(agent, "__name__", type(agent).__name__))
