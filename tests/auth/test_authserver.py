"""The development authorization server: the rules a real one keeps, each broken once."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from mcp.shared.auth import OAuthMetadata

from agentops_ref.agents.auth import claims_of
from agentops_ref.agents.auth.client import ACCESS_TOKEN, EXCHANGE, TokenClient
from agentops_ref.agents.identity import Identity
from agentops_ref.apps import login
from agentops_ref.config import load_config
from agentops_ref.errors import AccessError, ConfigError, OperatorError, TransientError
from agentops_ref.secret import Secret
from agentops_ref.settings_auth import AuthConfig
from tests.auth.conftest import SECRET

BACK = "http://127.0.0.1:9/callback"
VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
ASKED = {
    "response_type": "code",
    "client_id": "cli",
    "redirect_uri": BACK,
    "state": "xyz",
    "scope": "ask sensors",
    "resource": "agentops",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def client(issuer: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=issuer, timeout=20) as made:
        yield made


def returned(reply: httpx.Response) -> dict[str, str]:
    assert reply.status_code == 302, reply.text
    return {n: v[0] for n, v in parse_qs(urlsplit(reply.headers["location"]).query).items()}


def code_of(client: httpx.Client, **changed: str) -> str:
    return returned(client.post("/authorize", data={**ASKED, "user": "kari", **changed}))["code"]


def redeem(client: httpx.Client, code: str, /, **changed: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "cli",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **changed,
    }
    return client.post("/token", data={name: value for name, value in form.items() if value})


def test_its_metadata_are_as_clients_expect_them(client: httpx.Client, issuer: str) -> None:
    found = client.get("/.well-known/oauth-authorization-server").json()
    parsed = OAuthMetadata.model_validate(found)
    assert found["issuer"] == issuer
    assert parsed.code_challenge_methods_supported == ["S256"]
    assert client.get(found["jwks_uri"]).json()["keys"][0]["alg"] == "ES256"


def test_the_login_page_names_the_users_and_escapes_what_was_asked(client: httpx.Client) -> None:
    page = client.get("/authorize", params={**ASKED, "state": '"><script>alert(1)</script>'})
    assert page.status_code == 200
    assert all(f'value="{user}"' in page.text for user in ("kari", "dag", "anne", "eli", "gro"))
    assert "<script>" not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_a_code_becomes_a_token_once(client: httpx.Client, issuer: str) -> None:
    told = returned(client.post("/authorize", data={**ASKED, "user": "kari"}))
    assert (told["state"], told["iss"]) == ("xyz", issuer)
    reply = redeem(client, told["code"])
    assert reply.headers["cache-control"] == "no-store"
    found = reply.json()
    claims = claims_of(found["access_token"])["claims"]
    assert (claims["aud"], claims["sub"], claims["tenant"]) == ("agentops", "kari", "torvik")
    assert claims["exp"] - claims["iat"] == 900 == found["expires_in"]
    again = redeem(client, told["code"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    # Somebody had the code twice: what the first use gave ends too.
    form = {"grant_type": "refresh_token", "client_id": "cli"}
    ended = client.post("/token", data={**form, "refresh_token": found["refresh_token"]})
    assert ended.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": secrets.token_urlsafe(48)}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:10/callback"}, "invalid_grant"),
        ({"resource": "http://127.0.0.1:1/mcp"}, "invalid_target"),
        ({"client_id": "assistant"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"code": "guessed"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"grant_type": EXCHANGE}, "unauthorized_client"),
    ],
)
def test_a_code_is_not_redeemed_otherwise(
    client: httpx.Client, changed: dict[str, str], error: str
) -> None:
    reply = redeem(client, code_of(client), **changed)
    assert reply.json()["error"] == error
    assert "access_token" not in reply.text


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "ask admin"}, "invalid_scope"),
        ({"user": ""}, "access_denied"),
        ({"user": "mallory"}, "access_denied"),
    ],
)
def test_a_client_is_told_why_there_is_no_code(
    client: httpx.Client, changed: dict[str, str], error: str
) -> None:
    told = returned(client.post("/authorize", data={**ASKED, "user": "kari", **changed}))
    assert (told["error"], told["state"]) == (error, "xyz")
    assert "code" not in told


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:9@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:9/other"},
        {"redirect_uri": ""},
        {"client_id": "nobody"},
        {"client_id": "assistant"},
    ],
)
def test_nobody_is_redirected_to_where_no_client_lives(
    client: httpx.Client, changed: dict[str, str]
) -> None:
    reply = client.post("/authorize", data={**ASKED, "user": "kari", **changed})
    assert reply.status_code == 400
    assert "location" not in reply.headers


def test_a_refresh_token_is_rotated_and_a_stolen_one_ends_the_login(client: httpx.Client) -> None:
    first = redeem(client, code_of(client)).json()
    form = {"grant_type": "refresh_token", "client_id": "cli"}

    def refresh(token: str, **more: str) -> httpx.Response:
        return client.post("/token", data={**form, "refresh_token": token, **more})

    second = refresh(first["refresh_token"], scope="ask").json()
    assert second["scope"] == "ask"
    assert second["refresh_token"] != first["refresh_token"]
    third = refresh(second["refresh_token"]).json()
    assert third["scope"] == "ask sensors", "what was agreed to is not lost by asking for less once"
    assert refresh(third["refresh_token"], scope="admin").json()["error"] == "invalid_scope"
    assert refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(third["refresh_token"]).json()["error"] == "invalid_grant", "the thief's too"


def test_a_revoked_login_gives_no_more_tokens(client: httpx.Client) -> None:
    found = redeem(client, code_of(client)).json()
    form = {"client_id": "cli", "token": found["refresh_token"]}
    assert client.post("/revoke", data={**form, "client_id": "assistant"}).status_code == 401
    assert client.post("/revoke", data=form).status_code == 200
    assert client.post("/revoke", data={**form, "token": "unknown"}).status_code == 200
    more = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"]}
    assert client.post("/token", data={**form, **more}).json()["error"] == "invalid_grant"


def test_codes_and_refresh_tokens_end(issuer: str, tmp_path: Path) -> None:
    from agentops_ref.ops.authserver import Grants, OAuthError, SigningKeys

    now = [1e9]
    auth = load_config().auth
    grants = Grants(auth, SigningKeys(tmp_path / "keys.json"), clock=lambda: now[0])
    code = grants.agreed(grants.asked(ASKED), "kari")
    now[0] += 120
    form = {"grant_type": "authorization_code", "redirect_uri": BACK, "code_verifier": VERIFIER}
    with pytest.raises(OAuthError, match="expired"):
        grants.token({**form, "code": code}, "cli", "")
    code = grants.agreed(grants.asked(ASKED), "kari")
    found = grants.token({**form, "code": code}, "cli", "")
    now[0] += auth.dev.refresh_seconds + 1
    again = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"]}
    with pytest.raises(OAuthError, match="log in again"):
        grants.token(again, "cli", "")


def test_a_client_must_know_its_secret(client: httpx.Client) -> None:
    form = {"grant_type": "client_credentials", "resource": "agentops"}
    good = client.post("/token", data=form, auth=("assistant", SECRET))
    claims = claims_of(good.json()["access_token"])["claims"]
    assert claims["sub"] == "assistant"
    assert "tenant" not in claims, "it acts for nobody"
    for auth in (("assistant", "wrong"), ("assistant", ""), ("nobody", SECRET)):
        bad = client.post("/token", data=form, auth=auth)
        assert (bad.status_code, bad.json()["error"]) == (401, "invalid_client")
    posted = client.post("/token", data={**form, "client_id": "assistant", "client_secret": SECRET})
    assert posted.status_code == 200
    twice = (
        f"grant_type=client_credentials&client_id=assistant&client_id=cli&client_secret={SECRET}"
    )
    kind = {"content-type": "application/x-www-form-urlencoded"}
    reply = client.post("/token", content=twice, headers=kind)
    assert reply.json()["error"] == "invalid_request"


def test_a_server_without_the_secret_says_so(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTOPS_CLIENT_SECRET")
    form = {"grant_type": "client_credentials", "resource": "agentops"}
    reply = client.post("/token", data=form, auth=("assistant", ""))
    assert reply.status_code == 401
    assert "AGENTOPS_CLIENT_SECRET is not set" in reply.json()["error_description"]


def exchange(client: httpx.Client, token: str, **changed: str) -> httpx.Response:
    form = {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "resource": "http://127.0.0.1:1",
        **changed,
    }
    return client.post("/token", data=form, auth=("assistant", SECRET))


def test_an_exchanged_token_is_for_the_next_hop_and_says_no_more(client: httpx.Client) -> None:
    mine = redeem(client, code_of(client)).json()["access_token"]
    found = exchange(client, mine, scope="ask").json()
    assert found["issued_token_type"] == ACCESS_TOKEN
    assert "refresh_token" not in found
    told, was = claims_of(found["access_token"])["claims"], claims_of(mine)["claims"]
    assert (told["sub"], told["tenant"], told["roles"]) == (was["sub"], was["tenant"], was["roles"])
    assert (told["aud"], told["scope"]) == ("http://127.0.0.1:1", "ask")
    assert told["act"] == {"sub": "assistant"}
    assert told["exp"] <= was["exp"]
    assert told["jti"] != was["jti"]
    # One hop further: the scope that was left out does not come back.
    on = exchange(client, found["access_token"], scope="sensors", resource="http://127.0.0.1:2/mcp")
    assert on.json()["error"] == "invalid_scope"
    on = exchange(client, found["access_token"], resource="http://127.0.0.1:2/mcp")
    twice = claims_of(on.json()["access_token"])["claims"]
    assert twice["act"] == {"sub": "assistant", "act": {"sub": "assistant"}}
    assert twice["scope"] == "ask"


def test_what_cannot_be_exchanged(client: httpx.Client) -> None:
    mine = redeem(client, code_of(client)).json()["access_token"]
    elsewhere = code_of(client, resource="https://other.example")
    theirs = redeem(client, elsewhere, resource="https://other.example").json()["access_token"]
    # A token for somebody else's service, which they, or a thief, could bring here.
    assert exchange(client, theirs).json()["error"] == "invalid_grant"
    assert exchange(client, mine, resource="https://third-party.example/mcp").json()["error"] == (
        "invalid_target"
    )
    head, body, _ = mine.split(".")
    assert exchange(client, f"{head}.{body}.AAAA").json()["error"] == "invalid_grant"
    assert exchange(client, "nonsense").json()["error"] == "invalid_grant"
    wrong = exchange(client, mine, subject_token_type="urn:ietf:params:oauth:token-type:jwt")
    assert wrong.json()["error"] == "invalid_request"


def test_a_client_registers_itself_for_this_machine_only(client: httpx.Client) -> None:
    reply = client.post("/register", json={"redirect_uris": [BACK], "client_name": "x"})
    assert reply.status_code == 201
    found = reply.json()
    assert found["token_endpoint_auth_method"] == "none"
    asked = {**ASKED, "client_id": found["client_id"], "scope": "sensors"}
    assert "code" in returned(client.post("/authorize", data={**asked, "user": "kari"}))
    beyond = {**asked, "scope": "ask", "user": "kari"}
    assert returned(client.post("/authorize", data=beyond))["error"] == "invalid_scope"
    for wanted in (
        {"redirect_uris": ["https://evil.example/cb"]},
        {"redirect_uris": [BACK, "https://evil.example/cb"]},
        {"redirect_uris": ["http://127.0.0.1@evil.example/cb"]},
        {"redirect_uris": []},
        {"redirect_uris": "x"},
        {},
        [],
    ):
        assert client.post("/register", json=wanted).status_code == 400
    assert client.post("/register", content=b"{").status_code == 400


def test_another_name_for_this_machine_is_refused(client: httpx.Client) -> None:
    """A page elsewhere whose name is made to mean 127.0.0.1 would be let in by the browser."""
    assert client.get("/jwks", headers={"host": "evil.example"}).status_code == 400


def test_a_request_without_end_is_not_read(client: httpx.Client) -> None:
    assert client.post("/token", data={"code": "x" * 100_000}).status_code == 413


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.evil"])
def test_it_listens_on_this_machine_only(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this machine only"):
        login.serve_dev(load_config().auth, tmp_path / "keys.json", host=host, port=0)
    assert not (tmp_path / "keys.json").exists()


def test_it_does_not_stand_in_for_a_real_issuer(tmp_path: Path) -> None:
    auth = load_config(overrides=["auth.issuer=https://login.example"]).auth
    with pytest.raises(ConfigError, match=r"not on login\.example"):
        login.serve_dev(auth, tmp_path / "keys.json")


def test_users_may_be_let_in_without_being_asked(tmp_path: Path) -> None:
    auth = load_config(overrides=["auth.dev.approve=eli"]).auth
    with login.dev_server(auth, tmp_path / "keys.json") as issuer:
        reply = httpx.get(f"{issuer}/authorize", params=ASKED, timeout=20)
    assert "code" in returned(reply)


# --- our side of it ---------------------------------------------------------------------------


def settings(issuer: str) -> AuthConfig:
    return load_config(overrides=[f"auth.issuer={issuer}"]).auth


def test_users_and_clients_that_are_not_there(issuer: str) -> None:
    with pytest.raises(ConfigError, match="did you mean 'kari'"):
        login.of_user(settings(issuer), "karin", "agentops")
    with pytest.raises(AccessError, match="invalid_scope"):
        login.of_user(settings(issuer), "kari", "agentops", "admin")
    with pytest.raises(ConfigError, match="did you mean 'assistant'"):
        login.of_client(settings(issuer), "assistent", "agentops")
    with pytest.raises(TransientError, match="serve-dev"):
        login.of_user(settings("http://127.0.0.1:9"), "kari", "agentops")


def test_a_token_is_kept_until_shortly_before_its_end(issuer: str) -> None:
    now = [0.0]
    made = TokenClient(issuer, "assistant", lambda: Secret(SECRET), clock=lambda: now[0])
    first = made.own("agentops", ("ask",))
    assert made.own("agentops", ("ask",)) == first
    assert made.own("agentops", ("sensors",)) != first
    now[0] += 895
    assert made.own("agentops", ("ask",)) != first
    once = TokenClient(issuer, "assistant", lambda: Secret(SECRET), keep=False)
    assert once.own("agentops") != once.own("agentops")


def test_one_callers_token_is_not_given_to_another(issuer: str) -> None:
    made = TokenClient(issuer, "assistant", lambda: Secret(SECRET))

    def who(user: str) -> Identity:
        token = login.of_user(settings(issuer), user, "agentops")
        return Identity(user, "any", token=token)

    tenants = {
        user: claims_of(made.exchanged(who(user), "http://127.0.0.1:1").reveal())["claims"][
            "tenant"
        ]
        for user in ("kari", "eli", "gro")
    }
    assert tenants == {"kari": "torvik", "eli": "elvedal", "gro": "granmo"}


def test_refusals_of_the_server_say_why_and_hold_no_secret(issuer: str) -> None:
    wrong = TokenClient(issuer, "assistant", lambda: Secret("guessed-wrongly"))
    with pytest.raises(AccessError, match="invalid_client: the secret is wrong") as caught:
        wrong.own("agentops")
    assert "guessed-wrongly" not in str(caught.value)
    mine = TokenClient(issuer, "assistant", lambda: Secret(SECRET))
    with pytest.raises(AccessError, match="invalid_target"):
        mine.own("https://third-party.example/mcp")
    with pytest.raises(AccessError, match="without a token"):
        mine.exchanged(Identity("kari", "torvik"), "http://127.0.0.1:1")


def _replied(status: int, text: str, *_: object, **__: object) -> httpx.Response:
    return httpx.Response(status, text=text)


def test_an_answer_that_is_no_oauth_is_told(issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = TokenClient(issuer, "assistant", lambda: Secret(SECRET))
    for status, text, kind in (
        (200, "what?", OperatorError),
        (200, "[]", OperatorError),
        (200, "{}", OperatorError),
        (502, "", TransientError),
    ):
        monkeypatch.setattr(httpx, "post", partial(_replied, status, text))
        with pytest.raises(kind):
            made.own("agentops")
