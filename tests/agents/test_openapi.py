"""Operations of an OpenAPI service on loopback as tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.openapi import openapi_source
from agentops_ref.apps.weather import DOCUMENT, WeatherService
from agentops_ref.settings import OpenApiConfig


@pytest.fixture
def service() -> Iterator[WeatherService]:
    made = WeatherService()
    yield made
    made.close()


def registry_of(service: OpenApiConfig, base: Path = Path()) -> Registry:
    registry = Registry()
    registry.connect(openapi_source(service, base=base, timeout=20))
    return registry


CALLER = Caller("chain", tenant="torvik")


def test_operations_are_tools(service: WeatherService) -> None:
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
def test_a_value_never_leaves_its_place_in_the_path(service: WeatherService, station: str) -> None:
    registry = registry_of(
        OpenApiConfig(name="weather", document=f"{service.url}/openapi.json", url=service.url)
    )
    before = len(service.asked)
    registry.call("forecast", {"station": station}, CALLER)
    for _, path, _, _ in service.asked[before:]:
        assert path.startswith("/stations/")
        assert path.endswith("/forecast")


def test_a_body_is_sent_as_the_document_says(service: WeatherService) -> None:
    registry = registry_of(
        OpenApiConfig(name="weather", document=f"{service.url}/openapi.json", url=service.url)
    )
    made = registry.call("subscribe", {"station": "N1", "below_c": -15.5}, CALLER)
    assert made.value == {"alert": 7}
    assert service.asked[-1][0] == "POST"
    assert service.asked[-1][3] == {"station": "N1", "below_c": -15.5}
    missing = registry.call("subscribe", {"station": "N1"}, Caller("chain"))
    assert "argument 'below_c' is missing" in missing.text


def test_a_refusal_of_the_service_is_told(service: WeatherService) -> None:
    registry = registry_of(
        OpenApiConfig(name="weather", document=f"{service.url}/openapi.json", url=service.url)
    )
    result = registry.call("forecast", {"station": "nowhere"}, CALLER)
    assert result.status == "failed"
    assert "404" in result.text


def test_tenant_and_token_travel_in_headers(
    service: WeatherService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_a_service_that_is_gone_is_a_stated_result(service: WeatherService, tmp_path: Path) -> None:
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
