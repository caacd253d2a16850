"""The real models, once their weights are there. Short: a laptop answers in seconds, not in ms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from agentops_ref.config import load_config
from agentops_ref.errors import ContextOverflow
from agentops_ref.models.factory import chat_model, embedding_model
from agentops_ref.models.weights import status
from tests.models.fakes import collected

# Read at import: the tests themselves get no ``AGENTOPS_`` variables.
WEIGHTS = load_config().weights
ABSENT = [found.name for found in status(WEIGHTS) if found.state != "present"]

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(ABSENT), reason="model weights are not on this machine: agentops models pull"
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BaseChatModel:
    config = load_config(overrides=["models.mode=live", "models.chat.max_output_tokens=60"])
    return chat_model(
        config.models,
        recordings=tmp_path_factory.mktemp("recordings"),
        weights=WEIGHTS,
        prompts=config.prompts("tool_step.md"),
    )


class Fault(BaseModel):
    """A fault code with its cause."""

    code: str
    cause: Literal["sensor", "pump", "fan"]


@tool
def work_order(order_id: str) -> str:
    """Look up a work order by its id."""
    return ""


@tool
def stock(part: str) -> str:
    """How many of a spare part are in stock."""
    return ""


def test_text_and_stream(model: BaseChatModel, capfd: pytest.CaptureFixture[str]) -> None:
    whole = model.invoke("Say hello in one word.")
    streamed = collected(model, "Say hello in one word.")
    assert "hello" in whole.text.lower()
    assert streamed.text == whole.text
    assert streamed.usage_metadata == whole.usage_metadata
    assert whole.response_metadata["answered"] == "live"
    assert capfd.readouterr() == ("", ""), "llama.cpp must not talk"


def test_an_answer_does_not_depend_on_what_was_asked_before(model: BaseChatModel) -> None:
    asking = model.bind(max_tokens=24)
    first = asking.invoke("Explain in about 80 words what a heat pump does.")
    asking.bind(max_tokens=1).invoke("Explain in about 80 words what a fridge does.")
    assert asking.invoke("Explain in about 80 words what a heat pump does.").text == first.text


def test_stop_and_limit(model: BaseChatModel) -> None:
    stopped = model.invoke("Write only: 1, 2, 3, 4, 5, 6", stop=["4"])
    assert "4" not in stopped.text
    cut = model.bind(max_tokens=3).invoke("Write a long poem.")
    assert cut.response_metadata["finish_reason"] == "length"
    assert cut.usage_metadata is not None
    assert cut.usage_metadata["output_tokens"] == 3


def test_structured_output(model: BaseChatModel) -> None:
    found = model.with_structured_output(Fault).invoke("Fault code E41 comes from the fan.")
    assert found == Fault(code="E41", cause="fan")


def test_tools(model: BaseChatModel) -> None:
    asking = model.bind_tools([work_order, stock])
    (call,) = asking.invoke("What is the state of work order WO-1042?").tool_calls
    assert (call["name"], call["args"]) == ("work_order", {"order_id": "WO-1042"})
    (call,) = asking.invoke("How many of the spare part FAN-220 are in stock?").tool_calls
    assert (call["name"], call["args"]) == ("stock", {"part": "FAN-220"})


def test_a_prompt_that_leaves_no_room_is_refused_at_once(model: BaseChatModel) -> None:
    with pytest.raises(ContextOverflow, match="60 are reserved"):
        model.invoke([HumanMessage("word " * 4030)])


def test_embeddings(tmp_path: Path) -> None:
    config = load_config(overrides=["models.mode=live"])
    embeddings: Any = embedding_model(config.models, recordings=tmp_path, weights=WEIGHTS)
    texts = ["Tighten the flange nut to 18 Nm.", "The warranty lasts five years.", "Defrosting."]
    vectors = embeddings.embed_documents(texts)
    query = embeddings.embed_query("What torque does the nut need?")
    near = [sum(a * b for a, b in zip(query, vector, strict=True)) for vector in vectors]
    assert max(near) == near[0]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1, abs=1e-2)
    # A text's vector does not depend on what else was embedded with it.
    assert embeddings.embed_documents(texts[:1]) == vectors[:1]
