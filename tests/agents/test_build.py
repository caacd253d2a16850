"""From the section ``tools:`` to a registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.agents.tools import Caller, Rate, Registry, ToolSpec
from agentops_ref.agents.tools.build import adapted, build_registry
from agentops_ref.config import load_config
from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.settings import ToolOverride

ALLOW = {k: v for k, v in load_config().agent.allow.items() if k not in ("cli", "tools")}


def torque(model: str) -> str:
    """Torque of a flare nut."""
    return f"{model}: 18 Nm"


def built(tmp_path: Path, *overrides: str) -> Registry:
    config = load_config(overrides=(f"paths.state={tmp_path}", *overrides))
    return build_registry(
        config.tools,
        query=lambda sql, values: [{"serial_number": "x"}],
        path=config.path,
        allow={"cli": ["*"], "records": ["find_installation"]},
    )


def test_the_shipped_configuration_has_the_running_cases_tools(tmp_path: Path) -> None:
    registry = built(tmp_path)
    assert [spec.name for spec in registry.specs("cli")] == [
        "find_installation",
        "find_warranty",
        "part_stock",
        "open_work_orders",
        "customer_invoices",
        "latest_readings",
        "summarise_readings",
        "visits",
        "book_visit",
        "reschedule_visit",
        "propose_credit_note",
    ]
    assert [spec.name for spec in registry.specs("records")] == ["find_installation"]
    assert not registry.specs("anybody")
    assert registry.absent == {}
    writes = [spec.name for spec in registry.specs() if spec.effect == "write"]
    assert writes == ["book_visit", "reschedule_visit", "propose_credit_note"]
    assert all(spec.repeat == "once" for spec in registry.specs() if spec.effect == "write")
    assert {(spec.timeout, spec.max_chars) for spec in registry.specs()} == {(10, 1500)}
    registry.call("find_installation", {"serial": "NL8"}, Caller("cli"))
    (line,) = (tmp_path / "tools.jsonl").read_text().splitlines()
    assert json.loads(line)["tool"] == "find_installation"


def test_the_tools_take_little_of_a_prompt(tmp_path: Path) -> None:
    """A prompt of the small model is some 400 tokens of four characters."""
    from agentops_ref.models.toolstep import _describe

    registry = build_registry(
        load_config().tools, query=lambda sql, values: [], path=tmp_path.joinpath, allow=ALLOW
    )
    for agent in ALLOW:
        shown = "\n".join(_describe(spec.as_function()) for spec in registry.specs(agent))
        assert 0 < len(shown) < 500, shown


def test_sources_can_be_left_out_and_functions_added(tmp_path: Path) -> None:
    function = f"tools.python=[{__name__}:torque]"
    registry = built(
        tmp_path, "tools.records=false", "tools.sensors=false", "tools.schedule=null", function
    )
    (spec,) = registry.specs()
    assert spec.name == "torque"
    assert registry.call("torque", {"model": "NL-8"}, Caller("cli")).text == "NL-8: 18 Nm"


def test_an_override_has_the_last_word(tmp_path: Path) -> None:
    said = {"timeout": 2, "agents": ["clerk"], "rate": {"calls": 5, "seconds": 60}}
    registry = built(tmp_path, f"tools.overrides={json.dumps({'book_visit': said})}")
    (spec,) = [spec for spec in registry.specs() if spec.name == "book_visit"]
    assert (spec.timeout, spec.agents, spec.rate) == (2, ("clerk",), Rate(5, 60))
    assert "book_visit" not in [spec.name for spec in registry.specs("chain")]
    assert registry.digest() != built(tmp_path).digest()


def test_an_override_of_no_tool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'book_visits'; did you mean 'book_visit'"):
        built(tmp_path, "tools.overrides={book_visits: {timeout: 3}}")


def test_a_function_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no_such"):
        built(tmp_path, "tools.python=[no_such.module:f]")


def test_a_server_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    server = {"name": "sensors", "url": "http://127.0.0.1:9/mcp"}
    registry = built(tmp_path, f"tools.servers={json.dumps([server])}")
    assert len(registry.specs()) == 11
    assert list(registry.absent) == ["sensors"]


SPEC = ToolSpec("look", "Looks.", {"type": "object"}, version="abc")


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        ({"description": "Sees."}, "description", "Sees."),
        ({"effect": "write"}, "repeat", "once"),
        ({"effect": "write", "repeat": "free"}, "repeat", "free"),
        ({"max_chars": 10}, "max_chars", 10),
        ({"version": "abc"}, "version", "abc"),
        ({"agents": []}, "agents", ()),
    ],
)
def test_each_field_can_be_overridden(said: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(adapted(SPEC, ToolOverride(**said)), field) == value


def test_a_tool_of_another_version_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"the version abc, and tools\.overrides wants def"):
        adapted(SPEC, ToolOverride(version="def"))
