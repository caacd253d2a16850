"""A summary is extended, a follow-up made to stand alone; each with one call at most."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agentops_ref.agents.limits import Allowance, LimitReached, Limits
from agentops_ref.agents.memory.summary import codes
from agentops_ref.errors import ModelError
from agentops_ref.records import Usage
from agentops_ref.testing import ScriptedChat
from tests.agents.memory.parts import standalone, summariser

HISTORY = [HumanMessage("What does an NL-8 weigh?"), AIMessage("82 kg.")]


def test_a_summary_is_extended_and_its_old_words_are_kept() -> None:
    model = ScriptedChat(replies=["The NL-8 weighs 82 kg.", "It has shown E41 since Monday."])
    summarise = summariser(model)
    first = summarise.extend("", HISTORY)
    assert first == ("The NL-8 weighs 82 kg.", Usage(10, 2, 0.001, 1))
    second = summarise.extend(first.text, [HumanMessage("It has shown E41 since Monday")])
    assert second.text == "The NL-8 weighs 82 kg.\nIt has shown E41 since Monday."
    shown = model.asked[1][-1].text
    assert "The NL-8 weighs 82 kg." in shown
    assert "User: It has shown E41" in shown
    assert "What does an NL-8 weigh?" not in shown  # what is summarised is not read again


def test_nothing_to_summarise_asks_nothing() -> None:
    model = ScriptedChat(replies=[])
    assert summariser(model).extend("so far", []) == ("so far", Usage())
    assert model.asked == []


def test_what_the_model_repeats_is_not_added_twice() -> None:
    model = ScriptedChat(replies=["The NL-8 weighs 82 kg.\nIt shows E41."])
    longer = summariser(model).extend("The NL-8 weighs 82 kg.", HISTORY)
    assert longer.text == "The NL-8 weighs 82 kg.\nIt shows E41."


def test_a_summary_that_grew_too_long_is_condensed_with_one_more_call() -> None:
    model = ScriptedChat(replies=["b" * 30, "short", "c" * 90, "d" * 90])
    summarise = summariser(model, most=40)
    longer = summarise.extend("a" * 30, HISTORY)
    assert longer.text == "short"
    assert longer.usage.calls == 2
    assert len(summarise.extend("a" * 30, HISTORY).text) == 40  # even if the model does not listen


def test_an_empty_summary_is_an_error_so_that_messages_are_kept() -> None:
    with pytest.raises(ModelError, match="came back empty"):
        summariser(ScriptedChat(replies=["  "])).extend("", HISTORY)


def test_a_follow_up_stands_alone() -> None:
    model = ScriptedChat(replies=["What does an\n NL-12 weigh? "])
    standing = standalone(model)("And the NL-12?", HISTORY, summary="The user is in Bergen.")
    assert standing == ("What does an NL-12 weigh?", Usage(10, 2, 0.001, 1), True)
    shown = model.asked[0][-1].text
    assert "The user is in Bergen.\nUser: What does an NL-8 weigh?\nAssistant: 82 kg." in shown


def test_without_history_nothing_is_asked() -> None:
    model = ScriptedChat(replies=[])
    assert standalone(model)("What does an NL-8 weigh?", []).usage == Usage()
    assert model.asked == []


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "What does it weigh?",  # the model of the question is lost
        "What does an NL-12 G2 with serial NL12-230001 weigh?",  # a serial number is invented
        "word " * 200 + "NL-12",
    ],
)
def test_a_rewritten_question_with_other_codes_is_not_taken(reply: str) -> None:
    standing = standalone(ScriptedChat(replies=[reply]))("And the NL-12?", HISTORY)
    assert standing.text == "And the NL-12?"
    assert not standing.rewritten
    assert standing.usage.calls == 1  # it was paid for


def test_a_code_of_the_history_may_come_in() -> None:
    rewritten = "How is the NL-8 of 82 kg carried?"
    assert standalone(ScriptedChat(replies=[rewritten]))("How is it carried?", HISTORY).rewritten


def test_codes_are_what_has_a_digit() -> None:
    assert codes("The nl-8 (2.4 kg), E41. Serial NL8-240001?") == {
        "NL-8", "2.4", "E41", "NL8-240001",
    }  # fmt: skip


def test_a_request_that_may_not_ask_does_not() -> None:
    model = ScriptedChat(replies=["never"])
    limits = Limits(Allowance(steps=1))
    limits.spend(Usage(calls=1))
    with pytest.raises(LimitReached):
        standalone(model)("And the NL-12?", HISTORY, limits=limits)
    assert model.asked == []
    ready = Limits(Allowance(steps=1, seconds=30))
    standalone(ScriptedChat(replies=["And the NL-12?"]))("And the NL-12?", HISTORY, limits=ready)
    assert ready.usage.calls == 1
