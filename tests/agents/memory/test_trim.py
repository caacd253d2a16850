"""Trimming keeps whole turns, and the newest one whatever it costs."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agentops_ref.agents.memory import transcript, trimmed, turns


def size(messages: Sequence[BaseMessage]) -> int:
    return sum(len(message.text) for message in messages)


def call(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "find", "args": {}, "id": one} for one in ids])


@st.composite
def conversations(draw: st.DrawFn) -> list[BaseMessage]:
    text = st.text("abc ", min_size=0, max_size=12)
    made: list[BaseMessage] = [SystemMessage(draw(text)) for _ in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        made.append(AIMessage(draw(text)))  # a greeting
    number = 0
    for _ in range(draw(st.integers(0, 6))):
        made.append(HumanMessage(draw(text)))
        for _ in range(draw(st.integers(0, 3))):
            ids = [str(number + i) for i in range(draw(st.integers(1, 3)))]
            number += len(ids)
            made.append(call(*ids))
            made.extend(ToolMessage(draw(text), tool_call_id=one) for one in ids)
        if draw(st.booleans()):
            made.append(AIMessage(draw(text)))
    return made


@given(conversations(), st.integers(0, 120))
def test_calls_keep_their_results_and_the_newest_question_stays(
    messages: list[BaseMessage], budget: int
) -> None:
    kept, dropped = trimmed(messages, budget, count=size)
    called = {one["id"] for m in kept if isinstance(m, AIMessage) for one in m.tool_calls}
    answered = {m.tool_call_id for m in kept if isinstance(m, ToolMessage)}
    assert called == answered
    questions = [m for m in messages if m.type == "human"]
    if questions:
        assert any(m is questions[-1] for m in kept)
    # Nothing is lost, added or moved.
    head = [m for m in kept if m.type == "system"]
    assert [*head, *dropped, *kept[len(head) :]] == messages
    # It fits, unless the newest turn alone does not.
    newest = turns(messages[len(head) :])[-1:]
    assert size(kept) <= budget or kept == [*head, *(newest[0] if newest else [])]
    # As much is kept as fits: one more turn would be too much.
    if dropped:
        assert size([*kept, *turns(dropped)[-1]]) > budget


def test_a_conversation_is_cut_between_turns() -> None:
    messages = [
        SystemMessage("s"),
        HumanMessage("one"),
        call("1"),
        ToolMessage("result", tool_call_id="1"),
        AIMessage("first"),
        HumanMessage("two"),
        AIMessage("second"),
    ]
    kept, dropped = trimmed(messages, 17, count=size)
    assert [m.text for m in kept] == ["s", "two", "second"]
    assert [m.text for m in dropped] == ["one", "", "result", "first"]
    assert trimmed(messages, 0, count=size).kept == kept
    assert trimmed(messages, 100, count=size).dropped == []
    assert trimmed([], 10) == ([], [])


def test_tokens_are_estimated_when_nobody_counts() -> None:
    messages = [HumanMessage("a" * 400), AIMessage("b"), HumanMessage("c"), AIMessage("d")]
    assert len(trimmed(messages, 60).kept) == 2
    assert len(trimmed(messages, 200).kept) == 4


def test_a_transcript_names_who_said_what() -> None:
    messages = [
        SystemMessage("hidden"),
        HumanMessage("How\nheavy?"),
        call("1"),
        ToolMessage("x" * 700, tool_call_id="1", name="find"),
        AIMessage("80 kg"),
    ]
    lines = transcript(messages).splitlines()
    assert lines[0] == "User: How heavy?"
    assert lines[1].startswith("Result of find: xxx")
    assert lines[1].endswith(" [...]")
    assert lines[2:] == ["Assistant: 80 kg"]
