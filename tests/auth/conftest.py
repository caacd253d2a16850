"""A development authorization server on loopback, and the configuration that trusts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentops_ref import secret
from agentops_ref.agents.auth import Verifier
from agentops_ref.apps import login
from agentops_ref.config import Config, load_config

SECRET = "not-a-word-9f3c21-of-the-assistant"

Configured = Callable[..., Config]


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("authserver")
    config = load_config(overrides=[f"paths.state={folder}"])
    with login.dev_server(config.auth, folder / "keys.json") as url:
        yield url


@pytest.fixture(autouse=True)
def _client_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTOPS_CLIENT_SECRET", SECRET)


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_variables", set())
    monkeypatch.setattr(secret, "_values", {})


@pytest.fixture
def configured(issuer: str, corpus: Path, tmp_path: Path) -> Configured:
    """Return a configuration that wants tokens of the server."""

    def make(*overrides: str) -> Config:
        return load_config(
            overrides=[
                "auth.required=true",
                f"auth.issuer={issuer}",
                f"paths.state={tmp_path}",
                f"paths.corpus={corpus}",
                *overrides,
            ]
        )

    return make


@pytest.fixture
def token(configured: Configured) -> Callable[..., str]:
    """Return a user's token: a whole login with PKCE."""

    def make(user: str = "kari", audience: str = "agentops", scope: str = "") -> str:
        return login.of_user(configured().auth, user, audience, scope).reveal()

    return make


@pytest.fixture
def verifier(configured: Configured) -> Verifier:
    from agentops_ref.wiring import build

    return build(configured()).verifier()
