"""Web servers on loopback for a chapter's cells and for tests.

`Loopback` keeps what is posted and serves a few files; a server that says "not now" a set number of
times is how a retry can be seen at work. `JsonService` is what stands for somebody else's API.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, as one does that wants headers only, is no news."""


class Loopback:
    """A server for the length of a ``with`` block.

    Parameters
    ----------
    files
        Path below the root → content; served with an etag.
    unwell
        Path → how many GETs of it are answered with 503 before one succeeds.
    """

    def __init__(
        self, files: Mapping[str, bytes] | None = None, unwell: Mapping[str, int] | None = None
    ) -> None:
        self.files, self._unwell = dict(files or {}), Counter(unwell or {})
        self.posted: list[Any] = []
        """Bodies that arrived, parsed as JSON."""
        self.got: Counter[str] = Counter()
        """Path → GETs of it."""
        self._server = _Quiet(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Loopback:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                self._serve()

            def do_GET(self) -> None:
                outer.got[self.path.lstrip("/")] += 1
                self._serve()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.posted.append(json.loads(body))
                self._answer(204, b"")

            def _serve(self) -> None:
                path = self.path.lstrip("/")
                if path not in outer.files:
                    self._answer(404, b"not here")
                elif self.command == "GET" and outer._unwell[path] > 0:
                    outer._unwell[path] -= 1
                    self._answer(503, b"not now")
                else:
                    self._answer(200, outer.files[path])

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("ETag", f'"{hash(body) & 0xFFFFFFFF:x}"')
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        return Handler


class Asked(NamedTuple):
    """A request that a service got."""

    method: str
    path: str
    """With its query, as it was sent."""
    headers: Mapping[str, str]
    """By name in small letters."""
    body: Any
    """Parsed as JSON; None without one."""


class JsonService:
    """A service that answers each request with what a function says of it.

    Parameters
    ----------
    answer
        Returns status and JSON, or a text; None hangs up.
    """

    def __init__(self, answer: Callable[[Asked], tuple[int, Any] | None]) -> None:
        self._answer = answer
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def log_message(self, *_: Any) -> None:
                pass

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, json.loads(body) if body else None)
                answered = outer._answer(asked)
                if answered is None:
                    self.close_connection = True
                    return
                status, told = answered
                data = (told if isinstance(told, str) else json.dumps(told)).encode()
                kind = "text/plain" if isinstance(told, str) else "application/json"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _do  # noqa: N815

        return Handler
