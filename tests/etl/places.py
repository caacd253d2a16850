"""Places that hold documents, for the tests of the sources: each can be changed and can fail."""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import fsspec

from agentops_ref.etl.sources import FilesSource, FolderSource, HttpSource, Source, SqlSource


class Place(Protocol):
    """What the contract needs of a place."""

    source: Source
    prefix: str
    """What its documents' names begin with."""
    cheap: bool
    """Whether a listing reads no content."""
    content_reads: int

    def put(self, name: str, text: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def outage(self) -> Any: ...


class FolderPlace:
    """A folder of this machine, by path or as file://."""

    prefix, cheap = "", True

    def __init__(self, root: Path, *, url: bool = False) -> None:
        self.root, self.content_reads = root, 0
        root.mkdir()
        self.source: Source = FilesSource(root.as_uri()) if url else FolderSource(root)

    def put(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time.sleep(0.02)  # the file system's clock ticks every few milliseconds
        path.write_text(text, encoding="utf-8")

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Permissions do not stop root, who runs CI, so the system call is made to fail."""
        scandir = os.scandir

        def refuse(path: Any) -> Any:
            raise PermissionError(13, "Permission denied", os.fspath(path))

        os.scandir = refuse  # type: ignore[assignment]
        try:
            yield
        finally:
            os.scandir = scandir


class MemoryPlace:
    """A file system of fsspec's that lists no modification times."""

    prefix, cheap = "", True

    def __init__(self) -> None:
        self.content_reads = 0
        self.files = fsspec.filesystem("memory")
        self.root = f"/place{next(_NUMBERS)}"
        self.files.makedirs(self.root)
        self.source = FilesSource(f"memory:/{self.root}")

    def put(self, name: str, text: str) -> None:
        self.files.pipe_file(f"{self.root}/{name}", text.encode())

    def remove(self, name: str) -> None:
        self.files.rm(f"{self.root}/{name}")

    @contextmanager
    def outage(self) -> Iterator[None]:
        def refuse(path: str, **more: Any) -> Any:
            raise ConnectionResetError(104, "Connection reset by peer")

        self.files.ls = refuse
        try:
            yield
        finally:
            del self.files.ls


_NUMBERS = itertools.count()


class BucketPlace:
    """A bucket of an S3 server on loopback (moto's: the published API, not Amazon's service)."""

    prefix, cheap = "", True

    def __init__(self, server: Any) -> None:
        self.content_reads = 0
        self.server, self.bucket = server, f"place{next(_NUMBERS)}"
        host, port = server.get_host_and_port()
        options = {
            "key": "key", "secret": "secret", "endpoint_url": f"http://{host}:{port}",
            "client_kwargs": {"region_name": "eu-north-1"},
            "config_kwargs": {"retries": {"max_attempts": 1}},
        }  # fmt: skip
        self.files = fsspec.filesystem("s3", skip_instance_cache=True, **options)
        self.files.mkdir(self.bucket)
        self.source = FilesSource(f"s3://{self.bucket}/docs", **options)

    def put(self, name: str, text: str) -> None:
        self.files.pipe_file(f"{self.bucket}/docs/{name}", text.encode())

    def remove(self, name: str) -> None:
        self.files.rm_file(f"{self.bucket}/docs/{name}")

    @contextmanager
    def outage(self) -> Iterator[None]:
        """A key that is no longer valid."""
        from moto.core.authorization import enable_iam_authentication

        with enable_iam_authentication():
            yield


class Site:
    """A web site on loopback. What it answers can be set address by address."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[bytes, float]] = {}
        """path → (body, time of the last change)"""
        self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {}
        """path → answers to give first, each (status, headers)"""
        self.types: dict[str, str] = {}
        self.validators = "etag"  # etag | modified | none
        self.head = True
        self.down = False
        self.index = "links"  # links | sitemap
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                if site.head:
                    self._answer(body=False)
                else:
                    self._status(405, {})

            def do_GET(self) -> None:
                self._answer(body=True)

            def _status(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def _answer(self, *, body: bool) -> None:
                path = unquote(urlsplit(self.path).path)
                if urlsplit(self.path).query:
                    path = unquote(self.path)
                site.asked.append((self.command, path))
                site.headers.append({k.lower(): v for k, v in self.headers.items()})
                if site.down:
                    self._status(503, {"Retry-After": "0"})
                elif waiting := site.answers.get(path):
                    self._status(*waiting.pop(0))
                elif path in ("/docs/", "/docs/sitemap.xml"):
                    self._status(200, {"Content-Type": site.index_type()}, site.index_page())
                elif path in site.pages:
                    content, changed = site.pages[path]
                    headers = {"Content-Type": site.types.get(path, "text/plain")}
                    if site.validators == "etag":
                        headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
                    if site.validators == "modified":
                        headers["Last-Modified"] = formatdate(changed, usegmt=True)
                    self._status(200, headers, content)
                else:
                    self._status(404, {})

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def index_type(self) -> str:
        return "application/xml" if self.index == "sitemap" else "text/html"

    def index_page(self) -> bytes:
        if self.index == "sitemap":
            rows = "".join(f"<url><loc>{self.root}{path}</loc></url>" for path in self.pages)
            space = "http://www.sitemaps.org/schemas/sitemap/0.9"
            return f'<?xml version="1.0"?><urlset xmlns="{space}">{rows}</urlset>'.encode()
        rows = "".join(f'<a href="{path}">x</a>' for path in self.pages)
        return f"<html><body><a href='?C=N'>sort</a>{rows}</body></html>".encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class SitePlace:
    """A web site; ``kind`` says what it is able to tell about its pages."""

    prefix = ""

    def __init__(self, kind: str) -> None:
        self.site = Site()
        self.site.validators = {"modified": "modified", "bare": "none"}.get(kind, "etag")
        self.site.head = kind != "no HEAD"
        self.site.index = "sitemap" if kind == "sitemap" else "links"
        self.cheap = kind != "bare"
        place = "/docs/sitemap.xml" if kind == "sitemap" else "/docs/"
        self.source = HttpSource(self.site.root + place)
        self.age = itertools.count(-1_000_000)

    @property
    def content_reads(self) -> int:
        """Whole bodies of documents that were asked for; one that is broken off does not count."""
        if not self.site.head:
            return 0
        index = ("/docs/", "/docs/sitemap.xml")
        return sum(1 for how, path in self.site.asked if how == "GET" and path not in index)

    def put(self, name: str, text: str) -> None:
        self.site.pages[f"/docs/{name}"] = text.encode(), time.time() + 2 * next(self.age)

    def remove(self, name: str) -> None:
        del self.site.pages[f"/docs/{name}"]

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.site.down = True
        try:
            yield
        finally:
            self.site.down = False


class TablePlace:
    """A table of a SQLite database, with or without a column that tells a row's version."""

    prefix = "notes/"

    def __init__(self, folder: Path, *, version: bool) -> None:
        self.path, self.cheap = folder / "db.sqlite", version
        self.run("CREATE TABLE notes (name TEXT PRIMARY KEY, body TEXT, moved INTEGER)")
        more = "&version=moved" if version else ""
        self.source = SqlSource(f"sqlite:///{self.path}?table=notes&text=body{more}", ending="")
        self.content_reads = 0
        inner = self.source._bytes

        def counted(row: Any) -> bytes:
            self.content_reads += 1
            return inner(row)

        self.source._bytes = counted  # type: ignore[method-assign]

    def run(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement, values)

    def put(self, name: str, text: str) -> None:
        name = name.replace("/", "-")
        self.run(
            "INSERT INTO notes VALUES (?, ?, 1) ON CONFLICT (name) DO UPDATE "
            "SET body = excluded.body, moved = moved + 1",
            name,
            text,
        )

    def remove(self, name: str) -> None:
        self.run("DELETE FROM notes WHERE name = ?", name.replace("/", "-"))

    @contextmanager
    def outage(self) -> Iterator[None]:
        whole = self.path.read_bytes()
        self.path.write_bytes(b"not a database" * 100)
        try:
            yield
        finally:
            self.path.write_bytes(whole)
