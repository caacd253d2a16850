"""The schema of the section ``auth:``; what each key means stands in ``config/base.yaml``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Algorithm = Literal[
    "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, for nobody else to reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def safe_url(value: str) -> str:
    """Refuse an address whose traffic others could read."""
    parts = urlsplit(value)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return value
    raise ValueError("expected https://..., or http:// on this machine (127.0.0.1, localhost)")


class ClaimsConfig(_Section):
    tenant: str
    roles: str


class ClientConfig(_Section):
    id: str
    secret_env: str


class RoleConfig(_Section):
    tools: list[str]
    agents: list[str]


class DevUserConfig(_Section):
    tenant: str
    roles: list[str]


class DevClientConfig(_Section):
    secret_env: str | None = None
    redirects: list[str] = []
    grants: list[Literal["authorization_code", "client_credentials", "token_exchange"]]
    scopes: list[str]
    resources: list[str]
    tenant: str = ""
    roles: list[str] = []

    @model_validator(mode="after")
    def _can_keep_a_secret(self) -> DevClientConfig:
        if self.secret_env is None and set(self.grants) != {"authorization_code"}:
            raise ValueError("a client without `secret_env` may use authorization_code only")
        if "authorization_code" in self.grants and not self.redirects:
            raise ValueError("authorization_code needs `redirects`")
        return self


class DevServerConfig(_Section):
    seconds: float = Field(gt=0)
    refresh_seconds: float = Field(gt=0)
    approve: str | None
    register_scopes: list[str]
    users: dict[str, DevUserConfig]
    clients: dict[str, DevClientConfig]

    @model_validator(mode="after")
    def _known_user(self) -> DevServerConfig:
        if self.approve is not None and self.approve not in self.users:
            raise ValueError(f"`approve`: no user {self.approve!r} among `users`")
        return self


class AuthConfig(_Section):
    required: bool
    issuer: str
    jwks: str | Path | None
    audience: str
    algorithms: list[Algorithm] = Field(min_length=1)
    leeway: float = Field(ge=0, le=300)
    once: bool
    claims: ClaimsConfig
    scope: str
    token_env: str
    client: ClientConfig
    onward: dict[str, list[str]]
    roles: dict[str, RoleConfig]
    dev: DevServerConfig

    @field_validator("issuer")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        return safe_url(value)


class McpAuthConfig(_Section):
    """How one MCP server is shown that we may call it."""

    kind: Literal["bearer", "client_credentials", "authorization_code", "exchange"]
    token_env: str | None = None
    client_id: str | None = None
    client_secret_env: str | None = None
    issuer: str | None = None
    scope: str | None = None
    redirect_port: int = Field(default=8952, ge=1, le=65535)
    seconds: float = Field(default=120, gt=0)

    @model_validator(mode="after")
    def _complete(self) -> McpAuthConfig:
        needed = {
            "bearer": ["token_env"],
            "client_credentials": ["client_id", "client_secret_env", "issuer"],
            "authorization_code": [],
            "exchange": [],
        }[self.kind]
        for one in needed:
            if getattr(self, one) is None:
                raise ValueError(f"`kind: {self.kind}` needs `{one}`")
        return self

    @field_validator("issuer")
    @classmethod
    def _is_safe(cls, value: str | None) -> str | None:
        return None if value is None else safe_url(value)
