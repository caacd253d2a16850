"""Several at once, libraries that are missing, models inside traces: what surrounds a model."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.load import dumps

from agentops_ref.errors import ModelError, NotRecorded, OperatorError
from agentops_ref.files import write_whole
from agentops_ref.models import HashEmbeddings, RecordedEmbeddings
from agentops_ref.models.problems import translated
from agentops_ref.models.store import JsonStore, VectorStore
from tests.models.fakes import FakeServer, absent, chat, local_chat, scripted
from tests.models.test_contract import stock

WRITER = """
import sys
from pathlib import Path
from agentops_ref.models.store import JsonStore, VectorStore
folder, number = Path(sys.argv[1]), int(sys.argv[2])
for turn in range(20):
    JsonStore(folder / "chat").put(f"{number:02d}{turn:02d}", {"response": "x" * 5000})
    JsonStore(folder / "chat").put("same", {"response": "y" * 5000})
    VectorStore(folder / "v.npy", 4).put({f"{number:02x}{turn:02x}" * 16: [number, turn, 0, 1]})
"""


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(number)])
        for number in (1, 2)
    ]
    assert [process.wait(60) for process in started] == [0, 0]
    chats, vectors = JsonStore(tmp_path / "chat"), VectorStore(tmp_path / "v.npy", 4)
    for number in (1, 2):
        for turn in range(20):
            assert chats.get(f"{number:02d}{turn:02d}") == {"response": "x" * 5000}
            key = f"{number:02x}{turn:02x}" * 16
            assert vectors.get([key]) == {key: [number, turn, 0, 1]}
    assert chats.get("same") == {"response": "y" * 5000}
    assert list(tmp_path.rglob("*.partial")) == []


def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    write_whole(file, b"old")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(file, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert file.read_bytes() == b"old"


def test_the_live_model_is_made_once_however_many_ask(tmp_path: Path) -> None:
    made: list[int] = []
    gate = threading.Barrier(8)

    def slow() -> Any:
        made.append(1)
        time.sleep(0.02)
        return scripted()

    def ask(number: int) -> str:
        gate.wait(10)
        return model.invoke(f"say {number}").text

    model = chat(tmp_path, "live", slow)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [str(number) for number in range(8)]
    assert made == [1]


def test_a_stream_that_is_dropped_half_way_is_no_harm(tmp_path: Path) -> None:
    for mode in ("live", "record", "replay"):
        model = chat(tmp_path, mode, lambda: local_chat(FakeServer()))
        stream = model.stream("say one two three")
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert model.invoke("say one two three").text == "one two three"


# --- libraries that are not there ---------------------------------------------------------------


def test_a_missing_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    weights = tmp_path / "m.gguf"
    weights.write_bytes(b"weights")

    def local() -> Any:
        model = local_chat(FakeServer(), weights=weights)
        model._server = None
        return model

    with pytest.raises(OperatorError, match="xllamacpp is not installed: pip install xllamacpp"):
        local().invoke("say a")
    with pytest.raises(NotRecorded, match="xllamacpp is not installed"):
        chat(tmp_path, "replay", local).invoke("say a")


def test_a_missing_library_of_the_embeddings_counts_as_not_recorded(tmp_path: Path) -> None:
    class Lacking(HashEmbeddings):
        def embed_documents(self, texts: Any) -> Any:
            raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")

    def vectors(mode: Any) -> RecordedEmbeddings:
        return RecordedEmbeddings(
            name="m", digest="d", dimensions=4, mode=mode, folder=tmp_path, make=Lacking
        )

    with pytest.raises(NotRecorded, match="pip install onnxruntime"):
        vectors("replay").embed_query("a")
    with pytest.raises(OperatorError, match=r"^onnxruntime is not installed"):
        vectors("live").embed_query("a")


def test_a_library_that_cannot_be_loaded_says_why() -> None:
    told = translated(ImportError("libgomp.so.1: cannot open", name="xllamacpp"), "m")
    assert str(told) == "xllamacpp cannot be loaded: libgomp.so.1: cannot open"


# --- inside traces and copies -------------------------------------------------------------------


def test_a_trace_sees_no_folder_and_no_function(tmp_path: Path) -> None:
    model = chat(tmp_path, "record", scripted)
    for told in (repr(model), dumps(model), json.dumps(model._identifying_params)):
        assert str(tmp_path) not in told
        assert "function" not in told
    assert "make" not in model.model_dump()
    assert json.loads(model.model_dump_json())["model_name"] == "tiny"
    assert json.loads(scripted().model_dump_json())["name"] == "scripted"


def test_copies_answer_too(tmp_path: Path) -> None:
    model = chat(tmp_path, "live", scripted)
    for other in (copy.copy(model), copy.deepcopy(model), model.model_copy()):
        assert other.invoke("say a").text == "a"


def test_options_of_other_providers_are_accepted(tmp_path: Path) -> None:
    for model in (scripted(), local_chat(FakeServer()), chat(tmp_path, "live", scripted)):
        asking = model.bind_tools([stock], strict=True, tool_choice="any")
        (call,) = asking.invoke('use stock {"part": "F"}').tool_calls
        assert call["args"] == {"part": "F"}


# --- the output limit ---------------------------------------------------------------------------


def test_a_limit_that_cuts_a_tool_step_is_named() -> None:
    model = local_chat(FakeServer(), max_output_tokens=2)
    with pytest.raises(ModelError, match=r"models\.chat\.max_output_tokens, raise that"):
        model.bind_tools([stock]).invoke('use stock {"part": "FAN"}')
    with pytest.raises(ModelError) as caught:
        local_chat(_Talker()).bind_tools([stock]).invoke("say a")
    assert "max_output_tokens" not in str(caught.value), "only where the limit was the cause"


class _Talker(FakeServer):
    """Answers a tool step with prose."""

    def ask(self, request: Any, on_event: Any = None) -> Any:
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        choice = {"message": {"content": "prose"}, "finish_reason": "stop"}
        return {"choices": [choice], "usage": usage}


def test_the_end_at_the_limit_is_visible(tmp_path: Path) -> None:
    model = chat(tmp_path, "record", lambda: local_chat(FakeServer(), max_output_tokens=2))
    assert model.invoke("say a b c d").response_metadata["finish_reason"] == "length"
    replayed = chat(tmp_path, "replay", absent).invoke("say a b c d")
    assert replayed.response_metadata["finish_reason"] == "length"
