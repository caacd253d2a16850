"""A conversation that waits for a person: it stops, others go on, it is told, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentops_ref.agents.memory import Database, Threads
from agentops_ref.agents.memory.conversation import Conversation
from agentops_ref.agents.memory.threads import Durability
from agentops_ref.agents.request import Request
from agentops_ref.records import Answer
from agentops_ref.testing import ScriptedChat
from tests.agents.approvals.parts import ASKER, Desk
from tests.agents.memory.parts import standalone, summariser

BO = Request(tenant="torvik", user="bo")


class Paying:
    """An agent that pays the number that a question holds."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.asked = desk, 0

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        assert request is not None
        self.asked += 1
        euros = [int(word) for word in question.split() if word.isdigit()]
        if not euros:
            return Answer("hello", abstained=False)
        caller = replace(ASKER, request=request.id, thread=request.thread, said=request.asked)
        result = self.desk.ask(caller, euros=euros[0])
        waiting = (str(result.value),) if result.status == "waiting" else ()
        return Answer(result.text, abstained=False, waiting=waiting)


def talk(
    database: Database, *, durability: Durability = "exit"
) -> tuple[Conversation, Desk, Paying]:
    desk = Desk(database)
    agent, model = Paying(desk), ScriptedChat(script=lambda messages: "hello again")
    made = Conversation(
        agent,
        Threads(database, version="1", durability=durability),
        standalone=standalone(model),
        summariser=summariser(model),
        budget=10_000,
        outcome=desk.approvals.outcome,
    )
    return made, desk, agent


def texts(conversation: Conversation, thread: str = "a") -> list[str]:
    return [message.text for message in conversation.threads.read(thread).messages]


@pytest.mark.parametrize("durability", ["exit", "sync"])
def test_it_stops_and_is_told(database: Database, durability: Durability) -> None:
    ask, desk, agent = talk(database, durability=durability)
    answer = ask("pay 500 to Ada", thread="a", request=BO)
    assert answer.text.startswith("not done yet")
    assert ask.threads.read("a").waiting
    (id_,) = answer.waiting
    desk.decide(id_)
    # Another process wakes it: a graph of its own, which knows nothing but the database.
    other, _, nobody = talk(database, durability=durability)
    assert other.tell("a")
    assert texts(ask) == [
        "pay 500 to Ada",
        "not done yet: it waits for approval by the treasurer (above 100 EUR)",
        "pay was approved by the treasurer (ida) and done: paid 500 EUR to Ada.",
    ]
    held = ask.threads.read("a")
    assert not held.waiting
    assert (agent.asked, nobody.asked) == (1, 0)
    assert not other.tell("a")
    assert desk.paid == [(500, "Ada")]


def test_whoever_resumes_it_decides_nothing(database: Database) -> None:
    from langgraph.types import Command

    ask, desk, _ = talk(database)
    ask("pay 500 to Ada", thread="a", request=BO)
    before = texts(ask)
    for said in ("approve", {"approve": True}, True):
        ask.threads.turn(ask.graph, "a", Command(resume=said))
    assert ask.tell("a")
    assert texts(ask) == before
    assert ask.threads.read("a").waiting
    assert desk.paid == []


def test_the_user_goes_on_talking_meanwhile(database: Database) -> None:
    ask, desk, _ = talk(database)
    (id_,) = ask("pay 500 to Ada", thread="a", request=BO).waiting
    assert ask("hello", thread="a", request=BO).text == "hello"
    assert ask.threads.read("a").waiting
    desk.decide(id_)
    assert ask.tell("a")
    assert (
        texts(ask)[-1] == "pay was approved by the treasurer (ida) and done: paid 500 EUR to Ada."
    )


def test_what_was_decided_before_the_turn_ended_is_told_in_it(database: Database) -> None:
    ask, desk, agent = talk(database)
    real = agent.desk.ask

    def hasty(*given: Any, **more: Any) -> Any:
        result = real(*given, **more)
        desk.decide(result.value, approve=False)
        return result

    agent.desk.ask = hasty  # type: ignore[method-assign]
    ask("pay 500 to Ada", thread="a", request=BO)
    assert not ask.threads.read("a").waiting
    assert texts(ask)[-1] == "pay was not done: the treasurer (ida) did not approve it."


def test_of_two_that_wait_each_is_told_when_it_is_decided(database: Database) -> None:
    ask, desk, _ = talk(database)
    (first,) = ask("pay 500 to Ada", thread="a", request=BO).waiting
    ask("pay 600 to Ada", thread="a", request=BO)
    (second,) = {one.id for one in desk.approvals.store.list()} - {first}
    desk.decide(second)
    ask.tell("a")
    assert "600 EUR" in texts(ask)[-1]
    assert ask.threads.read("a").waiting
    desk.decide(first)
    ask.tell("a")
    assert "500 EUR" in texts(ask)[-1]
    assert not ask.threads.read("a").waiting


def test_what_nobody_decides_is_told_with_the_next_question(database: Database) -> None:
    ask, desk, _ = talk(database)
    ask("pay 500 to Ada", thread="a", request=BO)
    desk.clock.pass_(hours=72)
    ask("hello", thread="a", request=BO)
    assert "nobody decided until" in texts(ask)[-1]
    assert not ask.threads.read("a").waiting


def test_asked_again_after_a_lost_answer_it_is_the_same_action(database: Database) -> None:
    ask, desk, agent = talk(database)
    first = ask("pay 500 to Ada", thread="a", message="m1", request=BO)
    again = ask("pay 500 to Ada", thread="a", message="m1", request=BO)
    assert (again.text, again.waiting) == (first.text, first.waiting)
    assert agent.asked == 1
    assert len(desk.approvals.store.list()) == 1


def test_the_policy_is_given_the_users_words_and_not_a_models(database: Database) -> None:
    ask, desk, agent = talk(database)
    heard = []
    agent.desk.ask = lambda caller, **given: (
        heard.append(caller.said)
        or desk.registry.call(  # type: ignore[method-assign,func-returns-value]
            "pay", {"euros": 1, "to": "Ada"}, caller
        )
    )
    ask("pay 7 to Ada", thread="a", request=replace(BO, asked="forged"))
    ask("once more", thread="a", request=BO)
    assert heard == ["pay 7 to Ada"]  # the second question, as the model puts it, pays nobody
