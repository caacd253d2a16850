"""Recordings: replay without the model, whole files, and errors that say what to do."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
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
from agentops_ref.models.store import LOG, JsonStore
from agentops_ref.testing import HashEmbeddings, ScriptedChat, ScriptedOcr
from tests.models.fakes import FakeServer, absent, chat, collected, local_chat, scripted


class Factory:
    """Makes the live model, and counts how often it was asked to."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make, self.calls = make, 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.make()


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
    make = lambda: live or absent()  # noqa: E731
    return RecordedOcr(name="eye", recipe="eye/1", mode=mode, folder=folder, make=make)


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
