"""One small brain behind several transports, so that one suite can hold them all to the same.

It reads the last message: ``say X`` is answered by X, ``use NAME {...}`` calls a tool when tools
are offered, ``json {...}`` is answered by the JSON text, ``fail HTTP-STATUS`` fails.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from agentops_ref.config import ModelsConfig, load_config
from agentops_ref.errors import ModelError, OperatorError
from agentops_ref.models.local import LocalChat
from agentops_ref.models.recording import RecordedChat
from agentops_ref.testing import ScriptedChat


def settings(**chat: Any) -> ModelsConfig:
    """Return the shipped model settings in mode live, with changes to the chat part."""
    models = load_config(environ={}).models
    return models.model_copy(update={"mode": "live", "chat": models.chat.model_copy(update=chat)})


def answer(text: str) -> tuple[str, tuple[str, dict[str, Any]] | None]:
    """Return (content, tool call or None)."""
    verb, _, rest = text.partition(" ")
    if verb == "use":
        name, _, arguments = rest.partition(" ")
        return "", (name, json.loads(arguments))
    return rest, None


def script(messages: Sequence[BaseMessage]) -> AIMessage:
    """Return the brain's answer for a `ScriptedChat`."""
    text = messages[-1].text
    if text.startswith("fail"):
        raise ModelError("told to fail")
    content, call = answer(text)
    calls = [{"name": call[0], "args": call[1], "id": "call_1"}] if call else []
    return AIMessage(content, tool_calls=calls)


@dataclass
class FakeServer:
    """Stands where llama.cpp stands; answers in its format."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    counted: int = 0
    tokens: int | None = None
    """What `count` says; None counts words."""

    def ask(self, request: dict[str, Any], on_event: Callable[..., bool] | None = None) -> Any:
        self.asked.append(request)
        text = request["messages"][-1]["content"]
        if text.startswith("fail"):
            return {"error": {"code": 400, "message": "told to fail", "type": "invalid_request"}}
        content, call = answer(text)
        schema = request.get("response_format", {}).get("json_schema", {})
        if schema.get("name") == "step":
            step = {"tool": call[0], "arguments": call[1]} if call else None
            content = json.dumps(step or {"tool": "none", "reply": content})
        content, reason = _cut(content, request)
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": len(content.split())}
        if on_event is None:
            choice = {"message": {"content": content}, "finish_reason": reason}
            return {"choices": [choice], "usage": usage}
        for piece in [*_words(content), None]:
            event: dict[str, Any] = {"choices": [{"delta": {"content": piece}}]}
            if piece is None:
                event = {"choices": [{"delta": {}, "finish_reason": reason}]}
            if on_event(event):
                return None
        on_event({"choices": [], "usage": usage})
        return None

    def count(self, messages: list[dict[str, str]]) -> int:
        self.counted += 1
        words = sum(len(told["content"].split()) for told in messages)
        return words if self.tokens is None else self.tokens


def _cut(content: str, request: dict[str, Any]) -> tuple[str, str]:
    for word in request.get("stop") or ():
        content = content.split(word)[0]
    words = _words(content)
    most = request.get("max_tokens") or request["max_completion_tokens"]
    if len(words) > most:
        return "".join(words[:most]), "length"
    return content, "stop"


def _words(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")][:-1] + text.split(" ")[-1:] if text else []


def local_chat(server: FakeServer, **changes: Any) -> LocalChat:
    """Return a `LocalChat` whose weights are never looked for."""
    given: dict[str, Any] = {
        "model_name": "fake",
        "weights": Path("/nowhere/fake.gguf"),
        "context_tokens": 1000,
        "max_output_tokens": 50,
        "temperature": 0.0,
        "seed": 7,
        "threads": 1,
        "tool_prompt": "Tools:\n{tools}",
    }
    model = LocalChat(**(given | changes))
    model._server = server
    return model


class _OpenAi(BaseHTTPRequestHandler):
    """The part of the OpenAI chat API that the suite uses."""

    protocol_version = "HTTP/1.1"
    asked: list[dict[str, Any]]

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(request | {"authorization": self.headers["Authorization"]})
        text = request["messages"][-1]["content"]
        if text.startswith("fail"):
            status = int(text.split()[1])
            error = {"message": "told to fail", "type": "error", "code": None}
            self._send(status, json.dumps({"error": error}).encode(), "application/json")
            return
        content, call = answer(text)
        content, reason = _cut(content, request)
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if call and request.get("tools"):
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            message["tool_calls"] = [{"id": "call_x", "type": "function", "function": function}]
            reason = "tool_calls"
        used, made = len(text.split()), len(content.split())
        usage = {"prompt_tokens": used, "completion_tokens": made, "total_tokens": used + made}
        about = {"id": "c", "created": 0, "model": request["model"]}
        if not request.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            whole = {**about, "object": "chat.completion", "choices": [choice], "usage": usage}
            self._send(200, json.dumps(whole).encode(), "application/json")
            return
        deltas: list[dict[str, Any]] = [{"content": word} for word in _words(content)]
        if "tool_calls" in message:
            deltas = [{"tool_calls": [{**message["tool_calls"][0], "index": 0}]}]
        events: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if request.get("stream_options", {}).get("include_usage"):
            events.append({"choices": [], "usage": usage})
        kind = {**about, "object": "chat.completion.chunk"}
        lines = [f"data: {json.dumps({**kind, **event})}\n\n" for event in events]
        self._send(200, "".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on loopback; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def openai_endpoint() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve the OpenAI chat format on loopback; gives (base_url, requests)."""
    asked: list[dict[str, Any]] = []
    with serving(type("Handler", (_OpenAi,), {"asked": asked})) as address:
        yield f"{address}/v1", asked


def collected(model: BaseChatModel | Any, text: str, **kwargs: Any) -> Any:
    """Return what a stream amounts to."""
    chunks = list(model.stream(text, **kwargs))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


def absent() -> Any:
    """Stand where a model is made whose weights are missing."""
    raise OperatorError("model weights not found: /cache/model.gguf; run: agentops models pull")


def chat(folder: Path, mode: Any, make: Callable[[], Any] = absent, **changes: Any) -> RecordedChat:
    """Return a recorded model; without ``make`` the live one cannot run."""
    given: dict[str, Any] = {
        "model_name": "tiny",
        "model_digest": "abc",
        "parameters": {"temperature": 0.0, "max_tokens": 9, "seed": 7},
    }
    return RecordedChat(mode=mode, folder=folder, make=make, **(given | changes))


def scripted() -> ScriptedChat:
    """Return the brain without a transport."""
    return ScriptedChat(script=script)
