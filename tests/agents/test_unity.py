"""Unity Catalog functions and connections, against the loopback server of `apps.unity`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.unity import unity_sources
from agentops_ref.apps.unity import TOKEN, UnityServer
from agentops_ref.settings import UnityCatalogConfig

CALLER = Caller("chain", tenant="torvik")
HEAT = {"function": "main.service.heat_demand"}
ORDERS = {"function": "main.service.open_orders", "tool": "orders", "tenant": "tenant"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[UnityServer]:
    for variable in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LOOPBACK_TOKEN", TOKEN)
    made = UnityServer()
    yield made
    made.close()


def registry_of(server: UnityServer, *functions: dict[str, Any], **more: Any) -> Registry:
    settings = UnityCatalogConfig(
        **{  # type: ignore[arg-type]
            "host": server.url,
            "token_env": "LOOPBACK_TOKEN",
            "warehouse": "w1",
            "functions": list(functions),
        }
        | more
    )
    registry = Registry()
    for source in unity_sources(settings):
        registry.connect(source)
    return registry


def test_a_functions_schema_comes_from_the_catalogue(server: UnityServer) -> None:
    registry = registry_of(server, HEAT)
    assert registry.absent == {}
    (spec,) = registry.specs()
    assert (spec.name, spec.description) == ("heat_demand", "Heat demand of a house in kW.")
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "area_m2": {"type": "integer", "description": "square metres"},
            "insulated": {"type": "boolean"},
        },
        "required": ["area_m2"],
        "additionalProperties": False,
    }


def test_values_travel_as_typed_parameters(server: UnityServer) -> None:
    registry = registry_of(server, HEAT)
    assert registry.call("heat_demand", {"area_m2": 200}, CALLER).value == 10.0
    assert registry.call("heat_demand", {"area_m2": 200, "insulated": False}, CALLER).value == 22.0
    sent = server.statements[-1]
    assert sent["statement"] == (
        "SELECT `main`.`service`.`heat_demand`(`area_m2` => :p0, `insulated` => :p1) AS result"
    )
    assert sent["parameters"] == [
        {"name": "p0", "type": "int", "value": "200"},
        {"name": "p1", "type": "boolean", "value": "false"},
    ]
    assert (sent["warehouse_id"], sent["on_wait_timeout"]) == ("w1", "CANCEL")


def test_the_tenant_is_filled_by_the_registry(server: UnityServer) -> None:
    registry = registry_of(server, ORDERS)
    (spec,) = registry.specs()
    assert list(spec.parameters["properties"]) == ["most"]
    value = "x') OR 1=1 --"
    for tenant in ("torvik", "granmo", value):
        rows = registry.call("orders", {"most": 2}, Caller("chain", tenant=tenant)).value
        assert rows == [
            {"order": "WO0", "tenant": tenant, "days": 0},
            {"order": "WO1", "tenant": tenant, "days": 1},
        ]
        assert value not in server.statements[-1]["statement"]
    chosen = registry.call("orders", {"most": 2, "tenant": "granmo"}, CALLER)
    assert chosen.status == "invalid"


def test_more_rows_than_a_model_can_use_are_left_out_and_that_is_said(server: UnityServer) -> None:
    rows = registry_of(server, ORDERS).call("orders", {"most": 150}, CALLER).value
    assert len(rows) == 101
    assert rows[-1] == {"more": "only the first 100 rows"}


@pytest.mark.parametrize(
    ("state", "status"), [("CANCELED", "timeout"), ("CLOSED", "timeout"), ("FAILED", "failed")]
)
def test_a_statement_that_did_not_succeed_is_told(
    server: UnityServer, state: str, status: str
) -> None:
    registry = registry_of(server, HEAT)
    server.state = state
    assert registry.call("heat_demand", {"area_m2": 1}, CALLER).status == status


def test_what_the_service_cannot_cast_is_told(server: UnityServer) -> None:
    area = server.functions["main.service.heat_demand"]["input_params"]["parameters"][1]
    area["type_name"] = "STRING"  # so that our schema lets it pass; the statement's type is int
    result = registry_of(server, HEAT).call("heat_demand", {"area_m2": "wide"}, CALLER)
    assert result.status == "failed"
    assert "cannot cast" in result.text


def test_a_function_that_cannot_be_offered_leaves_the_others(server: UnityServer) -> None:
    listed, gone = "main.service.listed", "main.service.gone"
    registry = registry_of(server, {"function": listed}, {"function": gone}, HEAT)
    assert [spec.name for spec in registry.specs()] == ["heat_demand"]
    assert "parameter all is of type ARRAY" in registry.absent[listed]
    assert gone in registry.absent[gone]
    wrong = registry_of(server, {**HEAT, "tenant": "owner"})
    assert "no parameter 'owner'" in wrong.absent["main.service.heat_demand"]


def test_the_version_is_that_of_the_definition(server: UnityServer) -> None:
    (before,) = registry_of(server, HEAT).specs()
    server.functions["main.service.heat_demand"]["routine_definition"] = "area * 0.07"
    (after,) = registry_of(server, HEAT).specs()
    assert before.version != after.version


def test_a_connection_is_a_request_with_the_catalogues_credentials(server: UnityServer) -> None:
    connection = {
        "tool": "forecast",
        "description": "Forecast for a station.",
        "connection": "weather",
        "path": "/v1/stations/{station}",
        "parameters": {
            "type": "object",
            "properties": {"station": {"type": "string"}, "days": {"type": "integer"}},
        },
    }
    registry = registry_of(server, connections=[connection])
    result = registry.call("forecast", {"station": "N 1/2", "days": 2}, CALLER)
    assert result.value == {"path": "/v1/stations/N%201%2F2", "low_c": -12}
    (asked,) = server.requests
    assert asked["connection_name"] == "weather"
    assert asked["method"] == "GET"
    assert asked["params"] == '{"days": "2"}'
    assert registry.call("forecast", {}, CALLER).status == "invalid"
    assert registry.call("forecast", {"station": ".."}, CALLER).status == "invalid"
    assert len(server.requests) == 1


def test_a_connection_that_writes_is_a_write(server: UnityServer) -> None:
    connection = {
        "tool": "order",
        "description": "Orders a part.",
        "connection": "gone",
        "path": "/orders",
        "method": "POST",
        "parameters": {"type": "object", "properties": {"part": {"type": "string"}}},
    }
    registry = registry_of(server, connections=[connection])
    assert registry.specs()[0].effect == "write"
    result = registry.call("order", {"part": "FV-1"}, CALLER)
    assert result.status == "failed"
    assert server.requests[0]["json"] == '{"part": "FV-1"}'


def test_a_wrong_token_and_a_missing_one_are_the_operators_business(
    server: UnityServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPBACK_TOKEN", "wrong")
    assert "invalid token" in registry_of(server, HEAT).absent["main.service.heat_demand"]
    monkeypatch.delenv("LOOPBACK_TOKEN")
    assert "LOOPBACK_TOKEN" in registry_of(server, HEAT).absent["main.service.heat_demand"]


def test_a_workspace_that_is_unwell_is_asked_once(server: UnityServer) -> None:
    registry = registry_of(server, HEAT)
    for status in (500, 503, 429):
        server.answers = [status]
        result = registry.call("heat_demand", {"area_m2": 1}, CALLER)
        assert result.status == "failed", result
        assert "not now" in result.text
    assert server.statements == []
    assert registry.call("heat_demand", {"area_m2": 20}, CALLER).value == 1.0


def test_a_workspace_that_is_gone_is_a_stated_result(server: UnityServer) -> None:
    registry = registry_of(server, HEAT)
    server.gone = True
    result = registry.call("heat_demand", {"area_m2": 1}, CALLER)
    assert result.status == "failed"
    assert "heat_demand" in result.text


def test_functions_need_a_warehouse_and_a_full_name() -> None:
    with pytest.raises(ValidationError, match="warehouse"):
        UnityCatalogConfig(functions=[HEAT])  # type: ignore[list-item]
    with pytest.raises(ValidationError, match=r"catalog\.schema\.function"):
        UnityCatalogConfig(warehouse="w", functions=[{"function": "f"}])  # type: ignore[list-item]
