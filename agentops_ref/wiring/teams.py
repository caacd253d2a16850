"""Several agents behind one: specialists in this process, or behind endpoints of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.errors import OperatorError
from agentops_ref.wiring.agents import Agents
from agentops_ref.wiring.parts import load

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent
    from agentops_ref.agents.specialists import Specialist


def specialist(app: Agents, name: str) -> Agent:
    """Return one specialist's agent, in this process."""
    one = app.config.agent.specialists[name]
    make = load("agent", one.kind)
    # What a specialist with tools says without them, it has from nowhere.
    more = {"name": name, "look_first": True} if one.kind == "tools" else {}
    made: Agent = make(app, prompt=one.prompt, **more)
    return made


def router(app: Agents) -> Agent:
    from agentops_ref.agents.specialists import Router

    agent = app.config.agent
    return Router(
        _all(app, partial(specialist, app)),
        model=app.chat,
        prompt=app.prompt_of("router"),
        usage_of=app.usage_of,
        fallback=agent.fallback,
        tracer=app.tracer,
    )


def supervisor(app: Agents) -> Agent:
    return _supervised(app, _all(app, partial(specialist, app)), "supervisor")


def endpoints(app: Agents) -> Agent:
    """A supervisor over specialists that `agentops agents up` started, or that have a ``url``."""
    from agentops_ref.agents.remote import RemoteAgent

    addresses = endpoint_urls(app)

    def remote(name: str) -> Agent:
        url = addresses[name]
        return RemoteAgent(
            name,
            url,
            connect_seconds=app.config.agent.endpoints.connect_seconds,
            token=partial(app.onward, name, url.rstrip("/")) if app.permissions else None,
            tracer=app.tracer,
        )

    return _supervised(app, _all(app, remote), "endpoints")


def endpoint_folder(app: Agents) -> Path:
    """Return where started endpoints are kept; see `agentops_ref.ops.endpoints`."""
    return app.config.path(app.config.paths.state) / "agents"


def endpoint_urls(app: Agents) -> dict[str, str]:
    """Return where each specialist listens.

    Raises
    ------
    OperatorError
        One was not started and has no address.
    """
    from agentops_ref.agents.remote import started

    found = {name: one.url for name, one in started(endpoint_folder(app)).items()}
    for name, one in app.config.agent.specialists.items():
        url = one.url or found.get(name)
        if url is None:
            raise OperatorError(
                f"agent {name} has no endpoint: run `agentops agents up`, or set "
                f"agent.specialists.{name}.url"
            )
        found[name] = url
    return found


def _all(app: Agents, agent: Callable[[str], Agent]) -> list[Specialist]:
    from agentops_ref.agents.auth import RoleGated
    from agentops_ref.agents.specialists import Specialist

    def guarded(name: str) -> Agent:
        if app.permissions is None:
            return agent(name)
        return RoleGated(agent(name), name, app.permissions)

    wanted = app.config.agent.specialists
    return [Specialist(name, s.purpose, guarded(name), s.seconds) for name, s in wanted.items()]


def _supervised(app: Agents, specialists: list[Specialist], name: str) -> Agent:
    from agentops_ref.agents.supervisor import Supervisor

    return Supervisor(
        specialists,
        model=app.chat,
        prompt=app.prompt_of("supervisor"),
        usage_of=app.usage_of,
        max_tasks=app.config.agent.max_tasks,
        tracer=app.tracer,
        name=name,
    )
