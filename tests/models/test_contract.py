"""One suite over every chat model: what an agent may rely on, whoever answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import AgentOpsError
from agentops_ref.models.factory import chat_model, usage_of
from agentops_ref.models.recording import RecordedChat
from agentops_ref.testing import ScriptedChat
from tests.models.fakes import (
    FakeServer,
    collected,
    local_chat,
    openai_endpoint,
    script,
    settings,
)


class Word(BaseModel):
    """One word."""

    word: str
    size: int


class WordDict(TypedDict):
    """One word."""

    word: str
    size: int


@tool
def stock(part: str) -> str:
    """How many of a part are in stock."""
    return part


def recorded(make: Any, folder: Path, mode: Any) -> RecordedChat:
    return RecordedChat(
        model_name="m", model_digest="d", parameters={}, mode=mode, folder=folder, make=make
    )


PROVIDERS = (
    "local",
    "scripted",
    "openai",
    "recorded scripted, live",
    "recorded scripted, record",
    "recorded local, record",
    "recorded openai, record",
)


@pytest.fixture(params=PROVIDERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseChatModel]:
    server = FakeServer()
    made: dict[str, Any] = {
        "local": lambda: local_chat(server),
        "scripted": lambda: ScriptedChat(script=script),
    }
    name, _, mode = request.param.removeprefix("recorded ").partition(", ")
    if name == "openai":
        with openai_endpoint() as (url, _):
            options = {"base_url": url, "max_retries": 0}
            chat = settings(provider="openai", name="tiny", options=options)
            yield chat_model(
                chat.model_copy(update={"mode": mode or "live"}),
                recordings=tmp_path,
                weights=tmp_path,
                prompts=shipped_config_dir() / "prompts",
            )
    elif mode:
        yield recorded(made[name], tmp_path, mode)
    else:
        yield made[name]()


def test_text(model: BaseChatModel) -> None:
    reply = model.invoke([("system", "Be brief."), ("user", "say it is 18 Nm")])
    assert reply.text == "it is 18 Nm"
    assert reply.tool_calls == []


def test_usage_and_who_answered(model: BaseChatModel) -> None:
    reply = model.invoke("say it is 18 Nm")
    used = reply.usage_metadata
    assert used is not None
    assert used["output_tokens"] == 4
    assert used["total_tokens"] == used["input_tokens"] + used["output_tokens"]
    about = reply.response_metadata
    assert about["answered"] in ("live", "replay", "scripted")
    assert about["model_name"]
    assert about["finish_reason"] == "stop"
    assert about["live_seconds"] >= 0
    chat = settings(price_input=1.0, price_output=2.0).chat
    cost = (used["input_tokens"] + 2 * used["output_tokens"]) / 1e6
    assert usage_of(reply, chat).cost == pytest.approx(cost)


def test_streaming_equals_invoking(model: BaseChatModel) -> None:
    text = "say two  spaces, a\nline break and ümlauts"
    whole, streamed = model.invoke(text), collected(model, text)
    assert streamed.text == whole.text == text.removeprefix("say ")
    assert streamed.usage_metadata == whole.usage_metadata
    for name in ("model_name", "finish_reason"):
        assert streamed.response_metadata[name] == whole.response_metadata[name]
    assert streamed.response_metadata["answered"] in ("live", "replay", "scripted")
    assert len(list(model.stream(text))) > 3


def test_an_empty_answer(model: BaseChatModel) -> None:
    assert model.invoke("say ").text == ""
    assert collected(model, "say ").text == ""


def test_stop(model: BaseChatModel) -> None:
    assert model.invoke("say one two END three", stop=["END"]).text.strip() == "one two"
    assert collected(model, "say one two END three", stop=["END"]).text.strip() == "one two"


@pytest.mark.parametrize("schema", [Word, WordDict, Word.model_json_schema()])
def test_structured_output(model: BaseChatModel, schema: Any) -> None:
    found = model.with_structured_output(schema).invoke('json {"word": "pump", "size": 4}')
    found = found.model_dump() if isinstance(found, BaseModel) else found
    assert found == {"word": "pump", "size": 4}


def test_structured_output_with_the_raw_message(model: BaseChatModel) -> None:
    asking = model.with_structured_output(Word, include_raw=True)
    good = asking.invoke('json {"word": "pump", "size": 4}')
    assert isinstance(good, dict)
    assert good["parsed"] == Word(word="pump", size=4)
    assert good["parsing_error"] is None
    assert isinstance(good["raw"], AIMessage)


def test_an_answer_that_does_not_fit_the_schema_is_an_error(model: BaseChatModel) -> None:
    with pytest.raises((AgentOpsError, ValueError)):
        model.with_structured_output(Word).invoke('json {"word": "pump"')


def test_a_tool_call(model: BaseChatModel) -> None:
    reply = model.bind_tools([stock]).invoke('use stock {"part": "FAN-220"}')
    (call,) = reply.tool_calls
    assert (call["name"], call["args"]) == ("stock", {"part": "FAN-220"})
    assert call["id"]
    assert reply.response_metadata["finish_reason"] == "tool_calls"
    streamed = collected(model.bind_tools([stock]), 'use stock {"part": "FAN-220"}')
    assert [(c["name"], c["args"]) for c in streamed.tool_calls] == [("stock", {"part": "FAN-220"})]


def test_tools_offered_and_not_used(model: BaseChatModel) -> None:
    reply = model.bind_tools([stock]).invoke("say hello")
    assert (reply.text, reply.tool_calls) == ("hello", [])


def test_a_finished_tool_exchange_in_the_history(model: BaseChatModel) -> None:
    call = {"name": "stock", "args": {"part": "FAN-220"}, "id": "call_9"}
    history = [
        HumanMessage("How many?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("7", tool_call_id="call_9", name="stock"),
        HumanMessage("say seven"),
    ]
    assert model.bind_tools([stock]).invoke(history).text == "seven"


def test_an_error_says_who_must_act(model: BaseChatModel) -> None:
    with pytest.raises(AgentOpsError):
        model.invoke("fail 400")
    with pytest.raises(AgentOpsError):
        list(model.stream("fail 400"))


def test_async_and_batch(model: BaseChatModel) -> None:
    assert asyncio.run(model.ainvoke("say hello")).text == "hello"
    assert [reply.text for reply in model.batch(["say a", "say b"])] == ["a", "b"]

    async def streamed() -> str:
        return "".join([str(chunk.text) async for chunk in model.astream("say a b")])

    assert asyncio.run(streamed()) == "a b"
