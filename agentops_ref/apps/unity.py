"""A server on loopback that speaks Databricks' REST API for functions and statements.

Used by chapter 6 and by tests. Written from the published API and the SDK's own classes; it is not
Databricks, and nothing that passes here was shown on an account. It reads the statements that tools
send, casts their parameters to the types that are given with them as the service does, and answers
for a connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from agentops_ref.apps.loopback import Asked, JsonService

TOKEN = "token-of-the-loopback-server"
_CALL = re.compile(r"SELECT (\*|) ?(?:FROM )?((?:`[^`]+`\.?)+)\((.*?)\)( AS result)?", re.DOTALL)
_ARGUMENT = re.compile(r"`([^`]+)` => :(\w+)")
_CASTS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "bigint": int,
    "double": float,
    "string": str,
    "date": str,
    "boolean": lambda text: {"true": True, "false": False}[text],
}


def _parameter(name: str, kind: str, text: str, position: int, **more: Any) -> dict[str, Any]:
    known = {"name": name, "type_name": kind, "type_text": text, "position": position}
    return {**known, "type_json": "{}", **more}


FUNCTIONS: dict[str, dict[str, Any]] = {
    "main.service.heat_demand": {
        "name": "heat_demand",
        "full_name": "main.service.heat_demand",
        "comment": "Heat demand of a house in kW.\n\nFor planners.",
        "data_type": "DOUBLE",
        "routine_definition": "area * 0.05",
        "input_params": {
            "parameters": [
                _parameter("insulated", "BOOLEAN", "boolean", 1, parameter_default="true"),
                _parameter("area_m2", "INT", "int", 0, comment="square metres"),
            ]
        },
    },
    "main.service.open_orders": {
        "name": "open_orders",
        "full_name": "main.service.open_orders",
        "comment": "Open orders of a tenant.",
        "data_type": "TABLE_TYPE",
        "routine_definition": "select ...",
        "input_params": {
            "parameters": [
                _parameter("tenant", "STRING", "string", 0),
                _parameter("most", "LONG", "bigint", 1),
            ]
        },
    },
    "main.service.listed": {
        "name": "listed",
        "full_name": "main.service.listed",
        "data_type": "INT",
        "input_params": {"parameters": [_parameter("all", "ARRAY", "array<int>", 0)]},
    },
}


class UnityServer(JsonService):
    """Endpoints for functions, statements and connections on 127.0.0.1.

    Callers send the bearer token `TOKEN`.
    """

    def __init__(self) -> None:
        self.statements: list[dict[str, Any]] = []
        """Bodies of the statements that arrived."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests through a connection."""
        self.answers: list[int] = []
        """Statuses to answer with first."""
        self.state = "SUCCEEDED"
        """What becomes of statements."""
        self.gone = False
        """Hangs up on who is connected already; `close` is for the others."""
        self.functions = json.loads(json.dumps(FUNCTIONS))
        super().__init__(self._checked)

    def _checked(self, asked: Asked) -> tuple[int, Any] | None:
        path = unquote(urlsplit(asked.path).path)
        if self.gone:
            return None
        if path == "/.well-known/databricks-config":
            return 200, {}
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 403, _error("PERMISSION_DENIED", "invalid token")
        if self.answers:
            return self.answers.pop(0), _error("INTERNAL_ERROR", "not now")
        return self._told(asked.method, path, asked.body or {})

    def _told(self, how: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        functions = "/api/2.1/unity-catalog/functions/"
        if how == "GET" and path.startswith(functions):
            found = self.functions.get(path.removeprefix(functions))
            return (200, found) if found else (404, _error("FUNCTION_DOES_NOT_EXIST", path))
        if (how, path) == ("POST", "/api/2.0/sql/statements"):
            self.statements.append(body)
            return 200, self._run(body)
        if (how, path) == ("POST", "/api/2.0/external-function"):
            self.requests.append(body)
            if body["connection_name"] != "weather":
                return 404, _error("CONNECTION_DOES_NOT_EXIST", body["connection_name"])
            return 200, json.dumps({"path": body["path"], "low_c": -12})
        return 404, _error("ENDPOINT_NOT_FOUND", path)

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.state != "SUCCEEDED":
            return {"statement_id": "1", "status": {"state": self.state}}
        try:
            columns, rows = self._rows(body)
        except (ValueError, KeyError) as error:
            failed = {"error_code": "BAD_REQUEST", "message": f"cannot cast: {error}"}
            return {"statement_id": "1", "status": {"state": "FAILED", "error": failed}}
        limit = body["row_limit"]
        schema = [{"name": name, "type_name": kind} for name, kind in columns]
        return {
            "statement_id": "1",
            "status": {"state": "SUCCEEDED"},
            "manifest": {"schema": {"columns": schema}, "truncated": len(rows) > limit},
            "result": {
                "data_array": [
                    [None if cell is None else str(cell) for cell in row] for row in rows[:limit]
                ]
            },
        }

    def _rows(self, body: dict[str, Any]) -> tuple[list[tuple[str, str]], list[list[Any]]]:
        call = _CALL.fullmatch(body["statement"])
        assert call, body["statement"]
        typed: dict[str, Any] = {
            one["name"]: None if one.get("value") is None else _CASTS[one["type"]](one["value"])
            for one in body["parameters"]
        }
        given = {name: typed[marker] for name, marker in _ARGUMENT.findall(call.group(3))}
        if call.group(2) == "`main`.`service`.`heat_demand`":
            share = 0.05 if given.get("insulated", True) else 0.11
            return [("result", "DOUBLE")], [[given["area_m2"] * share]]
        assert call.group(2) == "`main`.`service`.`open_orders`"
        columns = [("order", "STRING"), ("tenant", "STRING"), ("days", "INT")]
        return columns, [[f"WO{n}", given["tenant"], n] for n in range(given["most"])]


def _error(code: str, message: str) -> dict[str, str]:
    return {"error_code": code, "message": message}
