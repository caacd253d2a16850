"""The agents, over the same search, tables and models. Another kind is one function here.

A factory is called with the `App` and returns what is called with a question; `parts.PARTS` gives
it its name in YAML.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from agentops_ref.errors import ConfigError, nearest, reason
from agentops_ref.records import Answer
from agentops_ref.secret import scrub
from agentops_ref.wiring.auth import Auth
from agentops_ref.wiring.guards import Guarding
from agentops_ref.wiring.parts import load

if TYPE_CHECKING:
    from agentops_ref.agents.approvals import Approval, Approvals, Decider
    from agentops_ref.agents.chain import Agent
    from agentops_ref.agents.limits import Allowance
    from agentops_ref.agents.memory import Forgotten
    from agentops_ref.agents.memory.build import Memory
    from agentops_ref.agents.prompts import Prompt
    from agentops_ref.agents.request import Request
    from agentops_ref.agents.run import ToolAgent
    from agentops_ref.agents.tools import Registry
    from agentops_ref.tracing import Tracer

WithTools = TypeVar("WithTools", bound="ToolAgent")


class Agents(Guarding, Auth):
    """The configured agent, and others for comparisons; see `agentops_ref.agents`."""

    @cached_property
    def agent(self) -> Agent:
        """The configured agent: a question in, an `Answer` out."""
        return self.agent_of(self.config.agent.kind)

    def agent_of(self, kind: str) -> Agent:
        """Return an agent of another kind over the same parts, for comparisons."""
        make = load("agent", kind)
        if make is direct:  # the model alone, to compare with
            return Versioned(direct(self, kind), self, kind)
        return Versioned(self.guarded(make(self)), self, kind)

    def guarded(self, agent: Agent) -> Agent:
        """Return an agent between the configured guards."""
        from agentops_ref.agents.guards import Guarded

        told = self.config.guards.refusals.model_dump(include={"user", "answer", "ask"})
        hold = self.approvals.hold
        return Guarded(agent, self.guards, writes=self._writes, hold=hold, **told)

    def _writes(self) -> list[str]:
        return [spec.name for spec in self.tools.specs() if spec.effect == "write"]

    def bounded(self, agent: Agent) -> Agent:
        """Return an agent that always answers, within ``agent.limits``."""
        from agentops_ref.agents.bounded import Bounded

        return Bounded(agent, self._allowance, reply=self._apology, tracer=self.tracer)

    @property
    def _allowance(self) -> Allowance:
        from agentops_ref.agents.limits import Allowance

        return Allowance(**self.config.agent.limits.model_dump())

    @property
    def _apology(self) -> str:
        """What is said where a failure leaves no answer."""
        return str(self.prompt_of("supervisor").reply)

    @cached_property
    def tools(self) -> Registry:
        """The tools: ``tools.call(name, arguments, caller)``; see `agentops_ref.agents.tools`."""
        return self.tools_with(self.tracer)

    def tools_with(self, tracer: Tracer | None) -> Registry:
        """Return the tools with another tracer; a call by hand need not wait for MLflow."""
        from agentops_ref.agents.tools.build import build_registry

        return build_registry(
            self.config.tools,
            query=self.tables.query,
            path=self.config.path,
            allow=self.config.agent.allow,
            roles=self.permissions.tools if self.permissions else None,
            tokens=self.tokens,
            logins=self.config.path(self.config.paths.state) / "auth",
            search=self.shown,
            tracer=tracer,
            gate=self.approvals.gate,
            inspect=lambda *given: self.guards.result(*given),
            mask=self.mask,
        )

    @cached_property
    def approvals(self) -> Approvals:
        """Actions that wait for a person, and their decisions; see `agents.approvals`."""
        from agentops_ref.agents.approvals import Approvals, Policy, Rule

        settings = self.config.approvals
        rules = [Rule(**{**one.model_dump(), "tools": tuple(one.tools)}) for one in settings.rules]
        return Approvals(
            lambda: self.memory.database,
            Policy(rules, settings.role),
            lasts=timedelta(hours=settings.hours),
            answer=self._let_pass,
        )

    def _let_pass(self, held: Approval) -> str:
        """Answer a question that a person let pass, as whoever asked it.

        Not as the support desk: the record does not say that it was the desk that asked.
        """
        from agentops_ref.agents.request import Request

        answer = self.agent(
            str(held.arguments["question"]),
            request=Request(
                tenant=held.tenant, user=held.requested_by, identity=held.identity, approved=True
            ),
        )
        waits = f" (approval {', '.join(answer.waiting)})" if answer.waiting else ""
        return answer.text + waits

    def decide(self, id_: str, *, approve: bool, by: Decider, note: str = "") -> Approval:
        """Decide what waits for a person; what was approved is done, and its conversation told."""
        done = self.approvals.decide(id_, approve=approve, by=by, call=self.tools.call, note=note)
        return self._told(done)

    def close_approval(self, id_: str, *, done: bool, by: Decider, note: str = "") -> Approval:
        """State what became of an action that was cut off; its conversation is told."""
        return self._told(self.approvals.close(id_, done=done, by=by, note=note))

    def _told(self, ended: Approval) -> Approval:
        if ended.thread:
            self.memory.conversation(self.agent).tell(ended.thread)
        return ended

    def forget(
        self, *, tenant: str, subject: str, fact: str | None = None, threads: tuple[str, ...] = ()
    ) -> Forgotten:
        """Forget facts, and these conversations with what was asked for in them."""
        self.approvals.store.forget(threads)
        return self.memory.forget(tenant=tenant, subject=subject, fact=fact, threads=threads)

    @cached_property
    def memory(self) -> Memory:
        """Conversations, and facts about customers and technicians; see `agents.memory`."""
        from agentops_ref.agents.memory.build import Memory

        return Memory(
            self.config.memory,
            chat=lambda: self.chat,
            embeddings=lambda: self.embeddings,
            prompts=self.config.prompts,
            path=self.config.path,
            load=partial(load, "migration"),
            usage_of=self.usage_of,
            tracer=self.tracer,
            concerned=self._concerned,
            outcome=self.approvals.outcome,
            allowance=self._allowance,
            reply=self._apology,
        )

    def _concerned(self, question: str, tenant: str) -> list[str]:
        """Return the customers of the units that a question names; none before there are tables."""
        from agentops_ref.agents.memory.summary import codes
        from agentops_ref.agents.tools.records import customers_of

        if "installations" not in self.tables.names():
            return []
        return customers_of(self.tables.query, codes(question), tenant)

    def prompt_of(self, kind: str) -> Any:
        """Return the prompt of a kind of agent."""
        prompts = self.config.agent.prompts
        if kind not in prompts:
            known = nearest(kind, tuple(prompts))
            raise ConfigError(f"agent.prompts: no prompt for '{kind}'{known}")
        return self.prompt_file(prompts[kind])

    def prompt_file(self, name: str) -> Any:
        """Return the prompt of a file below ``paths.prompts``."""
        from agentops_ref.agents.prompts import load_prompt

        return load_prompt(self.config.prompts(name), name)

    def usage_of(self, message: Any) -> Any:
        """Return tokens and cost of one model call, at the configured prices."""
        from agentops_ref.models.factory import usage_of

        return usage_of(message, self.config.models.chat)


def chain(app: Agents, *, prompt: str | Prompt = "", tracer: Tracer | None = None) -> Agent:
    from agentops_ref.agents.chain import Chain

    agent = app.config.agent
    file = prompt or agent.prompts["chain"]
    return Chain(
        search=app.shown,
        model=app.chat,
        prompt=app.prompt_file(file) if isinstance(file, str) else file,
        usage_of=app.usage_of,
        context_chars=agent.context_chars,
        min_support=agent.min_support,
        tracer=tracer or app.tracer,
    )


def tool_agent(
    app: Agents, kind: Callable[..., WithTools], *, name: str, prompt: str = "", **more: Any
) -> WithTools:
    """Return an agent with tools, for any class of them.

    ``name`` is its entry in ``agent.allow``, and in ``agent.prompts`` unless a file is given.
    """
    agent = app.config.agent
    return kind(
        name=name,
        registry=app.tools,
        model=app.chat,
        prompt=app.prompt_file(prompt) if prompt else app.prompt_of(name),
        usage_of=app.usage_of,
        context_chars=agent.context_chars,
        min_support=agent.min_support,
        max_steps=agent.max_steps,
        tracer=app.tracer,
        **more,
    )


def tool_loop(
    app: Agents, *, name: str = "tools", prompt: str = "", look_first: bool = False
) -> Agent:
    from agentops_ref.agents.loop import ToolLoop

    return tool_agent(app, ToolLoop, name=name, prompt=prompt, look_first=look_first)


def direct(app: Agents, kind: str = "llm") -> Agent:
    from agentops_ref.agents.chain import Direct

    return Direct(
        model=app.chat, prompt=app.prompt_of(kind), usage_of=app.usage_of, tracer=app.tracer
    )


class Versioned:
    """Asks for the configured tenant, or for whoever has logged in, within the configured limits.

    There is always an answer; added to it is the index version that it read, and taken out of it
    are secrets.
    """

    def __init__(self, agent: Agent, app: Agents, kind: str) -> None:
        self.agent, self._app, self.kind = agent, app, kind
        self._bounded = app.bounded(self._versioned)

    def __call__(self, question: str, *, request: Request | None = None, **more: Any) -> Answer:
        """Answer; ``more`` are fields of the `Request`, where none is given."""
        from agentops_ref.agents.request import Request

        agent = self._app.config.agent
        request = request or Request(**{"tenant": agent.tenant, "desk": agent.desk, **more})
        request = request if request.asked else dataclasses.replace(request, asked=question)
        if self._app.permissions is not None:
            request = request if request.identity else request.of(self._app.identity)
            self._app.permissions.demand(request.identity, self.kind)
        answer: Answer = scrub(self._bounded(question, request=request))
        return answer

    def _versioned(self, question: str, *, request: Request | None = None) -> Answer:
        assert request is not None
        answer = self.agent(question, request=request)
        request.kept.answer = answer
        try:
            answer = dataclasses.replace(answer, index_version=self._app.index.version)
            if answer.abstained and not (answer.problem or answer.index_version):
                empty = "failed: the index holds nothing: run a sync"
                answer = dataclasses.replace(answer, problem=empty)
            return answer
        except Exception as error:  # an index that is gone; what was answered stands
            problem = f"failed: the index's version is not known: {reason(error)}"
            told = f"{answer.problem}; {problem}" if answer.problem else problem
            return dataclasses.replace(answer, problem=told)


def kind_of(agent: Agent) -> str:
    """Return what a run's log calls an agent: its kind, or the name that its author gave it."""
    if isinstance(agent, Versioned):
        return agent.kind
    return str(getattr(agent, "__name__", type(agent).__name__))
