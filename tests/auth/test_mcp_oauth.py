"""MCP with OAuth 2.1: our own server as a protected resource, and our client through each flow."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from agentops_ref.agents.auth import claims_of
from agentops_ref.agents.auth.client import TokenClient
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.mcp import source_of
from agentops_ref.agents.tools.mcp_auth import file_of
from agentops_ref.agents.tools.mcp_login import log_in
from agentops_ref.apps import login
from agentops_ref.apps.browser import Browser, free_port
from agentops_ref.apps.sensor_process import SensorProcess
from agentops_ref.config import load_config
from agentops_ref.errors import OperatorError
from agentops_ref.settings import McpServerConfig
from agentops_ref.wiring import App, build
from tests.auth.conftest import SECRET, Configured

SOON = 60.0


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An authorization server whose access tokens count for three seconds."""
    folder = tmp_path_factory.mktemp("brief")
    config = load_config(overrides=["auth.dev.seconds=3"])
    with login.dev_server(config.auth, folder / "keys.json") as url:
        yield url


def served(issuer: str, state: Path, corpus: Path, *more: str) -> SensorProcess:
    settings = [
        "auth.required=true",
        f"auth.issuer={issuer}",
        f"paths.state={state}",
        f"paths.corpus={corpus}",
        "auth.leeway=0",
        *more,
    ]
    return SensorProcess(settings)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """A state folder that holds the tables."""
    folder = tmp_path_factory.mktemp("state")
    build(load_config(overrides=[f"paths.state={folder}", f"paths.corpus={corpus}"])).sync_tables()
    return folder


@pytest.fixture(scope="module")
def sensors(issuer: str, state: Path, corpus: Path) -> Iterator[SensorProcess]:
    process = served(issuer, state, corpus)
    yield process
    process.kill()


@pytest.fixture(scope="module")
def brief_sensors(brief: str, state: Path, corpus: Path) -> Iterator[SensorProcess]:
    process = served(brief, state, corpus)
    yield process
    process.kill()


@pytest.fixture(scope="module")
def units(corpus: Path) -> dict[str, str]:
    """A unit with readings, for each tenant that has any: they are one tenant's."""
    import csv

    with (corpus / "v1" / "tables" / "sensor_readings.csv").open(encoding="utf-8") as file:
        return {row["tenant"]: row["serial_number"] for row in csv.DictReader(file)}


def registry_of(
    url: str, *, tokens: TokenClient | None = None, logins: Path | None = None, **server: Any
) -> Registry:
    config = McpServerConfig.model_validate({"name": "sensors", "url": url, **server})
    registry = Registry()
    registry.connect(source_of(config, tokens=tokens, logins=logins, timeout=SOON))
    return registry


def initialise(url: str, token: str | None = None) -> httpx.Response:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    headers = {"Accept": "application/json, text/event-stream"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.post(url, json=body, headers=headers, timeout=SOON)


# --- our server -------------------------------------------------------------------------------


def test_without_a_token_the_server_points_to_its_metadata(
    sensors: SensorProcess, issuer: str
) -> None:
    reply = initialise(sensors.url)
    assert reply.status_code == 401
    where = reply.headers["www-authenticate"].partition('resource_metadata="')[2].split('"')[0]
    found = httpx.get(where, timeout=SOON).json()
    assert found["resource"] == sensors.url
    assert [one.rstrip("/") for one in found["authorization_servers"]] == [issuer]
    assert found["scopes_supported"] == ["sensors"]


def test_wrong_tokens_are_refused_and_the_right_one_is_not(
    sensors: SensorProcess, token: Callable[..., str]
) -> None:
    good = token("kari", sensors.url, "sensors")
    head, body, signature = good.split(".")
    assert initialise(sensors.url, good).status_code == 200
    assert initialise(sensors.url, f"{head}.{body}.{signature[:-4]}AAAA").status_code == 401
    assert initialise(sensors.url, token("kari")).status_code == 401
    assert initialise(sensors.url, token("kari", sensors.url + "/")).status_code == 401
    assert initialise(sensors.url, "nonsense").status_code == 401
    assert initialise(sensors.url, token("kari", sensors.url, "ask")).status_code == 403


# --- our client -------------------------------------------------------------------------------


def test_a_client_without_a_token_and_with_a_wrong_one(
    sensors: SensorProcess, monkeypatch: pytest.MonkeyPatch, token: Callable[..., str]
) -> None:
    assert "cannot be used" in registry_of(sensors.url).absent["sensors"]
    monkeypatch.setenv("WRONG", token("kari"))
    wrong = registry_of(sensors.url, auth={"kind": "bearer", "token_env": "WRONG"})
    assert wrong.specs() == ()
    assert "sensors" in wrong.absent
    monkeypatch.setenv("RIGHT", token("kari", sensors.url, "sensors"))
    right = registry_of(sensors.url, auth={"kind": "bearer", "token_env": "RIGHT"})
    assert {spec.name for spec in right.specs()} == {"latest_readings", "summarise_readings"}


def credentials(issuer: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "client_credentials",
        "client_id": "assistant",
        "client_secret_env": "AGENTOPS_CLIENT_SECRET",
        "issuer": issuer,
        "scope": "sensors",
        **more,
    }


def test_client_credentials_find_their_way_and_read_nobodys_rows(
    sensors: SensorProcess, issuer: str, units: dict[str, str]
) -> None:
    registry = registry_of(sensors.url, auth=credentials(issuer), tenant_header="X-Tenant")
    assert registry.absent == {}
    for tenant, serial in units.items():
        # A header that claims a tenant does not count: the token names none.
        found = registry.call("latest_readings", {"serial": serial}, Caller("a", tenant=tenant))
        assert (found.status, found.value) == ("ok", [])


def test_a_secret_goes_to_the_issuer_that_gave_it_and_nowhere_else(
    sensors: SensorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = registry_of(sensors.url, auth=credentials("http://127.0.0.1:9"))
    assert "no token" in other.absent["sensors"]
    monkeypatch.setenv("AGENTOPS_CLIENT_SECRET", "another-one-12345")


def test_wrong_and_missing_secrets_are_told(
    sensors: SensorProcess, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUESSED", "guessed-wrongly-77")
    wrong = registry_of(sensors.url, auth=credentials(issuer, client_secret_env="GUESSED"))
    assert "no token" in wrong.absent["sensors"]
    assert "guessed-wrongly-77" not in wrong.absent["sensors"]
    none = registry_of(sensors.url, auth=credentials(issuer, client_secret_env="NOT_THERE"))
    assert "NOT_THERE is not set" in none.absent["sensors"]


def test_a_token_that_has_run_out_is_replaced(
    brief_sensors: SensorProcess, brief: str, units: dict[str, str]
) -> None:
    registry = registry_of(brief_sensors.url, auth=credentials(brief))
    assert registry.absent == {}
    for _ in range(3):
        assert registry.call("latest_readings", {"serial": units["torvik"]}, Caller("a")).ok
        threading.Event().wait(3.5)  # its end is by the clock; nothing else says so


# --- on behalf of whoever asks ----------------------------------------------------------------


@pytest.fixture
def app(configured: Configured) -> App:
    return build(configured())


def test_a_tenant_reaches_the_server_in_a_token_and_gets_its_own_rows_only(
    sensors: SensorProcess, app: App, token: Callable[..., str], units: dict[str, str]
) -> None:
    registry = registry_of(
        sensors.url, auth={"kind": "exchange", "scope": "sensors"}, tokens=app.tokens
    )
    assert registry.absent == {}
    for user, mine in (("kari", "torvik"), ("eli", "elvedal"), ("gro", "granmo")):
        who = app.verifier().verify(token(user))
        caller = Caller("diagnostics", tenant=who.tenant, user=user, identity=who)
        for tenant, serial in units.items():
            rows = registry.call("latest_readings", {"serial": serial}, caller).value
            assert bool(rows) == (tenant == mine), (user, tenant)
    lied = Caller("diagnostics", tenant="torvik", identity=app.verifier().verify(token("eli")))
    assert registry.call("latest_readings", {"serial": units["torvik"]}, lied).value == []


def test_a_callers_own_token_is_never_sent_on(
    app: App, token: Callable[..., str], tmp_path: Path
) -> None:
    """Whatever a server is configured to be shown, it is not the token that we were shown."""
    from agentops_ref.apps.loopback import Asked, JsonService

    seen: list[Asked] = []

    def answer(asked: Asked) -> tuple[int, Any]:
        seen.append(asked)
        return 404, {}

    mine = token()
    who = Request().of(app.verifier().verify(mine)).identity
    caller = Caller("diagnostics", tenant="torvik", identity=who)
    with JsonService(answer) as service:
        for auth in (
            None,
            {"kind": "exchange", "scope": "sensors"},
            credentials(app.config.auth.issuer),
        ):
            config = McpServerConfig.model_validate(
                {"name": "s", "url": f"{service.url}/mcp", "auth": auth}
            )
            source = source_of(config, tokens=app.tokens, timeout=20)
            with pytest.raises(Exception, match=r"s |s:"):
                source.call("x", {}, caller, 20)
    assert seen
    assert mine not in repr(seen)
    sent = [a.headers["authorization"] for a in seen if "authorization" in a.headers]
    audiences = {claims_of(one.removeprefix("Bearer "))["claims"]["aud"] for one in sent}
    assert audiences == {f"{service.url}/mcp"}


def test_exchange_without_logins_is_a_mistake_in_the_configuration() -> None:
    registry = registry_of("http://127.0.0.1:9/mcp", auth={"kind": "exchange"})
    assert "auth.required: true" in registry.absent["sensors"]


# --- somebody logs in -------------------------------------------------------------------------


def person(url: str, **more: Any) -> McpServerConfig:
    auth = {
        "kind": "authorization_code",
        "scope": "sensors",
        "redirect_port": free_port(),
        "seconds": 60,
        **more,
    }
    return McpServerConfig.model_validate({"name": "sensors", "url": url, "auth": auth})


def called(config: McpServerConfig, logins: Path, serial: str) -> Any:
    registry = Registry()
    registry.connect(source_of(config, logins=logins, timeout=SOON))
    assert registry.absent == {}
    return registry.call("latest_readings", {"serial": serial}, Caller("a")).value


def test_the_whole_flow_with_a_browser(
    sensors: SensorProcess, tmp_path: Path, units: dict[str, str]
) -> None:
    config, browser = person(sensors.url), Browser("kari")
    before = registry_of(
        sensors.url, auth=config.auth and config.auth.model_dump(), logins=tmp_path
    )
    assert "agentops auth login sensors" in before.absent["sensors"]
    left = asyncio.run(log_in(config, tmp_path, browser))
    assert 800 < left <= 900
    assert browser.asked["code_challenge_method"] == "S256"
    assert browser.asked["resource"] == sensors.url
    assert browser.asked["client_id"].startswith("dynamic-"), "it registered itself"
    assert "you may close this page" in browser.pages[1]
    file = file_of(config, tmp_path)
    assert file is not None
    assert file.stat().st_mode & 0o777 == 0o600
    assert called(config, tmp_path, units["torvik"])
    asyncio.run(log_in(config, tmp_path, Browser("gro")))
    assert called(config, tmp_path, units["torvik"]) == [], "another tenant's"


def test_a_login_is_renewed_by_its_refresh_token(
    brief_sensors: SensorProcess, tmp_path: Path, units: dict[str, str]
) -> None:
    """In another process, as it were: all that is known stands in the file."""
    config, browser = person(brief_sensors.url), Browser("kari")
    asyncio.run(log_in(config, tmp_path, browser))
    file = file_of(config, tmp_path)
    assert file is not None
    seen = [json.loads(file.read_text())["tokens"]]
    for _ in range(2):
        threading.Event().wait(3.5)
        assert called(config, tmp_path, units["torvik"])
        seen.append(json.loads(file.read_text())["tokens"])
    assert len({one["access_token"] for one in seen}) == 3
    assert len({one["refresh_token"] for one in seen}) == 3, "rotated"
    assert len(browser.pages) == 2, "nobody was asked again"


def test_a_login_that_has_ended_says_what_to_do(
    brief_sensors: SensorProcess, brief: str, tmp_path: Path
) -> None:
    config = person(brief_sensors.url)
    asyncio.run(log_in(config, tmp_path, Browser("eli")))
    file = file_of(config, tmp_path)
    assert file is not None
    kept = json.loads(file.read_text())
    form = {"client_id": kept["client"]["client_id"], "token": kept["tokens"]["refresh_token"]}
    assert httpx.post(f"{brief}/revoke", data=form, timeout=SOON).status_code == 200
    threading.Event().wait(3.5)
    registry = Registry()
    registry.connect(source_of(config, logins=tmp_path, timeout=SOON))
    assert "agentops auth login sensors" in registry.absent["sensors"]


def test_a_person_who_refuses_or_never_comes(sensors: SensorProcess, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="the person refused"):
        asyncio.run(log_in(person(sensors.url), tmp_path, Browser("")))
    with pytest.raises(OperatorError, match="nobody logged in within 1 s"):
        asyncio.run(log_in(person(sensors.url, seconds=1), tmp_path, lambda url: None))
    assert list(tmp_path.glob("mcp-*")) == []


def test_a_return_that_was_not_asked_for_is_not_believed(
    sensors: SensorProcess, tmp_path: Path
) -> None:
    config = person(sensors.url)
    assert config.auth is not None
    port = config.auth.redirect_port

    def forged(address: str) -> None:
        httpx.get(f"http://127.0.0.1:{port}/callback?code=theirs&state=guessed", timeout=SOON)

    with pytest.raises(OperatorError, match="no token"):
        asyncio.run(log_in(config, tmp_path, forged))
    assert list(tmp_path.glob("mcp-*")) == []


def test_the_command_logs_in_with_the_systems_browser(
    sensors: SensorProcess, issuer: str, tmp_path: Path
) -> None:
    """`BROWSER` names what webbrowser starts: here a program that agrees as kari."""
    program = tmp_path / "browser.py"
    program.write_text(
        "import sys\nfrom agentops_ref.apps.browser import Browser\nBrowser('kari')(sys.argv[1])\n"
    )
    servers = json.dumps([json.loads(person(sensors.url).model_dump_json())])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "agentops_ref.apps.cli", "auth", "login", "sensors"),
            *("--set", f"tools.servers={servers}", "--set", f"paths.state={tmp_path}"),
        ],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(sys.path),
            "HOME": str(tmp_path),
            "BROWSER": f"{sys.executable} {program} %s",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "logged in at sensors" in done.stdout
    assert "code_challenge" in done.stderr, "the address is printed too"
    kept = (tmp_path / "auth" / "mcp-sensors.json").read_text()
    assert json.loads(kept)["tokens"]["access_token"] not in done.stdout + done.stderr
    assert SECRET not in kept


# --- the configuration ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"auth": {"kind": "bearer"}}, "needs `token_env`"),
        ({"auth": {"kind": "client_credentials"}}, "needs `client_id`"),
        ({"auth": {"kind": "exchange"}, "token_env": "X"}, "either `token_env` or `auth`"),
        ({"auth": {"kind": "exchange"}, "url": "http://far.example/mcp"}, "expected https"),
        ({"auth": {"kind": "password"}}, "bearer"),
        ({"auth": {"kind": "exchange"}, "url": None, "command": ["x"]}, "are for a `url`"),
    ],
)
def test_what_cannot_be_configured(server: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        McpServerConfig.model_validate({"name": "s", "url": "https://s.example/mcp", **server})
