"""What guards put before a person: nothing goes on before it was let through, and then once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from agentops_ref.agents.approvals import Approval, Approvals, Decider, NotDecided, Policy, Rule
from agentops_ref.agents.guards import Guarded
from agentops_ref.agents.memory import Database, Threads
from agentops_ref.agents.memory.conversation import Conversation
from agentops_ref.agents.request import Request
from agentops_ref.errors import TransientError
from agentops_ref.records import Answer, Step
from agentops_ref.settings_guards import CheckConfig
from agentops_ref.testing import ScriptedChat
from tests.agents.guards.test_guarded import TOLD, Fixed, guards
from tests.agents.memory.parts import standalone, summariser

BO = Request(tenant="torvik", user="bo")
LEAD = Decider("jon", ("lead",), "torvik")


def nobody(*_: Any) -> Any:
    raise AssertionError("no tool is called")


class Held:
    """An agent with one answer, behind a guard that asks a person about a word."""

    def __init__(self, database: Database, channel: str, answer: str = "fine") -> None:
        self.agent = Fixed(Answer(answer, abstained=False))
        self.approvals = Approvals(
            lambda: database,
            Policy([Rule(("give_*",), role="lead"), Rule(("answer_*",), role=None)], "lead"),
            lasts=timedelta(hours=72),
            answer=self._passed,
        )
        found = guards("bad", channel, verdict="ask")
        self.ask = Guarded(self.agent, found, hold=self.approvals.hold, **TOLD)

    def _passed(self, held: Approval) -> str:
        return self.ask(held.arguments["question"], request=replace(BO, approved=True)).text

    def decide(self, id_: str, *, approve: bool = True, by: Decider = LEAD) -> Approval:
        return self.approvals.decide(id_, approve=approve, by=by, call=nobody)


def test_an_answer_is_held_until_somebody_lets_it_out(database: Database) -> None:
    held = Held(database, "answer", "a bad answer")
    answer = held.ask("what?", request=BO)
    assert (answer.text, answer.problem) == ("a person decides", "ask: word: bad")
    (record,) = held.approvals.store.list()
    assert answer.waiting == (record.id,)
    assert record.arguments == {"question": "what?", "answer": "a bad answer"}
    assert (record.role, record.why, record.requested_by) == ("lead", "word: bad", "bo")
    with pytest.raises(NotDecided):
        held.decide(record.id, by=replace(LEAD, tenant="granmo"))
    assert held.approvals.outcome(record.id) is None
    assert held.decide(record.id).state == "done"
    told = held.approvals.outcome(record.id)
    assert told == "The lead (jon) let this answer out: a bad answer"
    with pytest.raises(NotDecided, match="decided before"):
        held.decide(record.id)
    assert len(held.agent.asked) == 1


def test_a_question_is_answered_when_somebody_lets_it_pass(database: Database) -> None:
    held = Held(database, "user")
    answer = held.ask("a bad question", request=BO)
    assert (answer.text, answer.abstained) == ("a person decides", True)
    assert held.agent.asked == []
    (id_,) = answer.waiting
    assert held.decide(id_).result == "fine"
    assert [question for question, _ in held.agent.asked] == ["a bad question"]
    assert held.approvals.outcome(id_) == "The lead (jon) let the question be answered: fine"


@pytest.mark.parametrize("channel", ["user", "answer"])
def test_not_let_through_it_goes_nowhere(database: Database, channel: str) -> None:
    held = Held(database, channel, "a bad answer")
    (id_,) = held.ask("a bad question", request=BO).waiting
    held.decide(id_, approve=False)
    told = str(held.approvals.outcome(id_))
    assert told.endswith("the lead (jon) did not approve it.")
    assert "bad" not in told
    assert len(held.agent.asked) == (channel == "answer")


def test_a_person_overrules_no_block(database: Database) -> None:
    held = Held(database, "user")
    held.ask = Guarded(held.agent, guards("bad", "user"), hold=held.approvals.hold, **TOLD)
    answer = held.ask("a bad question", request=replace(BO, approved=True))
    assert answer.problem == "block: word: bad"
    assert answer.waiting == ()
    assert held.agent.asked == []


def test_nobody_is_asked_about_half_an_answer(database: Database) -> None:
    held = Held(database, "answer")

    def agent(question: str, *, request: Request) -> Answer:
        request.kept.answer = Answer("a bad half", abstained=False)
        assert request.kept.answer.text == "a person decides"
        return Answer("whole", abstained=False)

    ask = Guarded(agent, held.ask.guards, hold=held.approvals.hold, **TOLD)  # type: ignore[arg-type]
    assert ask("what?", request=BO).text == "whole"
    assert held.approvals.store.list(every=True) == []


def test_what_was_done_before_is_told_and_waits_beside(database: Database) -> None:
    held = Held(database, "answer")
    booked = Step("scheduling", "book", "{}", status="ok")
    held.agent.answer = Answer("bad", abstained=False, steps=(booked,), waiting=("other",))
    held.ask = Guarded(
        held.agent,
        held.ask.guards,
        hold=held.approvals.hold,
        writes=lambda: ["book"],
        **TOLD,
    )
    answer = held.ask("what?", request=BO)
    assert answer.text == "a person decides Done before: book {}."
    assert answer.waiting[0] == "other"
    assert len(answer.waiting) == 2


def test_where_no_record_can_be_kept_nothing_is_given_out(database: Database) -> None:
    held = Held(database, "answer", "a bad answer")

    def gone(*_: Any) -> str:
        raise TransientError("the database is locked")

    with pytest.raises(TransientError):
        Guarded(held.agent, held.ask.guards, hold=gone, **TOLD)("what?", request=BO)


def test_an_answer_that_fails_after_all_says_so(database: Database) -> None:
    held = Held(database, "user")
    (id_,) = held.ask("a bad question", request=BO).waiting

    def broken(question: str, *, request: Request | None = None) -> Answer:
        raise ValueError("no model")

    held.ask = broken  # type: ignore[assignment]
    done = held.decide(id_)
    assert (done.state, "no model" in done.result) == ("failed", True)


@pytest.mark.parametrize("channel", ["user", "answer"])
def test_a_conversation_waits_and_is_told(database: Database, channel: str) -> None:
    held = Held(database, channel, "a bad answer")
    model = ScriptedChat(script=lambda messages: "nothing")
    talk = Conversation(
        held.ask,
        Threads(database, version="1"),
        standalone=standalone(model),
        summariser=summariser(model),
        budget=10_000,
        outcome=held.approvals.outcome,
    )
    (id_,) = talk("a bad question", thread="t", request=BO).waiting
    assert talk.threads.read("t").waiting
    held.decide(id_)
    assert talk.tell("t")
    texts = [message.text for message in talk.threads.read("t").messages]
    assert texts[:2] == ["a bad question", "a person decides"]
    assert texts[2].startswith("The lead (jon) let ")
    assert texts[2].endswith("a bad answer")
    assert not talk.threads.read("t").waiting


def test_what_is_found_within_cannot_wait_for_a_person() -> None:
    with pytest.raises(ValidationError, match="ask is for the channels user and answer"):
        CheckConfig(guard="links", channels=["document"], on_hit="ask")
