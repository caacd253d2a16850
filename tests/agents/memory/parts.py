"""What the tests of memory are made of: prompts, scripted models, agents."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from agentops_ref.agents.memory import Ask, Fact, FactSource, Standalone, Summariser, new_fact
from agentops_ref.agents.memory.facts import Certainty
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.request import Request
from agentops_ref.config import shipped_config_dir
from agentops_ref.records import Answer, Citation, Usage
from agentops_ref.testing import ScriptedChat

PROMPTS = shipped_config_dir() / "prompts"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
WHO, TENANT = "customer C1001", "torvik"
_MESSAGES = itertools.count()


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


def usage_of(message: Any) -> Usage:
    return Usage(10, 2, 0.001, 1)


def ask(model: ScriptedChat, prompt: str) -> Ask:
    return Ask(model, load_prompt(PROMPTS, prompt), usage_of)


def standalone(model: ScriptedChat) -> Standalone:
    return Standalone(ask(model, "standalone.md"))


def summariser(model: ScriptedChat, most: int = 300) -> Summariser:
    return Summariser(ask(model, "thread_summary.md"), most=most)


class Echo:
    """An agent that answers with the question, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        self.asked.append(question)
        citation = Citation("manuals/a.pdf", "abc", 3, "18 Nm")
        return Answer(
            f"answer to {question}", False, (citation,), usage=Usage(1, 1, 0, 1), model="echo"
        )


def fact(
    text: str,
    *,
    day: float = 0,
    attribute: str = "availability",
    subject: str = WHO,
    tenant: str = TENANT,
    certainty: Certainty = "stated",
    until: float | None = None,
    thread: str = "t1",
    message: str | None = None,
) -> Fact:
    return new_fact(
        tenant=tenant,
        subject=subject,
        attribute=attribute,
        text=text,
        source=FactSource(thread, message or f"m{next(_MESSAGES)}", "customer"),
        learned_at=START + timedelta(days=day),
        certainty=certainty,
        valid_until=None if until is None else START + timedelta(days=until),
    )
