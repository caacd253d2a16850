"""A conversation: follow-ups stand alone, old turns become a summary, calls are counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.agents.memory import Database, Threads
from agentops_ref.agents.memory.conversation import Conversation
from agentops_ref.agents.memory.threads import Durability
from agentops_ref.agents.request import Request
from agentops_ref.errors import ModelError
from agentops_ref.records import Answer
from agentops_ref.testing import ScriptedChat
from tests.agents.memory.parts import Echo, standalone, summariser


def talk(
    database: Database, agent: Any, *replies: str | Exception, budget: int = 10_000
) -> tuple[Conversation, ScriptedChat]:
    model = ScriptedChat(replies=list(replies))
    made = Conversation(
        agent,
        Threads(database, version="1"),
        standalone=standalone(model),
        summariser=summariser(model),
        budget=budget,
        count=lambda messages: sum(len(m.text) for m in messages),
    )
    return made, model


def test_the_agent_is_asked_a_question_that_stands_alone(database: Database) -> None:
    agent = Echo()
    ask, model = talk(database, agent, "What does an NL-12 weigh?")
    first = ask("What does an NL-8 weigh?", thread="a")
    assert first.usage.calls == 1  # the agent's; nothing to rewrite, nothing to summarise
    assert model.asked == []
    second = ask("And the NL-12?", thread="a")
    assert agent.asked == ["What does an NL-8 weigh?", "What does an NL-12 weigh?"]
    assert second.text == "answer to What does an NL-12 weigh?"
    assert second.usage.calls == 2
    assert first.steps == ()
    assert [(s.agent, s.action, s.input) for s in second.steps] == [
        ("memory", "question", "What does an NL-12 weigh?")
    ]
    # The thread holds what was said, not what was made of it.
    assert [m.text for m in ask.threads.read("a").messages][2] == "And the NL-12?"


def test_old_turns_become_a_summary_that_the_next_question_is_read_with(
    database: Database,
) -> None:
    agent = Echo()
    ask, model = talk(
        database, agent, "q2", "The user is Ann.", "q3", "She has an NL-8.", budget=20
    )
    ask("I am Ann", thread="a")
    second = ask("q2", thread="a")
    assert second.usage.calls == 3  # rewrite, agent, summary
    held = ask.threads.read("a")
    assert [m.text for m in held.messages] == ["q2", "answer to q2"]
    assert held.summary == "The user is Ann."
    ask("q3", thread="a")
    assert "The user is Ann.\nUser: q2" in model.asked[2][-1].text
    assert ask.threads.read("a").summary == "The user is Ann.\nShe has an NL-8."
    assert "I am Ann" not in model.asked[3][-1].text


def test_a_summary_that_fails_loses_nothing(database: Database) -> None:
    ask, _ = talk(database, Echo(), "q2", ModelError("cut"), "q3", "Notes of two turns.", budget=30)
    ask("q1", thread="a")
    ask("a longer second question q2", thread="a")
    held = ask.threads.read("a")
    assert len(held.messages) == 4
    assert held.summary == ""
    ask("q3", thread="a")
    held = ask.threads.read("a")
    assert [m.text for m in held.messages] == ["q3", "answer to q3"]
    assert held.summary == "Notes of two turns."


def test_a_request_without_a_call_left_keeps_its_answer(database: Database) -> None:
    ask, model = talk(database, Echo(), "q2", budget=20)
    ask("a first question", thread="a")
    limits = Limits(Allowance(steps=1))
    assert ask("q2", thread="a", request=Request(limits=limits)).text == "answer to q2"
    assert len(model.asked) == 1  # to stand alone; the summary waits for the next turn
    assert len(ask.threads.read("a").messages) == 4
    refused = ask("q3", thread="a", request=Request(limits=limits))
    assert refused.problem == "limit: the request's steps are used up: 1 of 1"
    assert len(ask.threads.read("a").messages) == 4


def test_a_message_that_was_answered_is_answered_again_without_a_model(
    database: Database,
) -> None:
    agent = Echo()
    ask, _ = talk(database, agent)
    first = ask("What torque?", thread="a", message="m1")
    again = ask("What torque?", thread="a", message="m1")
    assert (again.text, again.citations, again.model) == (first.text, first.citations, "echo")
    assert again.usage.calls == 0
    assert len(agent.asked) == 1
    assert len(ask.threads.read("a").messages) == 2


def test_a_message_that_is_sent_twice_at_once_is_answered_once(database: Database) -> None:
    agent = Echo()
    ask, _ = talk(database, agent)
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(ask, "What torque?", thread="a", message="m1") for _ in range(2)]
        answers = [one.result() for one in sent]
    assert {one.text for one in answers} == {"answer to What torque?"}
    assert len(agent.asked) == 1


def test_an_agent_that_fails_can_be_asked_again(database: Database) -> None:
    class Fails(Echo):
        def __call__(self, question: str, *, request: Request | None = None) -> Answer:
            if not self.asked:
                self.asked.append("failed")
                raise RuntimeError("no connection")
            return super().__call__(question, request=request)

    ask, _ = talk(database, Fails())
    assert ask("q1", thread="a", message="m1").problem == "failed: no connection"
    assert ask.threads.read("a").messages == ()
    assert ask("q1", thread="a", message="m1").text == "answer to q1"
    assert len(ask.threads.read("a").messages) == 2


@pytest.mark.parametrize("durability", ["exit", "sync"])
def test_filters_reach_the_agent_and_not_the_thread(
    database: Database, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    class Filtered(Echo):
        def __call__(self, question: str, *, request: Request | None = None) -> Answer:
            assert request is not None
            seen.append((request.filters, request.thread))
            return super().__call__(question, request=request)

    ask, _ = talk(database, Filtered())
    ask.threads = Threads(database, version="1", durability=durability)
    request = Request(limits=Limits(Allowance(seconds=60)), filters={"tenant": "hidden"})
    answer = ask("q1", thread="a", owner="torvik/ann", request=request)
    assert answer.hits == ()
    assert seen == [({"tenant": "hidden"}, "a")]
    place: Any = {"configurable": {"thread_id": "a"}}
    everything = [
        (held.checkpoint, held.metadata, held.pending_writes)
        for held in ask.threads.saver.list(place)
    ]
    assert "q1" in str(everything)
    for word in ("hidden", "Limits", "Usage", "Hit("):
        assert word not in str(everything)
    assert "Blocked" not in caplog.text
    values = ask.threads.read("a", owner="torvik/ann").values
    assert not {"filters", "limits", "reply", "usage", "question"} & set(values)
