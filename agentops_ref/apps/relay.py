"""An agent without a model, in a process of its own behind a gate. For chapter 7.

``python -m agentops_ref.apps.relay NAME PORT SETTING... [--then AGENT]``

It asks the next agent, or the configured MCP server, on behalf of whoever asked it, and answers
with what each was shown: the claims of the tokens. What a model would decide on the way is left
out; gate, exchange and calls are the package's own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from agentops_ref.agents.auth import claims_of
from agentops_ref.agents.remote import RemoteAgent, started
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.errors import AccessError
from agentops_ref.records import Answer
from agentops_ref.secret import Secret
from agentops_ref.wiring import App, build

TOLD = ("sub", "tenant", "roles", "client_id", "act", "aud", "scope")


def command(name: str, settings: Sequence[str], *, then: str = "") -> Callable[[int], list[str]]:
    """Return what starts one at a port, for `agentops_ref.ops.endpoints.up`."""
    program = [sys.executable, "-m", "agentops_ref.apps.relay", name]
    more = [f"--then={then}"] if then else []
    return lambda port: [*program, str(port), *settings, *more]


def shown(at: str, token: Secret | None) -> dict[str, Any]:
    """Return what a token says to whom it is shown."""
    claims = claims_of(token.reveal())["claims"] if token else {}
    return {"at": at, **{name: claims[name] for name in TOLD if name in claims}}


def answered(
    app: App, tools: Registry, name: str, then: str, question: str, request: Request
) -> dict[str, Any]:
    """Ask on for the question, a serial number; return the hops and what was found."""
    who = request.identity
    assert who is not None
    told: dict[str, Any] = {"hops": [shown(name, who.token)], "found": "", "refused": ""}
    if then:
        folder = app.config.path(app.config.paths.state) / "agents"
        url = started(folder)[then].url
        agent = RemoteAgent(then, url, connect_seconds=30, token=partial(app.onward, then, url))
        try:
            further = json.loads(agent(question, request=request).text)
        except AccessError as error:
            return {**told, "refused": str(error)}
        return {**further, "hops": [*told["hops"], *further["hops"]]}
    assert app.tokens is not None
    caller = Caller(name, tenant=who.tenant, user=who.subject, identity=who)
    result = tools.call("latest_readings", {"serial": question}, caller)
    for server in app.config.tools.servers:
        assert server.auth is not None
        # The same one that was sent: it is kept until shortly before its end.
        scope = (server.auth.scope or "").split()
        token = app.tokens.exchanged(who, str(server.url), scope)
        told["hops"].append(shown(server.name, token))
    return {**told, "found": result.text}


def _end_with(parent: int) -> None:
    """End when the process that started this one is gone, however it ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def main() -> None:
    import uvicorn

    from agentops_ref.config import load_config
    from agentops_ref.ops.auth import gate_of
    from agentops_ref.ops.serving import application

    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("port", type=int)
    parser.add_argument("--then", default="")
    parser.add_argument("settings", nargs="*")
    given = parser.parse_args()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    app = build(load_config(overrides=given.settings))
    app.tracer.connect()
    tools = Registry() if given.then else app.tools_with(None)

    def agent(question: str, *, request: Request | None = None) -> Answer:
        told = answered(app, tools, given.name, given.then, question, request or Request())
        return Answer(json.dumps(told), abstained=False)

    gate = gate_of(app, given.name, f"http://127.0.0.1:{given.port}")
    uvicorn.run(application(agent, gate=gate), port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
