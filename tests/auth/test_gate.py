"""A served agent and who may ask it: in the words of HTTP, and from process to process."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentops_ref.agents.remote import RemoteAgent
from agentops_ref.agents.request import Request
from agentops_ref.apps import login
from agentops_ref.errors import AccessError
from agentops_ref.ops import endpoints
from agentops_ref.testing import ScriptedChat
from agentops_ref.wiring import App, build
from tests.auth.conftest import SECRET, Configured

ASK = {"input": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def urls(issuer: str, state: Path) -> Iterator[dict[str, str]]:
    """Two agents, each in a process of its own behind a gate; the second takes a token once."""

    def command(name: str, *more: str) -> Callable[[int], list[str]]:
        program = [sys.executable, "-m", "tests.auth.served"]
        return lambda port: [*program, str(port), issuer, str(state), name, *more]

    commands = {
        "records": command("records"),
        "diagnostics": command("diagnostics", "auth.once=true"),
    }
    found = endpoints.up(
        state / "agents",
        commands,
        host="127.0.0.1",
        port=0,
        seconds=180,
        environ={"AGENTOPS_CLIENT_SECRET": SECRET},
    )
    yield {one.name: one.url for one in found}
    endpoints.down(state / "agents")


def ask(url: str, *headers: tuple[str, str], **body: Any) -> httpx.Response:
    return httpx.post(f"{url}/invocations", json={**ASK, **body}, headers=list(headers), timeout=60)


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def challenge(reply: httpx.Response) -> dict[str, str]:
    header = reply.headers["www-authenticate"]
    assert header.startswith("Bearer ")
    return dict(re.findall(r'(\w+)="([^"]*)"', header))


def text_of(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return str(reply.json()["output"][0]["content"][0]["text"])


def test_without_a_token_it_says_where_to_get_one(urls: dict[str, str], issuer: str) -> None:
    reply = ask(urls["records"])
    assert reply.status_code == 401
    told = challenge(reply)
    assert "error" not in told, "RFC 6750: nothing was wrong, something was missing"
    found = httpx.get(told["resource_metadata"], timeout=20).json()
    assert found["resource"] == urls["records"]
    assert found["authorization_servers"] == [issuer]
    assert httpx.get(f"{urls['records']}/health", timeout=20).status_code == 200


def test_everything_but_the_health_is_behind_the_gate(urls: dict[str, str]) -> None:
    url = urls["records"]
    for path in ("/agent/info", "/docs", "/openapi.json", "/", "/health/", "//health", "/nowhere"):
        assert httpx.get(url + path, timeout=20).status_code == 401, path
    for path in ("/invocations", "/responses"):
        assert httpx.post(url + path, json=ASK, timeout=20).status_code == 401


def test_the_right_token_is_answered(urls: dict[str, str], token: Callable[..., str]) -> None:
    reply = ask(urls["records"], bearer(token("kari", urls["records"])))
    assert text_of(reply) == "records: kari of torvik as technician"


def test_what_the_body_says_of_tenant_and_user_does_not_count(
    urls: dict[str, str], token: Callable[..., str]
) -> None:
    claimed = Request(tenant="granmo", user="gro").as_json()
    reply = ask(
        urls["records"],
        bearer(token("kari", urls["records"])),
        custom_inputs={"request": claimed},
    )
    assert text_of(reply) == "records: kari of torvik as technician"


def test_an_identity_in_the_body_is_refused(
    urls: dict[str, str], token: Callable[..., str]
) -> None:
    claimed = {"identity": {"subject": "gro", "tenant": "granmo", "roles": ["admin"]}}
    reply = ask(
        urls["records"],
        bearer(token("kari", urls["records"])),
        custom_inputs={"request": claimed},
    )
    assert reply.status_code == 500
    assert "send a token" in reply.text


def test_tokens_that_do_not_count(urls: dict[str, str], token: Callable[..., str]) -> None:
    url, good = urls["records"], token("kari", urls["records"])
    head, body, signature = good.split(".")
    for sent in (
        token("kari", urls["diagnostics"]),  # of another agent
        token("kari"),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        "nonsense",
    ):
        reply = ask(url, bearer(sent))
        assert reply.status_code == 401
        assert challenge(reply)["error"] == "invalid_token"
        assert sent not in reply.text + str(reply.headers)
    for header in (("Authorization", f"Basic {good}"), ("Authorization", "Bearer")):
        assert ask(url, header).status_code == 401
    assert ask(url, bearer(good), bearer(good)).status_code == 401
    assert httpx.post(f"{url}/invocations?access_token={good}", json=ASK).status_code == 401


def test_a_token_for_something_else_and_a_role_that_may_not(
    urls: dict[str, str], token: Callable[..., str]
) -> None:
    reply = ask(urls["records"], bearer(token("kari", urls["records"], "sensors")))
    assert (reply.status_code, challenge(reply)["error"]) == (403, "insufficient_scope")
    assert challenge(reply)["scope"] == "ask"
    reply = ask(urls["diagnostics"], bearer(token("anne", urls["diagnostics"])))
    assert reply.status_code == 403
    assert "anne (accountant) may not ask diagnostics" in challenge(reply)["error_description"]


def test_a_token_that_was_heard_on_the_way_counts_once(
    urls: dict[str, str], token: Callable[..., str]
) -> None:
    sent = token("kari", urls["diagnostics"])
    assert text_of(ask(urls["diagnostics"], bearer(sent))).startswith("diagnostics: kari")
    again = ask(urls["diagnostics"], bearer(sent))
    assert again.status_code == 401
    assert "used before" in challenge(again)["error_description"]


def test_a_client_itself_acts_for_nobody_and_is_not_answered(
    urls: dict[str, str], configured: Configured
) -> None:
    sent = login.of_client(configured().auth, "assistant", urls["records"]).reveal()
    reply = ask(urls["records"], bearer(sent))
    assert reply.status_code == 401
    assert "no tenant" in challenge(reply)["error_description"]


# --- from agent to agent ----------------------------------------------------------------------


@pytest.fixture
def app(configured: Configured) -> App:
    return build(configured())


def remote(app: App, urls: dict[str, str], name: str) -> RemoteAgent:
    return RemoteAgent(
        name,
        urls[name],
        connect_seconds=10,
        token=lambda request: app.onward(name, urls[name], request),
    )


def test_a_supervisor_asks_on_behalf_of_whoever_asked_it(
    app: App, urls: dict[str, str], token: Callable[..., str]
) -> None:
    for user, tenant in (("kari", "torvik"), ("eli", "elvedal")):
        request = Request().of(app.verifier().verify(token(user)))
        for name in ("records", "diagnostics"):
            found = remote(app, urls, name)("hello", request=request)
            assert found.text == f"{name}: {user} of {tenant} as technician"


def test_it_sends_each_endpoint_a_token_of_its_own(
    app: App, urls: dict[str, str], token: Callable[..., str]
) -> None:
    who = app.verifier().verify(token())
    request = Request().of(who)
    sent = {name: app.onward(name, urls[name], request).reveal() for name in urls}
    assert who.token is not None
    assert len({*sent.values(), who.token.reveal()}) == 3
    assert ask(urls["records"], bearer(sent["diagnostics"])).status_code == 401
    assert ask(urls["diagnostics"], bearer(sent["records"])).status_code == 401
    assert ask(urls["records"], bearer(who.token.reveal())).status_code == 401
    found = app.verifier(urls["records"]).verify(sent["records"])
    assert found.scopes == ("ask",), "least privilege: no more than the hop needs"
    assert app.verifier(urls["diagnostics"]).verify(sent["diagnostics"]).scopes == (
        "ask",
        "sensors",
    )


def test_a_refusal_on_the_way_is_told(
    app: App, urls: dict[str, str], token: Callable[..., str]
) -> None:
    anne = Request().of(app.verifier().verify(token("anne")))
    with pytest.raises(AccessError, match=r"anne \(accountant\) may not ask diagnostics"):
        remote(app, urls, "diagnostics")("hello", request=anne)
    with pytest.raises(AccessError, match="needs to know who asks"):
        remote(app, urls, "records")("hello", request=Request())


def test_a_request_goes_over_the_wire_without_its_identity(
    app: App, token: Callable[..., str]
) -> None:
    sent = token()
    request = Request().of(app.verifier().verify(sent))
    whole = json.dumps(request.as_json())
    assert sent not in whole
    assert "technician" not in whole
    assert (request.tenant, request.user) == ("torvik", "kari")
    assert sent not in repr(request)
    with pytest.raises(TypeError, match="send a token"):
        Request.of_json({"identity": {"tenant": "granmo"}})
    with pytest.raises(TypeError, match="approved"):
        Request.of_json({**Request().as_json(), "approved": True})


def test_a_whole_question_through_supervisor_and_endpoints(
    configured: Configured, urls: dict[str, str], token: Callable[..., str]
) -> None:
    """As it is wired: the agents that a role opens answer; of the others it is told why not."""
    from tests.agents.test_supervisor import plan

    nowhere = "http://127.0.0.1:9"
    named = {"knowledge": nowhere, "scheduling": nowhere, **urls}
    app = build(
        configured(
            "models.mode=scripted",
            *(f"agent.specialists.{name}.url={url}" for name, url in named.items()),
        )
    )
    app.__dict__["index"] = type("Index", (), {"version": 1})()
    tasks = [("records", "hello"), ("diagnostics", "hello"), ("scheduling", "hello")]

    def asked(user: str) -> Any:
        app.__dict__["chat"] = ScriptedChat(replies=[plan(*tasks)])
        agent = app.agent_of("endpoints")
        return agent("hello", request=Request().of(app.verifier().verify(token(user))))

    technician = asked("eli")
    assert "records: eli of elvedal as technician" in technician.text
    assert "diagnostics: eli of elvedal as technician" in technician.text
    steps = {step.action: step for step in technician.steps}
    assert "eli (technician) may not ask scheduling" in steps["scheduling"].detail
    accountant = asked("anne")
    assert "records: anne of torvik as accountant" in accountant.text
    steps = {step.action: step for step in accountant.steps}
    assert "anne (accountant) may not ask diagnostics" in steps["diagnostics"].detail
