"""A server on loopback that speaks the REST API of Databricks Vector Search, as far as it is used.

Written from the published API and the SDK's own classes; it is not Databricks, and nothing that
passes here was shown on an account. It keeps its rows in this process, so that a client that is
killed leaves them as they are. It can fail as the service may: with a status, or by taking only a
part of an upsert.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from agentops_ref.etl.sinks.bm25 import Bm25

TOKEN = "token-of-the-loopback-server"
ROOT = "/api/2.0/vector-search/"
PAGE = 50
"""Results a page, so that paging happens in small tests."""


class Index:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.key = spec["primary_key"]
        access = spec["direct_access_index_spec"]
        (vector,) = access["embedding_vector_columns"]
        self.vector, self.width = vector["name"], int(vector["embedding_dimension"])
        self.schema: dict[str, str] = json.loads(access["schema_json"])
        self.rows: dict[str, dict[str, Any]] = {}

    def refusal(self, row: dict[str, Any]) -> str:
        """Say why the service would not take a row; "" when it does."""
        types = {"string": str, "long": int, "double": float}
        if row.keys() != self.schema.keys():
            return f"columns {sorted(row)} for a schema of {sorted(self.schema)}"
        for name, kind in self.schema.items():
            if kind in types and not isinstance(row[name], types[kind]):
                return f"{name} is not a {kind}: {row[name]!r}"
        if len(row[self.vector]) != self.width:
            return f"a vector of {len(row[self.vector])}, not {self.width}"
        return ""


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed."""


class VectorSearchServer:
    """Endpoints ``/api/2.0/vector-search/...`` on 127.0.0.1."""

    def __init__(self) -> None:
        self.indexes: dict[str, Index] = {}
        self.answers: list[int] = []
        """Statuses to answer with first."""
        self.partial = 0
        """How many upserts shall take only half of their rows."""
        self.asked: list[str] = []
        self._pages: dict[str, list[list[Any]]] = {}
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one packet, or each answer waits for an ACK

            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                parts = urlsplit(self.path)
                with outer._lock:
                    if parts.path == "/.well-known/databricks-config":
                        status, told = 200, {}
                    elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                        status, told = 403, _error("PERMISSION_DENIED", "invalid token")
                    elif outer.answers:
                        status = outer.answers.pop(0)
                        told = _error("TEMPORARILY_UNAVAILABLE", "try again")
                    else:
                        where = unquote(parts.path).removeprefix(ROOT)
                        outer.asked.append(f"{self.command} {where}")
                        status, told = outer.answer(
                            self.command, where, body, parse_qs(parts.query)
                        )
                data = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _do  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = _Quiet(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def address(self, name: str) -> str:
        """Return the sink's address of an index."""
        return f"databricks://main/tests/{name}?endpoint=loopback&host={self.host}"

    def answer(
        self, how: str, where: str, body: dict[str, Any], query: dict[str, list[str]]
    ) -> tuple[int, dict[str, Any]]:
        if (how, where) == ("POST", "indexes"):
            if body["name"] in self.indexes:
                return 409, _error("RESOURCE_ALREADY_EXISTS", f"{body['name']} exists")
            self.indexes[body["name"]] = Index(body)
            return 200, {"name": body["name"]}
        name, _, action = where.removeprefix("indexes/").partition("/")
        index = self.indexes.get(name)
        if index is None:
            return 404, _error("RESOURCE_DOES_NOT_EXIST", f"index {name} does not exist")
        if (how, action) == ("GET", ""):
            return 200, {"name": name, "status": {"ready": True}}
        if (how, action) == ("POST", "upsert-data"):
            return self._upsert(index, json.loads(body["inputs_json"]))
        if (how, action) == ("DELETE", "delete-data"):
            for key in query.get("primary_keys", []):
                index.rows.pop(key, None)
            return 200, {"status": "SUCCESS"}
        if (how, action) == ("POST", "scan"):
            return 200, self._scan(index, body)
        if (how, action) == ("POST", "query"):
            return self._page(_found(index, body), body["columns"])
        if (how, action) == ("POST", "query-next-page"):
            return self._page(self._pages.pop(body["page_token"]), [])
        return 404, _error("ENDPOINT_NOT_FOUND", f"{how} {where}")

    def _upsert(self, index: Index, rows: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        for row in rows:
            if why := index.refusal(row):
                return 400, _error("INVALID_PARAMETER_VALUE", why)
        taken = rows
        if self.partial and len(rows) > 1:
            self.partial -= 1
            taken = rows[: len(rows) // 2]
        for row in taken:
            index.rows[row[index.key]] = row
        left = [row[index.key] for row in rows[len(taken) :]]
        status = "PARTIAL_SUCCESS" if left else "SUCCESS"
        told = {"success_row_count": len(taken), "failed_primary_keys": left}
        return 200, {"status": status, "result": told}

    def _scan(self, index: Index, body: dict[str, Any]) -> dict[str, Any]:
        after, count = body.get("last_primary_key") or "", body.get("num_results", 10)
        keys = [key for key in sorted(index.rows) if key > after][:count]
        return {
            "data": [_struct(index.rows[key]) for key in keys],
            "last_primary_key": keys[-1] if keys else None,
        }

    def _page(self, rows: list[list[Any]], columns: list[str]) -> tuple[int, dict[str, Any]]:
        told: dict[str, Any] = {
            "manifest": {"columns": [{"name": name} for name in [*columns, "score"]]},
            "result": {"row_count": len(rows[:PAGE]), "data_array": rows[:PAGE]},
        }
        if rest := rows[PAGE:]:
            told["next_page_token"] = token = f"page-{len(self.asked)}"
            self._pages[token] = rest
        return 200, told


def _found(index: Index, body: dict[str, Any]) -> list[list[Any]]:
    rows = list(index.rows.values())
    passing = _filter(json.loads(body.get("filters_json") or "{}"))
    if body.get("query_type") == "FULL_TEXT":
        # The service knows nothing of our versions: its statistics are of all rows.
        columns = body.get("query_columns") or [n for n, t in index.schema.items() if t == "string"]
        texts = [" ".join(row[name] for name in columns) for row in rows]
        scored = [(score, rows[n]) for n, score in Bm25(texts).scores(body["query_text"]).items()]
    else:
        asked = np.array(body["query_vector"])
        assert len(asked) == index.width
        distances = [float(np.sum((np.array(row[index.vector]) - asked) ** 2)) for row in rows]
        scored = [(1 / (1 + d), row) for d, row in zip(distances, rows, strict=True)]
    best = sorted(
        ((score, row) for score, row in scored if passing(row)),
        key=lambda one: (-one[0], one[1][index.key]),
    )
    return [
        [*(row[name] for name in body["columns"]), score]
        for score, row in best[: body.get("num_results", 10)]
    ]


def _filter(filters: dict[str, Any]) -> Any:
    """The documented forms: ``{"a": 1}``, ``{"a": [1, 2]}``, ``{"a <=": 1}``, ``{"a >": 1}``."""

    def passes(row: dict[str, Any]) -> bool:
        for key, value in filters.items():
            column, _, how = key.partition(" ")
            there = row[column]
            if how == "<=":
                held = there <= value
            elif how == ">":
                held = there > value
            elif how:
                raise AssertionError(f"filter {key!r}")
            else:
                held = there in value if isinstance(value, list) else there == value
            if not held:
                return False
        return True

    return passes


def _struct(row: dict[str, Any]) -> dict[str, Any]:
    def value(one: Any) -> dict[str, Any]:
        if isinstance(one, list):
            return {"list_value": {"values": [value(each) for each in one]}}
        return {"string_value": one} if isinstance(one, str) else {"number_value": float(one)}

    return {"fields": [{"key": name, "value": value(one)} for name, one in row.items()]}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error_code": code, "message": message}
