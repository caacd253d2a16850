"""``agentops tools``: list, a call by hand, and the sensor server in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.mcp import source_of
from agentops_ref.settings import McpServerConfig
from tests.apps.test_cli import Agentops, agentops, project  # noqa: F401  # fixtures

TABLES = {
    "installations": "serial_number,tenant,customer_id,model,commissioned,pipe_length_m,firmware,"
    "status\nNL8-1,torvik,C1,NL-8,2024-03-18,12,3.2.0,active\n",
    "warranties": "warranty_id,tenant,serial_number,kind,starts,ends,status\n"
    "W1,torvik,NL8-1,extended,2024-03-18,2029-03-18,active\n",
    "sensor_readings": "reading_id,tenant,serial_number,measured_at,outdoor_c,flow_c,return_c,"
    "power_w,compressor_hz\n"
    + "".join(
        f"R{hour},torvik,NL8-1,2025-01-06T{hour:02}:00:00Z,-{hour}.5,40.0,35.0,{1500 + hour},50\n"
        for hour in range(5)
    )
    + "R9,granmo,DY6-2,2025-01-06T00:00:00Z,-1.0,41.0,36.0,1400,48\n",
}


@pytest.fixture
def filled(project: Path, agentops: Agentops) -> Path:  # noqa: F811
    for name, text in TABLES.items():
        (project / "tables" / f"{name}.csv").write_text(text)
    assert agentops("tables", "sync")[0] == 0
    return project


def test_the_tools_are_listed(agentops: Agentops) -> None:  # noqa: F811
    code, out, _ = agentops("tools", "list", "--json")
    told = json.loads(out)
    assert code == 0
    assert "find_installation" in [tool["name"] for tool in told["tools"]]
    assert len(told["digest"]) == 64
    assert "find_installation" in agentops("tools", "list")[1]


def test_a_list_for_an_agent_leaves_out_what_it_may_not_call(agentops: Agentops) -> None:  # noqa: F811
    option = ("--set", "tools.overrides={book_visit: {agents: [clerk]}}", "--json")
    for agent, there in (("clerk", True), ("chain", False)):
        told = json.loads(agentops("tools", "list", "--agent", agent, *option)[1])
        assert ("book_visit" in [tool["name"] for tool in told["tools"]]) is there


def test_a_source_that_is_not_there_is_named(agentops: Agentops) -> None:  # noqa: F811
    server = 'tools.servers=[{"name": "sensors", "url": "http://127.0.0.1:9/mcp"}]'
    code, out, _ = agentops("tools", "list", "--set", server)
    assert code == 1
    assert "sensors is not there" in out


def test_a_call_by_hand_is_for_one_tenant_and_leaves_a_record(
    agentops: Agentops,  # noqa: F811
    filled: Path,
) -> None:
    arguments = ("tools", "call", "find_installation", "--args", '{"serial": "nl8-1"}')
    code, out, _ = agentops(*arguments, "--tenant", "torvik", "--user", "bo")
    assert code == 0
    assert "model: NL-8" in out
    for option in (("--tenant", "granmo"), ()):
        code, out, _ = agentops(*arguments, *option, "--json")
        told = json.loads(out)
        assert told["status"] == "ok"
        assert told["text"] == "no installation with serial number nl8-1"
    lines = [json.loads(one) for one in (filled / "state/tools.jsonl").read_text().splitlines()]
    assert [line["tenant"] for line in lines] == ["torvik", "granmo", ""]
    assert (lines[0]["agent"], lines[0]["user"]) == ("cli", "bo")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["find_installation", "--args", "{"], 2, "expected JSON"),
        (["find_installation", "--args", "{}"], 1, "invalid: find_installation: argument 'serial'"),
        (["find_instalation"], 1, "did you mean 'find_installation'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    agentops: Agentops,  # noqa: F811
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    got, out, err = agentops("tools", "call", *arguments)
    assert got == code
    assert said in out + err


# --- the sensor server ----------------------------------------------------------------------


@pytest.fixture
def sensors(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of `agentops tools serve`, in a process of its own, with a token."""
    monkeypatch.setenv("SENSORS_TOKEN", "secret")
    said = filled / "stderr.txt"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agentops_ref.apps.cli", "tools", "serve", "--port", "0"),
                *("--set", "tools.serve.token_env=SENSORS_TOKEN"),
            ],
            cwd=filled,
            stderr=stderr,
        )
    deadline = time.monotonic() + 60
    while not (found := re.search(r"http://\S+/mcp", said.read_text())):
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield found[0]
    process.send_signal(signal.SIGINT)
    process.wait(20)


def registry_of(url: str, token_env: str | None = "SENSORS_TOKEN") -> Registry:
    server = McpServerConfig(name="sensors", url=url, tenant_header="X-Tenant", token_env=token_env)
    registry = Registry()
    registry.connect(source_of(server, timeout=30.0))
    return registry


def test_sensor_readings_are_served_for_one_tenant(sensors: str) -> None:
    registry = registry_of(sensors)
    assert registry.absent == {}
    assert [spec.name for spec in registry.specs()] == ["latest_readings", "summarise_readings"]
    assert {spec.effect for spec in registry.specs()} == {"read"}
    mine = Caller("chain", tenant="torvik")
    latest = registry.call("latest_readings", {"serial": "nl8-1", "count": 2}, mine).value
    assert [row["power_w"] for row in latest] == [1504, 1503]
    assert latest[0]["measured_at"].startswith("2025-01-06T04:00")
    period = {"serial": "NL8-1", "start": "2025-01-06T01:00:00Z", "end": "2025-01-06T03:00:00Z"}
    summary = registry.call("summarise_readings", period, mine).value
    assert (summary["readings"], summary["outdoor_c"], summary["power_w"]) == (2, -2.0, 1502)
    days = {"serial": "NL8-1", "start": "2025-01-06", "end": "2025-01-07"}
    assert registry.call("summarise_readings", days, mine).value["readings"] == 5
    for tenant in ("granmo", ""):
        other = Caller("chain", tenant=tenant)
        assert registry.call("latest_readings", {"serial": "NL8-1"}, other).value == []
        assert registry.call("summarise_readings", days, other).value["readings"] == 0
    wrong = registry.call("summarise_readings", {**days, "start": "Monday"}, mine)
    assert (wrong.status, "start" in wrong.text) == ("failed", True)


def test_the_sensor_server_asks_for_its_token(
    sensors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in (None, "wrong"):
        if token:
            monkeypatch.setenv("SENSORS_TOKEN", token)
        registry = registry_of(sensors, token_env="SENSORS_TOKEN" if token else None)
        assert registry.specs() == ()
        assert "sensors" in registry.absent


def test_a_port_that_is_taken_is_named(agentops: Agentops, sensors: str) -> None:  # noqa: F811
    port = sensors.split(":")[2].split("/")[0]
    code, _, err = agentops("tools", "serve", "--port", port)
    assert code == 1
    assert f"127.0.0.1:{port} cannot be served" in err
