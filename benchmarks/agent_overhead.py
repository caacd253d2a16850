"""What the agents' own code costs: a request whose model and tool answer at once.

The same question, the same model (scripted, no latency) and the same tool for all: one call of the
tool, then an answer. LangChain's `create_agent` with MLflow's autologging is the baseline; ours is
the loop over tools with all that goes with it (limits, registry, audit, traces), alone, without
traces, in a conversation whose thread is kept in SQLite, and as a specialist of a supervisor, which
also takes decisions. The full stack is the conversation with the configured guards, personal data
masked in traces, the gate of approvals, and a token that is verified for each request and opens the
tool by its role. All traces go to one SQLite store.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agentops_ref.agents.auth import Keys, Verifier
from agentops_ref.agents.bounded import Bounded
from agentops_ref.agents.limits import Allowance
from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.memory.build import Memory
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.specialists import Specialist
from agentops_ref.agents.supervisor import Supervisor
from agentops_ref.agents.tools import AuditFile, Registry
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.config import load_config, shipped_config_dir
from agentops_ref.ops.authserver import SigningKeys
from agentops_ref.records import Usage
from agentops_ref.testing import HashEmbeddings, ScriptedChat
from agentops_ref.tracing import MlflowTracer, NoTracer, Tracer
from agentops_ref.wiring import build
from benchmarks._report import write

REQUESTS = 300
WARM = 20
PROMPTS = shipped_config_dir() / "prompts"
WAYS = {
    "untraced": "the loop without traces",
    "loop": "the loop",
    "conversation": "the loop in a conversation",
    "supervisor": "a supervisor over the loop",
    "full": "the full stack: guards, traces, memory, approvals, a token",
}
QUESTION = "How tight is the flare nut of an NL-8?"


def torque(model: str) -> str:
    """Torque of a flare nut."""
    return f"{model}: 18 Nm"


def reply(messages: Sequence[BaseMessage]) -> AIMessage | str:
    """Decide, call the tool, answer: by what the conversation holds so far."""
    if "You lead specialists" in str(messages[0].content):
        return f'{{"tasks": [{{"agent": "records", "task": "{QUESTION}"}}], "more": false}}'
    if isinstance(messages[-1], ToolMessage):
        return AIMessage("It is tightened to 18 Nm.")
    call = {"name": "torque", "args": {"model": "NL-8"}, "id": "call_1"}
    return AIMessage("", tool_calls=[call])


def usage_of(message: Any) -> Usage:
    return Usage(100, 10, 0.0, 1)


def bare(uri: str) -> Callable[[], str]:
    import mlflow
    from langchain.agents import create_agent
    from langchain_core.tools import tool

    MlflowTracer(uri, "create_agent").connect()
    agent = create_agent(ScriptedChat(script=reply), [tool(torque)])

    def ask() -> str:
        mlflow.langchain.autolog()
        done = agent.invoke({"messages": [{"role": "user", "content": QUESTION}]})
        mlflow.langchain.autolog(disable=True)
        return str(done["messages"][-1].content)

    return ask


def loop_over(registry: Registry, model: Any, tracer: Tracer) -> ToolLoop:
    return ToolLoop(
        name="records",
        registry=registry,
        prompt=load_prompt(PROMPTS, "records.md"),
        context_chars=1500,
        min_support=0.5,
        max_steps=4,
        model=model,
        usage_of=usage_of,
        tracer=tracer,
    )


def ours(
    uri: str, place: Path, *, traced: bool = True, supervised: bool = False, memory: bool = False
) -> Callable[[], str]:
    tracer: Tracer = MlflowTracer(uri, "agentops_ref") if traced else NoTracer()
    model: Any = ScriptedChat(script=reply)
    registry = Registry([FunctionTool(torque)], audit=AuditFile(place / "audit"), tracer=tracer)
    loop = loop_over(registry, model, tracer)
    agent: Any = loop
    if supervised:
        agent = Supervisor(
            [Specialist("records", "values", loop)],
            prompt=load_prompt(PROMPTS, "supervise.md"),
            max_tasks=3,
            model=model,
            usage_of=usage_of,
            tracer=tracer,
        )
    bounded = Bounded(agent, Allowance(seconds=60, steps=16), reply="Sorry.", tracer=tracer)
    threads = itertools.count()
    conversation = remembered(bounded, place, model, tracer) if memory else None

    def ask() -> str:
        if conversation is None:
            answer = bounded(QUESTION)
        else:
            answer = conversation(QUESTION, thread=str(next(threads)))
        assert not answer.problem, answer.problem
        return answer.text

    return ask


def full(uri: str, place: Path) -> Callable[[], str]:
    """Return the conversation with everything that a request to a customer passes."""
    app = build(load_config(overrides={"paths.state": str(place / "app"), "tracking.uri": uri}))
    app.sync_tables()
    signing = SigningKeys(place / "keys.json")
    now = int(time.time())
    claims = {"iss": "https://issuer.example", "aud": "agentops", "sub": "kari", "jti": "1"}
    claims |= {"tenant": "torvik", "roles": ["technician"], "scope": "ask"}
    token = signing.sign({**claims, "iat": now, "exp": now + 36_000})
    verifier = Verifier(
        Keys(signing.public()), issuer="https://issuer.example", audience="agentops"
    )
    model: Any = ScriptedChat(script=reply)
    registry = Registry(
        [FunctionTool(torque, roles=("technician",))],
        audit=AuditFile(place / "audit", mask=app.mask),
        tracer=app.tracer,
        gate=app.approvals.gate,
        inspect=app.guards.result,
    )
    loop = loop_over(registry, model, app.tracer)
    bounded = Bounded(
        app.guarded(loop), Allowance(seconds=60, steps=16), reply="Sorry.", tracer=app.tracer
    )
    threads = itertools.count()
    conversation = remembered(bounded, place, model, app.tracer)

    def ask() -> str:
        request = Request().of(verifier.verify(token))
        answer = conversation(QUESTION, thread=f"full {next(threads)}", request=request)
        assert not answer.problem, answer.problem
        return str(answer.text)

    return ask


def remembered(agent: Any, place: Path, model: Any, tracer: Tracer) -> Any:
    """Return a conversation around an agent, as `agentops chat` has it."""
    memory = Memory(
        load_config().memory,
        chat=lambda: model,
        embeddings=HashEmbeddings,
        prompts=lambda _: PROMPTS,
        path=lambda _: place / "memory.db",
        load=str,
        usage_of=usage_of,
        tracer=tracer,
    )
    return memory.conversation(agent)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        uri = f"sqlite:///{place}/mlflow.db"
        ways = {
            "create_agent": bare(uri),
            "loop": ours(uri, Path(place)),
            "untraced": ours(uri, Path(place), traced=False),
            "conversation": ours(uri, Path(place), memory=True),
            "supervisor": ours(uri, Path(place), supervised=True),
            "full": full(uri, Path(place)),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(WARM + REQUESTS):
            for name, ask in ways.items():
                started = time.perf_counter()
                assert "18 Nm" in ask()
                if number >= WARM:
                    took[name].append(time.perf_counter() - started)
    base = took["create_agent"]
    for name, what in WAYS.items():
        p50, p99 = np.percentile(took[name], [50, 99])
        base50, base99 = np.percentile(base, [50, 99])
        write(
            f"agent_overhead_{name}",
            "LangChain create_agent with MLflow autologging",
            took[name],
            base,
            what=f"one request, one tool call, no latency: {what}",
            target=2.0 if name in ("loop", "conversation", "full") else None,
            p50_ms_ours=round(1000 * p50, 2),
            p99_ms_ours=round(1000 * p99, 2),
            p50_ms_theirs=round(1000 * base50, 2),
            p99_ms_theirs=round(1000 * base99, 2),
        )


if __name__ == "__main__":
    main()
