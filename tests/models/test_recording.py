"""Recordings: stable keys, replay without the model, and errors that say what to do."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda

from agentops_ref.errors import (
    DeveloperError,
    ModelError,
    NotRecorded,
    OperatorError,
    TransientError,
)
from agentops_ref.models.ocr import OcrLine
from agentops_ref.models.recording import (
    RecordedChat,
    RecordedEmbeddings,
    RecordedOcr,
    prune,
)
from agentops_ref.models.request import messages_of, plain
from agentops_ref.models.store import LOG, JsonStore, canonical
from agentops_ref.testing import HashEmbeddings, ScriptedChat, ScriptedOcr
from tests.models.fakes import FakeServer, collected, local_chat, script


class Factory:
    """Makes the live model, and counts how often it was asked to."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make, self.calls = make, 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.make()


def absent() -> Any:
    raise OperatorError("model weights not found: /cache/model.gguf; run: agentops models pull")


def chat(folder: Path, mode: Any, make: Callable[[], Any] = absent, **changes: Any) -> RecordedChat:
    given: dict[str, Any] = {
        "model_name": "tiny",
        "model_digest": "abc",
        "parameters": {"temperature": 0.0, "max_tokens": 9, "seed": 7},
    }
    return RecordedChat(mode=mode, folder=folder, make=make, **(given | changes))


def scripted() -> ScriptedChat:
    return ScriptedChat(script=script)


# --- replay -----------------------------------------------------------------------------------


def test_what_was_recorded_is_replayed_without_making_the_model(tmp_path: Path) -> None:
    live = chat(tmp_path, "record", scripted).invoke("say 18 Nm")
    assert live.response_metadata["answered"] == "live"
    factory = Factory(absent)
    model = chat(tmp_path, "replay", factory)
    again = model.invoke("say 18 Nm")
    assert factory.calls == 0
    assert again.text == live.text
    assert again.usage_metadata == live.usage_metadata
    assert again.response_metadata == live.response_metadata | {"answered": "replay"}
    assert collected(model, "say 18 Nm").text == live.text


def test_recording_again_asks_only_what_is_new(tmp_path: Path) -> None:
    inner = scripted()
    for _ in range(2):
        model = chat(tmp_path, "record", lambda: inner)
        model.batch(["say a", "say b"])
    assert len(inner.asked) == 2


def test_modes_live_and_replay_write_nothing(tmp_path: Path) -> None:
    chat(tmp_path, "live", scripted).invoke("say a")
    assert chat(tmp_path, "replay", scripted).invoke("say a").text == "a"
    assert list(tmp_path.iterdir()) == []


def test_live_mode_asks_although_it_is_recorded(tmp_path: Path) -> None:
    chat(tmp_path, "record", lambda: ScriptedChat(replies=["old"])).invoke("q")
    assert chat(tmp_path, "live", lambda: ScriptedChat(replies=["new"])).invoke("q").text == "new"


def test_a_missing_recording_is_answered_live_where_the_model_can_run(tmp_path: Path) -> None:
    reply = chat(tmp_path, "replay", scripted).invoke("say a")
    assert reply.response_metadata["answered"] == "live"


def test_a_missing_recording_names_model_question_and_two_ways_out(tmp_path: Path) -> None:
    # A prompt ends in its question; what stands before it is long.
    question = "excerpt " * 30 + "say which torque the flange nut of the NL-12 needs"
    with pytest.raises(NotRecorded) as caught:
        chat(tmp_path, "replay").invoke(question)
    said = str(caught.value)
    for part in ("tiny", f"“…{question[-80:]}”", "agentops models pull", "make record"):
        assert part in said
    assert question[-90:] not in said
    with pytest.raises(NotRecorded, match="answering “short” and"):
        chat(tmp_path, "replay").invoke("short")


def test_an_endpoint_that_cannot_be_reached_counts_as_not_recorded(tmp_path: Path) -> None:
    class Unreachable(ScriptedChat):
        def _reply(self, messages: Any) -> Any:
            raise ConnectionError("refused")

    with pytest.raises(NotRecorded):
        chat(tmp_path, "replay", Unreachable).invoke("q")
    with pytest.raises(TransientError) as caught:
        chat(tmp_path, "live", Unreachable).invoke("q")
    assert caught.value.retryable


def test_an_error_of_the_model_stays_its_own(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        chat(tmp_path, "replay", scripted).invoke("fail")
    assert list(tmp_path.rglob("*.json")) == []


def test_tool_calls_and_parsed_output_survive_a_replay(tmp_path: Path) -> None:
    from tests.models.test_contract import Word, stock

    def local() -> BaseChatModel:
        return local_chat(FakeServer())

    def both(model: RecordedChat) -> tuple[Any, Any]:
        call = model.bind_tools([stock]).invoke('use stock {"part": "FAN-220"}')
        parsed = model.with_structured_output(Word).invoke('json {"word": "pump", "size": 4}')
        return call.tool_calls, parsed

    assert both(chat(tmp_path, "record", local)) == both(chat(tmp_path, "replay", local))
    answers = [json.loads(f.read_text())["response"] for f in tmp_path.rglob("*.json")]
    assert len(answers) == 2


def test_binding_needs_no_weights(tmp_path: Path) -> None:
    from agentops_ref.models.local import LocalChat
    from tests.models.test_contract import Word, stock

    def weightless() -> LocalChat:
        model = local_chat(FakeServer())
        model._server = None
        return model

    model = chat(tmp_path, "replay", weightless)
    with pytest.raises(NotRecorded):
        model.bind_tools([stock]).invoke("say a")
    with pytest.raises(NotRecorded):
        model.with_structured_output(Word).invoke("say a")


def test_a_model_that_binds_in_an_unknown_way_is_refused(tmp_path: Path) -> None:
    class Odd(ScriptedChat):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return RunnableLambda(lambda _: AIMessage("unrecorded"))

    with pytest.raises(DeveloperError, match="cannot be recorded"):
        chat(tmp_path, "replay", Odd).bind_tools([])


# --- keys -------------------------------------------------------------------------------------


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


# --- files ------------------------------------------------------------------------------------


def test_a_recording_is_readable_and_says_what_was_asked(tmp_path: Path) -> None:
    chat(tmp_path, "record", scripted).invoke("say 18 Nm für ø")
    (file,) = tmp_path.rglob("*.json")
    text = file.read_text(encoding="utf-8")
    assert file.parent.parent == tmp_path / "chat" / "tiny"
    assert file.parent.name == file.stem[:2]
    assert "für ø" in text
    found = json.loads(text)
    assert found["request"]["messages"] == [{"role": "human", "content": "say 18 Nm für ø"}]
    assert found["request"]["model"]["digest"] == "abc"
    assert set(found["response"]) == {
        "content", "tool_calls", "usage", "finish_reason", "live_seconds", "recorded_on"
    }  # fmt: skip
    assert str(tmp_path) not in text


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"response": {"content": 1}}'])
def test_a_damaged_recording_is_named(tmp_path: Path, damage: str) -> None:
    chat(tmp_path, "record", scripted).invoke("say a")
    (file,) = tmp_path.rglob("*.json")
    file.write_text(damage)
    with pytest.raises(OperatorError, match="damaged") as caught:
        chat(tmp_path, "replay", scripted).invoke("say a")
    assert str(file) in str(caught.value)
    assert "make record" in str(caught.value)


def test_many_writers_at_once_leave_whole_files(tmp_path: Path) -> None:
    store = JsonStore(tmp_path)
    value = {"response": "x" * 20_000}
    problems: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                store.put("ab" + "0" * 62, value)
                store.put(f"{number:02d}{turn:02d}", value)
                assert store.get("ab" + "0" * 62) == value
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(list(tmp_path.rglob("*.json"))) == 6 * 15 + 1
    assert list(tmp_path.rglob("*.partial")) == []


# --- what is used is known, the rest can be dropped -------------------------------------------


def test_only_what_was_asked_for_survives_a_pruning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, folder = tmp_path / "used.log", tmp_path / "recordings"
    chat(folder, "record", scripted).batch(["say old", "say kept"])
    vectors = embeddings(folder, "record", HashEmbeddings(8))
    vectors.embed_documents(["old", "kept"])
    ocr(folder, "record", ScriptedOcr()).read(b"old")
    note = folder / "README.md"
    note.write_text("what this is")

    monkeypatch.setenv(LOG, str(log))
    chat(folder, "replay").invoke("say kept")
    chat(folder, "record", scripted).invoke("say new")
    embeddings(folder, "replay").embed_query("kept")
    dropped = prune(folder, set(log.read_text().split()))
    assert sorted(path.parts[len(folder.parts)] for path in dropped) == [
        "chat", "embeddings", "ocr"
    ]  # fmt: skip
    assert note.exists()
    assert chat(folder, "replay").invoke("say kept").text == "kept"
    assert chat(folder, "replay").invoke("say new").text == "new"
    with pytest.raises(NotRecorded):
        chat(folder, "replay").invoke("say old")
    assert embeddings(folder, "replay").embed_query("kept")
    with pytest.raises(NotRecorded):
        embeddings(folder, "replay").embed_query("old")
    assert prune(folder, set(log.read_text().split())) == []


# --- embeddings -------------------------------------------------------------------------------


def embeddings(
    folder: Path, mode: Any, live: Embeddings | None = None, dimensions: int = 8
) -> RecordedEmbeddings:
    return RecordedEmbeddings(
        name="mini",
        digest="abcdef0123456789",
        dimensions=dimensions,
        mode=mode,
        folder=folder,
        make=(lambda: live) if live else absent,
    )


def test_only_missing_texts_are_embedded_and_the_order_is_kept(tmp_path: Path) -> None:
    inner = HashEmbeddings(8)
    made = embeddings(tmp_path, "record", inner).embed_documents(["b", "a", "b"])
    assert inner.embedded == 2
    again = embeddings(tmp_path, "record", inner).embed_documents(["a", "c", "b"])
    assert inner.embedded == 3
    assert [again[0], again[2]] == [made[1], made[0]]


def test_a_replayed_vector_equals_the_live_one(tmp_path: Path) -> None:
    texts = ["pump", "a b c", ""]
    recorded = embeddings(tmp_path, "record", HashEmbeddings(8)).embed_documents(texts)
    live = embeddings(tmp_path, "live", HashEmbeddings(8)).embed_documents(texts)
    assert recorded == live == embeddings(tmp_path, "replay").embed_documents(texts)
    assert embeddings(tmp_path, "replay").embed_documents([]) == []


def test_the_vectors_file_has_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    one = embeddings(tmp_path / "one", "record", HashEmbeddings(8))
    other = embeddings(tmp_path / "other", "record", HashEmbeddings(8))
    one.embed_documents(["a", "b", "c"])
    for text in ("c", "a", "b"):
        other.embed_query(text)
    assert one.store.file.read_bytes() == other.store.file.read_bytes()
    assert [file.name for file in one.store.file.parent.iterdir()] == ["mini.npy"]


def test_writers_of_vectors_do_not_lose_each_others(tmp_path: Path) -> None:
    def work(number: int) -> None:
        model = embeddings(tmp_path, "record", HashEmbeddings(8))
        for turn in range(5):
            model.embed_query(f"{number}-{turn}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [f"{number}-{turn}" for number in range(4) for turn in range(5)]
    assert len(embeddings(tmp_path, "replay").embed_documents(texts)) == 20


def test_missing_vectors_are_counted_and_named(tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="2 of the texts, the first “pump”"):
        embeddings(tmp_path, "replay").embed_documents(["pump", "fan"])


def test_vectors_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="4 numbers"):
        embeddings(tmp_path, "live", HashEmbeddings(4)).embed_query("a")
    embeddings(tmp_path, "record", HashEmbeddings(8)).embed_query("a")
    with pytest.raises(OperatorError, match="8 numbers"):
        embeddings(tmp_path, "replay", dimensions=4).embed_query("a")


def test_a_damaged_vectors_file_is_named(tmp_path: Path) -> None:
    model = embeddings(tmp_path, "record", HashEmbeddings(8))
    model.embed_query("a")
    os.truncate(model.store.file, model.store.file.stat().st_size - 5)
    with pytest.raises(OperatorError, match=r"mini\.npy is damaged"):
        embeddings(tmp_path, "replay").embed_query("a")


# --- OCR --------------------------------------------------------------------------------------


def ocr(folder: Path, mode: Any, live: Any = None) -> RecordedOcr:
    return RecordedOcr(name="eye", mode=mode, folder=folder, make=lambda: live or absent())


def test_scans_are_keyed_by_their_bytes(tmp_path: Path) -> None:
    inner = ScriptedOcr("SERIAL 18", "Ø 12 mm")
    made = ocr(tmp_path, "record", inner).read(b"image")
    assert ocr(tmp_path, "replay").read(b"image") == made
    assert all(isinstance(line, OcrLine) for line in made)
    ocr(tmp_path, "record", inner).read(b"image")
    assert inner.images == 1
    with pytest.raises(NotRecorded, match="5 bytes"):
        ocr(tmp_path, "replay").read(b"other")


def test_a_damaged_scan_is_named(tmp_path: Path) -> None:
    model = ocr(tmp_path, "record", ScriptedOcr())
    model.read(b"image")
    model.store.file(model.key(b"image")).write_text('{"lines": [["text"]]}')
    with pytest.raises(OperatorError, match="damaged"):
        ocr(tmp_path, "replay").read(b"image")
