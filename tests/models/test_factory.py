"""From YAML to models: providers, what is missing, prices; nothing is loaded by wiring alone."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agentops_ref.config import ModelsConfig, shipped_config_dir
from agentops_ref.errors import (
    ConfigError,
    ContextOverflow,
    ModelError,
    NotRecorded,
    OperatorError,
    TransientError,
)
from agentops_ref.models import factory
from agentops_ref.models.factory import chat_model, embedding_model, ocr_model, usage_of
from agentops_ref.models.problems import translated
from agentops_ref.models.recording import RecordedChat, RecordedEmbeddings
from agentops_ref.records import Usage
from agentops_ref.testing import HashEmbeddings, ScriptedChat, ScriptedOcr
from tests.models.fakes import openai_endpoint, settings

PROMPTS = shipped_config_dir() / "prompts"


def wired(models: ModelsConfig, folder: Path, **update: Any) -> Any:
    return chat_model(
        models.model_copy(update=update), recordings=folder, weights=folder, prompts=PROMPTS
    )


def test_importing_is_cheap_and_the_catalogue_is_true() -> None:
    code = (
        "import sys, agentops_ref.models as m\n"
        "heavy = {'langchain_core', 'numpy', 'onnxruntime', 'xllamacpp', 'rapidocr', 'yaml'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert sorted(m._HOMES) == m.__all__ == dir(m), m.__all__\n"
        "assert all(getattr(m, name) is not None for name in m.__all__)\n"
        "late = {'onnxruntime', 'xllamacpp', 'rapidocr', 'mlflow', 'langchain_openai', 'torch'}\n"
        "assert not late & set(sys.modules), late & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_fakes_do_as_their_docstring_says() -> None:
    import doctest

    import agentops_ref.testing

    assert doctest.testmod(agentops_ref.testing) == (0, 2)


def test_scripted_mode_needs_nothing(tmp_path: Path) -> None:
    models = settings().model_copy(update={"mode": "scripted"})
    chat = wired(models, tmp_path)
    assert isinstance(chat, ScriptedChat)
    assert chat.invoke("[1] Manual, page 3: 18 Nm\nWhat torque?").text == "18 Nm [1]"
    assert chat.invoke("hello").text == "scripted answer"
    vectors = embedding_model(models, recordings=tmp_path, weights=tmp_path)
    assert isinstance(vectors, HashEmbeddings)
    assert isinstance(ocr_model(models, recordings=tmp_path), ScriptedOcr)


def test_hash_embeddings_find_shared_words() -> None:
    texts = ["tighten the flange nut to 18 Nm", "warranty of the compressor", "defrost the coil"]
    vectors = HashEmbeddings().embed_documents(texts)
    query = HashEmbeddings().embed_query("flange nut torque")
    near = [sum(a * b for a, b in zip(query, vector, strict=True)) for vector in vectors]
    assert max(near) == near[0] > 0
    assert sum(value * value for value in vectors[0]) == pytest.approx(1)


def test_a_script_that_is_used_up_says_so() -> None:
    model = ScriptedChat(replies=["a", ModelError("b")])
    assert model.invoke("q").text == "a"
    with pytest.raises(ModelError, match="b"):
        model.invoke("q")
    with pytest.raises(Exception, match="has 2 replies, one more was asked"):
        model.invoke("q")
    assert len(model.asked) == 3


# --- providers --------------------------------------------------------------------------------


def test_wiring_the_local_model_needs_no_weights(tmp_path: Path) -> None:
    model = wired(settings(), tmp_path, mode="replay")
    assert isinstance(model, RecordedChat)
    with pytest.raises(NotRecorded, match="agentops models pull"):
        model.invoke("q")
    vectors = embedding_model(settings(), recordings=tmp_path, weights=tmp_path)
    assert isinstance(vectors, RecordedEmbeddings)
    with pytest.raises(OperatorError, match="agentops models pull"):
        vectors.embed_query("q")


def test_another_tool_prompt_is_another_recording_of_tools(tmp_path: Path) -> None:
    other = tmp_path / "prompts"
    other.mkdir()
    (other / "tool_step.md").write_text("Other words. {tools}")
    one = wired(settings(), tmp_path)
    two = chat_model(settings(), recordings=tmp_path, weights=tmp_path, prompts=other)
    assert isinstance(two, RecordedChat)
    ask, tools = [HumanMessage("q")], [{"function": {"name": "a"}}]
    assert one.key(ask, tools=tools) != two.key(ask, tools=tools)
    assert one.key(ask) == two.key(ask)


def test_a_missing_tool_prompt_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tool_step\.md"):
        chat_model(settings(), recordings=tmp_path, weights=tmp_path, prompts=tmp_path)


def test_an_openai_endpoint_gets_what_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    with openai_endpoint() as (url, asked):
        options = {"base_url": url, "api_key_env": "MY_KEY"}
        models = settings(provider="openai", name="tiny", options=options, seed=3)
        wired(models, tmp_path).invoke("say a", stop=["END"])
    (request,) = asked
    assert request["authorization"] == "Bearer secret"
    assert (request["model"], request["seed"], request["temperature"]) == ("tiny", 3, 0.0)
    assert request["max_completion_tokens"] == models.chat.max_output_tokens
    assert request["stop"] == ["END"]


def test_replaying_an_endpoint_needs_no_key(tmp_path: Path) -> None:
    from tests.models.test_contract import Word, stock

    def ask(models: ModelsConfig, mode: str) -> list[Any]:
        model = wired(models, tmp_path, mode=mode)
        return [
            model.invoke("say a").text,
            model.bind_tools([stock]).invoke('use stock {"part": "F"}').tool_calls,
            model.with_structured_output(Word).invoke('json {"word": "pump", "size": 4}'),
        ]

    with openai_endpoint() as (url, asked):
        options = {"base_url": url, "max_retries": 0}
        recorded = ask(settings(provider="openai", name="tiny", options=options), "record")
        assert len(asked) == 3
        keyed = settings(
            provider="openai", name="tiny", options={**options, "api_key_env": "NOT_SET_ANYWHERE"}
        )
        assert ask(keyed, "replay") == recorded
        assert len(asked) == 3
        with pytest.raises(NotRecorded, match="NOT_SET_ANYWHERE"):
            wired(keyed, tmp_path, mode="replay").invoke("say b")
        with pytest.raises(OperatorError, match="NOT_SET_ANYWHERE"):
            wired(keyed, tmp_path, mode="live").invoke("say b")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ModelError),
        (401, OperatorError),
        (404, OperatorError),
        (429, TransientError),
        (503, TransientError),
    ],
)
def test_what_an_endpoint_answers_says_who_must_act(
    tmp_path: Path, status: int, error: type[Exception]
) -> None:
    with openai_endpoint() as (url, _):
        options = {"base_url": url, "max_retries": 0}
        model = wired(settings(provider="openai", name="tiny", options=options), tmp_path)
        with pytest.raises(error, match="tiny"):
            model.invoke(f"fail {status}")
        with pytest.raises(error, match="tiny"):
            list(model.stream(f"fail {status}"))


def test_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    options = {"base_url": "http://127.0.0.1:9/v1", "max_retries": 0}
    model = wired(settings(provider="openai", name="tiny", options=options), tmp_path)
    with pytest.raises(TransientError):
        model.invoke("q")


def test_errors_are_told_by_their_class_names() -> None:
    overflow = type("ContextOverflowError", (Exception,), {})("too long")
    assert isinstance(translated(overflow, "m"), ContextOverflow)
    assert isinstance(translated(TimeoutError(), "m"), TransientError)
    unknown = KeyError("x")
    assert translated(unknown, "m") is unknown


class Given(ScriptedChat):
    """A provider of somebody else, which takes LangChain's standard arguments."""

    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    region: str = ""


def test_any_langchain_class_is_plugged_in_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "theirs", types.SimpleNamespace(Chat=Given))
    options = {"class": "theirs:Chat", "region": "eu", "temperature": None}
    model = wired(settings(provider="langchain", name="big", options=options), tmp_path)
    assert model.invoke("q").response_metadata["model_name"] == "big"
    made = model.live
    assert (made.model, made.region) == ("big", "eu")
    assert (made.max_tokens, made.temperature) == (200, None)


@pytest.mark.parametrize(
    ("chat", "error", "said"),
    [
        ({"provider": "opnai"}, ConfigError, "did you mean 'openai'"),
        ({"provider": "langchain"}, ConfigError, "options.class is missing"),
        ({"provider": "langchain", "options": {"class": "x"}}, ConfigError, "package.module:name"),
        (
            {"provider": "langchain", "options": {"class": "langchain_nowhere:Chat"}},
            OperatorError,
            "pip install langchain-nowhere",
        ),
        (
            {"provider": "langchain", "options": {"class": "langchain_core.nowhere:Chat"}},
            ConfigError,
            "no module langchain_core.nowhere",
        ),
        (
            {"provider": "langchain", "options": {"class": "langchain_core:Nowhere"}},
            ConfigError,
            "Nowhere",
        ),
        (
            {"provider": "openai", "options": {"base_url": "http://x", "max_retries": "soon"}},
            ConfigError,
            "models.chat.options",
        ),
    ],
)
def test_a_wrong_provider_is_explained(
    tmp_path: Path, chat: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        wired(settings(**chat), tmp_path).invoke("q")


def test_a_provider_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = lambda chat: ScriptedChat(replies=[f"I am {chat.name}"])  # noqa: E731
    monkeypatch.setitem(sys.modules, "ours", types.SimpleNamespace(make=made))
    assert wired(settings(provider="ours:make", name="x"), tmp_path).invoke("q").text == "I am x"


def test_endpoints_are_named_by_what_decides_their_answers(tmp_path: Path) -> None:
    def digest(**options: Any) -> str:
        chat = {"provider": "openai", "digest": None, "options": options}
        return str(wired(settings(**chat), tmp_path).model_digest)

    assert digest(base_url="http://a") != digest(base_url="http://b")
    assert digest(base_url="http://a") == digest(base_url="http://a", timeout=9, api_key_env="K")


@pytest.mark.parametrize("part", ["embedding", "ocr"])
def test_other_parts_explain_a_wrong_provider_too(tmp_path: Path, part: str) -> None:
    models = settings()
    wrong = getattr(models, part).model_copy(update={"provider": "nothing"})
    models = models.model_copy(update={part: wrong})
    make: dict[str, Callable[[], Any]] = {
        "ocr": lambda: ocr_model(models, recordings=tmp_path),
        "embedding": lambda: embedding_model(models, recordings=tmp_path, weights=tmp_path),
    }
    with pytest.raises(ConfigError, match=rf"models\.{part}\.provider: unknown 'nothing'"):
        make[part]()


def test_an_ocr_upgrade_is_another_recipe_on_the_same_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = settings()

    def engine(mode: str = "replay", **ocr: Any) -> Any:
        changed = models.model_copy(update={"mode": mode, "ocr": models.ocr.model_copy(update=ocr)})
        return ocr_model(changed, recordings=tmp_path)

    before = engine()
    assert metadata.version("rapidocr") in before.recipe
    assert before.recipe == engine("live").recipe == engine("record").recipe
    assert before.recipe != engine(options={"Det.limit_side_len": 2000}).recipe
    monkeypatch.setattr(factory.metadata, "version", lambda package: "99")
    assert before.recipe != engine().recipe
    assert before.key(b"image") == engine().key(b"image")
    assert engine(provider="ours:make").recipe.endswith("/ours-99")


# --- prices -----------------------------------------------------------------------------------


def test_cost_is_tokens_times_price_per_million() -> None:
    chat = settings(price_input=2.5, price_output=10.0).chat
    counted = {"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200}
    # 1000 × 2.50 $ / 1e6 + 200 × 10 $ / 1e6 = 0.0025 + 0.0020
    assert usage_of(AIMessage("a", usage_metadata=counted), chat) == Usage(1000, 200, 0.0045, 1)
    assert usage_of(AIMessage("a"), chat) == Usage(calls=1)
    assert usage_of(HumanMessage("a"), chat) == Usage(calls=1)
