"""Keys: stable over what cannot change an answer, another one for everything that can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    ToolMessage,
)

from agentops_ref.errors import DeveloperError
from agentops_ref.models.request import messages_of, plain
from agentops_ref.models.store import canonical
from tests.models.fakes import chat, collected, scripted

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def reversed_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_order(value[key]) for key in reversed(value)}
    return [reversed_order(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_a_key_ignores_the_order_of_dictionaries(value: Any) -> None:
    model = chat(Path("unused"), "replay")
    keys = {model.key([HumanMessage("q")], tools=[t]) for t in (value, reversed_order(value))}
    assert len(keys) == 1
    assert json.loads(canonical(value)) == value


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_a_key_changes_with_every_text(texts: list[str]) -> None:
    model = chat(Path("unused"), "replay")
    one, other = texts
    assert model.key([HumanMessage(one)]) != model.key([HumanMessage(other)])
    assert model.key([HumanMessage("q")], [one]) != model.key([HumanMessage("q")], [other])
    assert model.key([HumanMessage("q")], x=one) != model.key([HumanMessage("q")], x=other)


def history(identity: str = "call_1", arguments: Any = None) -> list[BaseMessage]:
    call = {"name": "stock", "args": arguments or {"part": "F"}, "id": identity}
    return [
        HumanMessage("How many?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("7", tool_call_id=identity, name="stock"),
    ]


def test_a_key_changes_with_everything_that_decides_the_answer() -> None:
    folder = Path("unused")
    base, ask = chat(folder, "replay"), [HumanMessage("q")]
    tools = [{"function": {"name": "stock"}}]
    keys = [
        base.key(ask),
        chat(folder, "replay", model_digest="other").key(ask),
        chat(folder, "replay", model_name="other").key(ask),
        chat(folder, "replay", parameters={"temperature": 1.0}).key(ask),
        base.key([AIMessage("q")]),
        base.key([HumanMessage("q", name="bo")]),
        base.key([*ask, *ask]),
        base.key(ask, ["END"]),
        base.key(ask, temperature=0.5),
        base.key(ask, tools=tools),
        base.key(ask, tools=tools, tool_choice="any"),
        chat(folder, "replay", tool_recipe="other prompt").key(ask, tools=tools),
        base.key(ask, response_format={"type": "json_object"}),
        base.key(history()),
        base.key(history(arguments={"part": "G"})),
    ]
    assert len(set(keys)) == len(keys)
    # What cannot change an answer does not change the key.
    assert chat(folder, "replay", tool_recipe="other prompt").key(ask) == keys[0]
    assert chat(folder, "live").key(ask) == keys[0]
    assert base.key(ask, tool_choice=None, stream_usage=True) == keys[0]


def test_the_order_of_a_schema_is_part_of_the_key_and_of_the_file(tmp_path: Path) -> None:
    # Constrained decoding writes the properties in the order of the schema.
    def schema(*names: str) -> dict[str, Any]:
        return {"properties": {name: {"type": "string"} for name in names}, "type": "object"}

    model = chat(tmp_path, "record", scripted)
    keys = {
        model.key([HumanMessage("q")], response_format={"a": schema(*names)})
        for names in (("reason", "answer"), ("answer", "reason"))
    }
    assert len(keys) == 2
    model.invoke("say a", response_format=schema("reason", "answer"))
    (file,) = tmp_path.rglob("*.json")
    asked = json.loads(file.read_text())["request"]["response_format"]
    assert list(asked["properties"]) == ["reason", "answer"]


def test_a_key_ignores_the_ids_that_providers_draw() -> None:
    model = chat(Path("unused"), "replay")
    assert model.key(history("call_1")) == model.key(history("toolu_9f3"))
    text, other = HumanMessage("q", id="a"), HumanMessage("q", id="b")
    assert model.key([text]) == model.key([other])
    blocks = [AIMessage([{"type": "text", "text": "x", "id": i}]) for i in ("lc_1", "lc_2")]
    assert model.key([blocks[0]]) == model.key([blocks[1]])


def test_results_of_two_calls_are_told_apart() -> None:
    calls = [{"name": "stock", "args": {}, "id": i} for i in ("a", "b")]
    results = [ToolMessage("1", tool_call_id="a"), ToolMessage("2", tool_call_id="b")]
    crossed = [ToolMessage("1", tool_call_id="b"), ToolMessage("2", tool_call_id="a")]
    model, asked = chat(Path("unused"), "replay"), AIMessage("", tool_calls=calls)
    assert model.key([asked, *results]) != model.key([asked, *crossed])


def test_a_key_is_the_same_on_every_machine_and_day() -> None:
    # If this fails, every recording made so far is lost: was that meant?
    expected = "330d75321463a7a00e96f04cf84c4e0c40a9ea4f4e2431be1b2432a40c8916e1"
    assert chat(Path("unused"), "replay").key(history(), ["END"]) == expected


def test_recorded_messages_can_be_asked_again() -> None:
    told = plain([*history(), AIMessage("seven", name="bo"), HumanMessage("thanks")])
    assert plain(messages_of(told)) == told


def test_a_request_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeveloperError, match="object"):
        chat(tmp_path, "replay", scripted).invoke("say a", marker=object())


@pytest.mark.parametrize("name", ["model", "tool_recipe"])
def test_the_model_cannot_be_exchanged_for_one_call(name: str, tmp_path: Path) -> None:
    with pytest.raises(DeveloperError, match=f"'{name}' cannot be set .* models.chat"):
        chat(tmp_path, "live", scripted).bind(**{name: "other"}).invoke("say a")


def test_a_streamed_answer_in_the_history_is_the_answer(tmp_path: Path) -> None:
    model = chat(tmp_path, "live", scripted)
    streamed, whole = collected(model, "say a b"), model.invoke("say a b")
    assert type(streamed) is not type(whole)
    assert model.key([streamed]) == model.key([whole])
    call = 'use stock {"part": "F"}'
    assert model.key([collected(model, call)]) == model.key([model.invoke(call)])


def test_roles_of_ones_own_are_told_apart() -> None:
    model = chat(Path("unused"), "replay")
    critic, judge = (ChatMessage("x", role=role) for role in ("critic", "judge"))
    assert model.key([critic]) != model.key([judge])
    assert messages_of(plain([critic])) == [critic]
