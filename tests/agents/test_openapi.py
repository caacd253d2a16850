"""Operations of an OpenAPI service on loopback as tools."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.openapi import openapi_source
from agentops_ref.settings import OpenApiConfig

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Weather", "version": "2.0"},
    "paths": {
        "/stations/{station}/forecast": {
            "get": {
                "operationId": "forecast",
                "summary": "Forecast for a station.",
                "parameters": [
                    {
                        "name": "station",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string"},
                    },
                    {
                        "name": "days",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 7},
                    },
                ],
                # As documents often are, this one is wrong about the answer: low_c is a number.
                "responses": {
                    "200": {
                        "description": "ok",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "properties": {"low_c": {"type": "string"}},
                                    },
                                }
                            }
                        },
                    }
                },
            }
        },
        "/alerts": {
            "post": {
                "operationId": "subscribe",
                "summary": "Subscribe to alerts.",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Alert"}}
                    },
                },
                "responses": {"201": {"description": "made"}},
            }
        },
    },
    "components": {
        "schemas": {
            "Alert": {
                "type": "object",
                "properties": {"station": {"type": "string"}, "below_c": {"type": "number"}},
                "required": ["station", "below_c"],
            }
        }
    },
}


class Service:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append(
                    (self.command, self.path, headers, json.loads(body) if body else None)
                )
                if parts.path == "/openapi.json":
                    status, told = 200, DOCUMENT
                elif "nowhere" in parts.path:
                    status, told = 404, {"detail": "no such station"}
                elif self.command == "POST":
                    status, told = 201, {"alert": 7}
                else:
                    days = int(parse_qs(parts.query).get("days", ["1"])[0])
                    status, told = 200, [{"day": n, "low_c": -n} for n in range(days)]
                data = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _do  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def registry_of(service: OpenApiConfig, base: Path = Path()) -> Registry:
    registry = Registry()
    registry.connect(openapi_source(service, base=base, timeout=20))
    return registry


CALLER = Caller("chain", tenant="torvik")


def test_operations_are_tools(service: Service) -> None:
    registry = registry_of(
        OpenApiConfig(name="weather", document=f"{service.url}/openapi.json", url=service.url)
    )
    assert registry.absent == {}
    specs = {spec.name: spec for spec in registry.specs()}
    assert set(specs) == {"forecast", "subscribe"}
    assert (specs["forecast"].effect, specs["subscribe"].effect) == ("read", "write")
    assert specs["forecast"].description == "Forecast for a station."
    found = registry.call("forecast", {"station": "Nordhavn 1/2", "days": 2}, CALLER)
    assert found.value == [{"day": 0, "low_c": 0}, {"day": 1, "low_c": -1}]
    assert service.asked[-1][1].startswith("/stations/Nordhavn%201%2F2/forecast")
    wrong = registry.call("forecast", {"station": "x", "days": 9}, CALLER)
    assert (wrong.status, "argument 'days'" in wrong.text) == ("invalid", True)


@pytest.mark.parametrize("station", ["..", ".", "../../alerts?", "%2e%2e", "a/../b", "N1#x"])
def test_a_value_never_leaves_its_place_in_the_path(service: Service, station: str) -> None:
    registry = registry_of(
        OpenApiConfig(name="weather", document=f"{service.url}/openapi.json", url=service.url)
    )
    before = len(service.asked)
    registry.call("forecast", {"station": station}, CALLER)
    for _, path, _, _ in service.asked[before:]:
        assert path.startswith("/stations/")
        assert path.endswith("/forecast")


def test_a_body_is_sent_as_the_document_says(service: Service) -> None:
    registry = registry_of(
        OpenApiConfig(name="weather", document=f"{service.url}/openapi.json", url=service.url)
    )
    made = registry.call("subscribe", {"station": "N1", "below_c": -15.5}, CALLER)
    assert made.value == {"alert": 7}
    assert service.asked[-1][0] == "POST"
    assert service.asked[-1][3] == {"station": "N1", "below_c": -15.5}
    missing = registry.call("subscribe", {"station": "N1"}, Caller("chain"))
    assert "argument 'below_c' is missing" in missing.text


def test_a_refusal_of_the_service_is_told(service: Service) -> None:
    registry = registry_of(
        OpenApiConfig(name="weather", document=f"{service.url}/openapi.json", url=service.url)
    )
    result = registry.call("forecast", {"station": "nowhere"}, CALLER)
    assert result.status == "failed"
    assert "404" in result.text


def test_tenant_and_token_travel_in_headers(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weather.json").write_text(json.dumps(DOCUMENT))
    monkeypatch.setenv("WEATHER_TOKEN", "secret")
    wanted = OpenApiConfig(
        name="weather",
        document="weather.json",
        url=service.url,
        token_env="WEATHER_TOKEN",
        tenant_header="X-Tenant",
        tools=["forecast"],
    )
    registry = registry_of(wanted, tmp_path)
    assert [spec.name for spec in registry.specs()] == ["forecast"]
    for tenant in ("torvik", "granmo", "torvik"):
        assert registry.call("forecast", {"station": "N1"}, Caller("chain", tenant=tenant)).ok
        headers = service.asked[-1][2]
        assert (headers["x-tenant"], headers["authorization"]) == (tenant, "Bearer secret")


def test_a_service_that_is_gone_is_a_stated_result(service: Service, tmp_path: Path) -> None:
    (tmp_path / "weather.json").write_text(json.dumps(DOCUMENT))
    wanted = OpenApiConfig(name="weather", document="weather.json", url=service.url)
    registry = registry_of(wanted, tmp_path)
    service.close()
    result = registry.call("forecast", {"station": "N1"}, CALLER)
    assert result.status == "failed"
    assert result.seconds < 10


@pytest.mark.parametrize(
    ("content", "said"), [("{", "weather.json"), ("{}", "weather"), (None, "weather.json")]
)
def test_a_document_that_is_none_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "weather.json").write_text(content)
    wanted = OpenApiConfig(name="weather", document="weather.json", url="http://127.0.0.1:9")
    registry = registry_of(wanted, tmp_path)
    assert registry.specs() == ()
    assert said in registry.absent["weather"]
