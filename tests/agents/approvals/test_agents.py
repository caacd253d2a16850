"""An agent whose action waits says so, whatever its model says; so does whoever asked it."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage

from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.memory import Database
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.remote import answer_json, answer_of
from agentops_ref.agents.request import Request
from agentops_ref.agents.specialists import Router, Specialist
from agentops_ref.agents.supervisor import Supervisor
from agentops_ref.testing import ScriptedChat
from tests.agents.approvals.parts import Desk
from tests.agents.memory.parts import PROMPTS, usage_of

QUESTION = "Pay 500 EUR to Ada"


def loop(desk: Desk, says: str) -> ToolLoop:
    def reply(messages: Any) -> Any:
        if isinstance(messages[-1], ToolMessage):
            return says
        call = {"name": "pay", "args": {"euros": 500, "to": "Ada"}, "id": "c1"}
        return AIMessage("", tool_calls=[call])

    return ToolLoop(
        name="desk",
        registry=desk.registry,
        model=ScriptedChat(script=reply),
        prompt=load_prompt(PROMPTS, "scheduling.md"),
        usage_of=usage_of,
        context_chars=500,
        min_support=0.5,
        max_steps=3,
    )


@pytest.mark.parametrize("says", ["I have paid 500 EUR to Ada.", "NOT DONE", ""])
def test_code_says_what_waits(database: Database, says: str) -> None:
    desk = Desk(database)
    answer = loop(desk, says)(QUESTION, request=Request(tenant="torvik", user="bo", asked=QUESTION))
    assert "pay: not done yet: it waits for approval by the treasurer" in answer.text
    assert not answer.abstained
    assert [step.status for step in answer.steps] == ["waiting"]
    (held,) = desk.approvals.store.list()
    assert answer.waiting == (held.id,)
    assert answer_of(answer_json(answer)) == answer
    assert desk.paid == []


@pytest.mark.parametrize("kind", ["router", "supervisor"])
def test_whoever_asked_the_agent_waits_too(database: Database, kind: str) -> None:
    desk = Desk(database)
    specialist = Specialist("desk", "pays", loop(desk, "It waits."))
    if kind == "router":
        decision = '{"agent": "desk"}'
    else:
        decision = f'{{"tasks": [{{"agent": "desk", "task": "{QUESTION}"}}], "more": false}}'
    common: Any = {"model": ScriptedChat(script=lambda _: decision), "usage_of": usage_of}
    agent: Any = (
        Router([specialist], prompt=load_prompt(PROMPTS, "route.md"), fallback="desk", **common)
        if kind == "router"
        else Supervisor(
            [specialist], prompt=load_prompt(PROMPTS, "supervise.md"), max_tasks=2, **common
        )
    )
    answer = agent(QUESTION, request=Request(tenant="torvik", user="bo", asked=QUESTION))
    (held,) = desk.approvals.store.list()
    assert answer.waiting == (held.id,)
    assert "not done yet" in answer.text
