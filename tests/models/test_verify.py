"""Verification: the recordings against the live model, with a fake llama.cpp behind both."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage

from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import OperatorError
from agentops_ref.models import factory, verify
from agentops_ref.models.recording import RecordedChat
from agentops_ref.testing import HashEmbeddings, ScriptedOcr
from tests.models.fakes import FakeServer, local_chat, settings
from tests.models.test_contract import Word, stock


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = FakeServer()
    monkeypatch.setattr(factory, "_local", lambda chat, *_: local_chat(server, seed=chat.seed))
    monkeypatch.setattr(factory, "_embedding_maker", lambda *_: lambda: HashEmbeddings(384))
    monkeypatch.setattr(factory, "_ocr_maker", lambda *_: lambda: ScriptedOcr("SERIAL 18"))
    return server


def wired(kind: Any, folder: Path, mode: str = "record", **more: Any) -> Any:
    return kind(settings().model_copy(update={"mode": mode}), recordings=folder, **more)


def recorded(folder: Path) -> RecordedChat:
    prompts = shipped_config_dir() / "prompts"
    model = wired(factory.chat_model, folder, weights=folder, prompts=prompts)
    assert isinstance(model, RecordedChat)
    return model


def run(folder: Path, sample: int = 99, **more: Any) -> verify.VerifyReport:
    prompts = shipped_config_dir() / "prompts"
    rng = random.Random(1)
    return verify.verify(
        folder, settings(), weights=folder, prompts=prompts, sample=sample, rng=rng, **more
    )


def ask_everything(folder: Path) -> None:
    model = recorded(folder)
    model.invoke([("system", "Be brief."), ("user", "say a")], stop=["END"])
    model.bind(temperature=0.7).invoke("say b")
    model.with_structured_output(Word).invoke('json {"word": "pump", "size": 4}')
    call = model.bind_tools([stock]).invoke('use stock {"part": "F"}')
    result = ToolMessage("7", tool_call_id=call.tool_calls[0]["id"], name="stock")
    history = [HumanMessage("q"), call, result, HumanMessage("say c")]
    model.bind_tools([stock]).invoke(history)


def test_every_kind_of_request_can_be_asked_again(tmp_path: Path, server: FakeServer) -> None:
    ask_everything(tmp_path)
    first = sorted(map(repr, server.asked))
    server.asked.clear()
    seen: list[tuple[str, int, int]] = []
    report = run(tmp_path, progress=lambda *at: seen.append(at))
    assert (report.total, report.compared, report.identical) == (5, 5, 5)
    assert report.differing == ()
    assert sorted(map(repr, server.asked)) == first, "what is sent must be the same request"
    assert seen[-1] == ("verify", 5, 5)


def test_differing_answers_are_listed(tmp_path: Path, server: FakeServer) -> None:
    recorded(tmp_path).batch(["say a", "say b", "say c"])

    class Other(FakeServer):
        def ask(self, request: Any, on_event: Any = None) -> Any:
            response = super().ask(request, on_event)
            message = response["choices"][0]["message"]
            message["content"] = message["content"].replace("b", "B")
            return response

    server.__class__ = Other
    report = run(tmp_path)
    assert (report.compared, report.identical) == (3, 2)
    ((key, before, now),) = report.differing
    assert (before, now) == ("b", "B")
    assert len(key) == 64


def test_the_sample_is_random_and_seeded(tmp_path: Path, server: FakeServer) -> None:
    recorded(tmp_path).batch([f"say {n}" for n in range(9)])
    server.asked.clear()
    assert run(tmp_path, 3).compared == 3
    one = [request["messages"] for request in server.asked]
    run(tmp_path, 3)
    assert [request["messages"] for request in server.asked[3:]] == one


def test_other_weights_recordings_are_passed_over(tmp_path: Path, server: FakeServer) -> None:
    recorded(tmp_path).model_copy(update={"model_digest": "other"}).invoke("say a")
    recorded(tmp_path).model_copy(update={"model_name": "other"}).invoke("say a")
    told = recorded(tmp_path).model_copy(update={"tool_recipe": "other words"})
    told.bind_tools([stock]).invoke("say a")
    report = run(tmp_path)
    assert (report.total, report.compared) == (0, 0)
    assert report.skipped == 3


def test_vectors_and_scans_are_compared(tmp_path: Path, server: FakeServer) -> None:
    vectors = wired(factory.embedding_model, tmp_path, weights=tmp_path)
    vectors.embed_documents(["a b", "c"])
    off = [value + 0.25 for value in vectors.embed_query("c")]
    vectors.store.put({vectors.key("c"): off})
    ocr = wired(factory.ocr_model, tmp_path)
    for image in (b"1", b"2", b"3"):
        ocr.read(image)
    file = ocr.store.file(ocr.key(b"2"))
    file.write_text(file.read_text().replace("SERIAL 18", "SERIAL 19"))
    file = ocr.store.file(ocr.key(b"3"))
    file.write_text(file.read_text().replace("1.0", "0.9"))
    report = run(tmp_path, texts=["a b", "c", "never recorded"], images=[b"1", b"2", b"3", b"4"])
    assert report.vectors == 2
    assert report.vector_difference == pytest.approx(0.25, abs=1e-3)
    assert report.images == 3
    assert report.images_differing == (ocr.key(b"2"),)
    assert report.confidence_difference == pytest.approx(0.1)


def test_a_damaged_recording_is_named(tmp_path: Path, server: FakeServer) -> None:
    recorded(tmp_path).invoke("say a")
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{")
    with pytest.raises(OperatorError, match=file.name):
        run(tmp_path)
