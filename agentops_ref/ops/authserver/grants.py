"""What the development server gives out, and to whom: the rules, without HTTP."""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from agentops_ref.agents.auth.client import ACCESS_TOKEN, EXCHANGE
from agentops_ref.agents.auth.keys import Keys
from agentops_ref.agents.auth.tokens import TokenRefused, Verifier, claims_of
from agentops_ref.agents.identity import Identity
from agentops_ref.ops.authserver.keys import SigningKeys
from agentops_ref.ops.authserver.rules import (
    CHALLENGE,
    PUBLIC_CLIENT,
    Asked,
    OAuthError,
    is_local,
    proves,
    redirects_of,
    scopes_of,
)
from agentops_ref.settings_auth import AuthConfig, DevClientConfig, DevUserConfig

CODE_SECONDS = 60.0
MOST_REGISTERED = 100


@dataclass(frozen=True, slots=True)
class _Granted:
    """What was agreed to, behind a code or a refresh token."""

    asked: Asked
    user: str
    until: float
    family: str
    """Of all tokens that came of one login; they end together."""


@dataclass(frozen=True, slots=True)
class _Held:
    codes: dict[str, _Granted] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    """Code or refresh token that was used → its family; one that comes again was stolen."""
    refresh: dict[str, _Granted] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)


class Grants:
    """The server's decisions and its memory, which ends with the process (the keys do not)."""

    def __init__(
        self, auth: AuthConfig, keys: SigningKeys, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.auth, self.keys, self._clock = auth, keys, clock
        self._clients: dict[str, DevClientConfig] = dict(auth.dev.clients)
        self._held, self._guard = _Held(), threading.Lock()

    @property
    def users(self) -> Mapping[str, DevUserConfig]:
        return self.auth.dev.users

    # --- a person agrees ------------------------------------------------------------------

    def asked(self, form: Mapping[str, str]) -> Asked:
        """Return what a client asks a person for.

        Raises
        ------
        OAuthError
            Status 400: tell the person and do not redirect; else the client may be told.
        """
        client = self._clients.get(form.get("client_id", ""))
        if client is None or "authorization_code" not in client.grants:
            raise OAuthError("invalid_client", "there is no such client for logins")
        redirect = form.get("redirect_uri", "")
        if not any(fnmatchcase(redirect, one) for one in client.redirects) or not is_local(
            redirect
        ):
            raise OAuthError("invalid_request", "redirect_uri is none of the client's")
        if form.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", "expected response_type=code", 302)
        if form.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(
            form.get("code_challenge", "")
        ):
            raise OAuthError("invalid_request", "expected PKCE with S256", 302)
        return Asked(
            form["client_id"],
            redirect,
            form["code_challenge"],
            self._resource(client, form, 302),
            scopes_of(form, client.scopes, 302),
            form.get("state", ""),
        )

    def agreed(self, asked: Asked, user: str) -> str:
        """Return the code for what a person agreed to; it counts once and for a minute."""
        if user not in self.users:
            raise OAuthError("access_denied", "there is no such user", 302)
        code = secrets.token_urlsafe(32)
        until = self._clock() + CODE_SECONDS
        with self._guard:
            self._held.codes[code] = _Granted(asked, user, until, secrets.token_hex(8))
        return code

    # --- a client wants a token ------------------------------------------------------------

    def token(self, form: Mapping[str, str], client_id: str, secret: str) -> dict[str, Any]:
        """Return the answer of the token endpoint.

        Raises
        ------
        OAuthError
            It gives none.
        """
        client = self._authenticated(client_id, secret)
        kind = form.get("grant_type", "")
        grants = {
            "authorization_code": ("authorization_code", self._from_code),
            "refresh_token": ("authorization_code", self._from_refresh),
            "client_credentials": ("client_credentials", self._from_itself),
            EXCHANGE: ("token_exchange", self._exchanged),
        }
        if kind not in grants:
            raise OAuthError("unsupported_grant_type", "there is no such grant here")
        needed, give = grants[kind]
        if needed not in client.grants:
            raise OAuthError("unauthorized_client", f"{client_id} may not use {needed}")
        return give(form, client_id, client)

    def _authenticated(self, client_id: str, secret: str) -> DevClientConfig:
        client = self._clients.get(client_id)
        if client is None:
            raise OAuthError("invalid_client", "there is no such client", 401)
        if client.secret_env is not None:
            known = os.environ.get(client.secret_env, "")
            if not known:
                why = f"the server has no secret of it: {client.secret_env} is not set there"
                raise OAuthError("invalid_client", why, 401)
            if not hmac.compare_digest(known.encode(), secret.encode()):
                raise OAuthError("invalid_client", "the secret is wrong", 401)
        return client

    def _from_code(
        self, form: Mapping[str, str], client_id: str, client: DevClientConfig
    ) -> dict[str, Any]:
        code = form.get("code", "")
        with self._guard:
            granted = self._held.codes.pop(code, None)
            if granted is None:
                self._stolen(code)
                raise OAuthError("invalid_grant", "the code is unknown, or was used before")
            self._held.used[code] = granted.family
        asked = granted.asked
        if granted.until < self._clock():
            raise OAuthError("invalid_grant", "the code has expired")
        if asked.client != client_id or asked.redirect != form.get("redirect_uri"):
            raise OAuthError(
                "invalid_grant", "the code is another client's, or for another address"
            )
        if not proves(form.get("code_verifier", ""), asked.challenge):
            raise OAuthError("invalid_grant", "code_verifier does not fit the challenge (PKCE)")
        if form.get("resource", asked.resource) != asked.resource:
            raise OAuthError("invalid_target", "the code is for another resource")
        return self._with_refresh(granted, asked.scopes)

    def _from_refresh(
        self, form: Mapping[str, str], client_id: str, client: DevClientConfig
    ) -> dict[str, Any]:
        given = form.get("refresh_token", "")
        with self._guard:
            granted = self._held.refresh.get(given)
            if granted is None or granted.asked.client != client_id:
                self._stolen(given)
                why = "the refresh token is unknown, or was used before"
                raise OAuthError("invalid_grant", why)
            del self._held.refresh[given]
            self._held.used[given] = granted.family
        if granted.until < self._clock() or granted.family in self._held.ended:
            raise OAuthError("invalid_grant", "the refresh token has ended: log in again")
        if form.get("resource", granted.asked.resource) != granted.asked.resource:
            raise OAuthError("invalid_target", "the login was for another resource")
        return self._with_refresh(granted, scopes_of(form, granted.asked.scopes))

    def _stolen(self, given: str) -> None:
        """Something that was used comes again: end all that came of the same login."""
        family = self._held.used.get(given)
        if family is not None:
            self._held.ended.add(family)

    def _with_refresh(self, granted: _Granted, scopes: tuple[str, ...]) -> dict[str, Any]:
        asked, user = granted.asked, self.users[granted.user]
        made = self._signed(
            granted.user, asked.client, asked.resource, scopes, user.tenant, user.roles
        )
        refresh = secrets.token_urlsafe(32)
        until = self._clock() + self.auth.dev.refresh_seconds
        with self._guard:
            self._held.refresh[refresh] = replace(granted, until=until)
        return {**made, "refresh_token": refresh}

    def _from_itself(
        self, form: Mapping[str, str], client_id: str, client: DevClientConfig
    ) -> dict[str, Any]:
        return self._signed(
            client_id,
            client_id,
            self._resource(client, form),
            scopes_of(form, client.scopes),
            client.tenant,
            client.roles,
        )

    def _exchanged(
        self, form: Mapping[str, str], client_id: str, client: DevClientConfig
    ) -> dict[str, Any]:
        """Give a token for the next hop, which says no more than the one it was made of."""
        given = form.get("subject_token", "")
        if form.get("subject_token_type") != ACCESS_TOKEN:
            raise OAuthError("invalid_request", "expected an access token as subject_token")
        meant_for = self._audience_of(given)
        if not any(fnmatchcase(meant_for, one) for one in client.resources):
            # Or whoever comes by a token could turn it into others.
            raise OAuthError("invalid_grant", f"the token was not meant for {client_id}")
        whose = self._verify(given, meant_for)
        told = claims_of(given)["claims"]
        return self._signed(
            whose.subject,
            client_id,
            self._resource(client, form),
            scopes_of(form, [one for one in client.scopes if one in whose.scopes]),
            whose.tenant,
            whose.roles,
            until=float(told["exp"]),
            act={"sub": client_id, **({"act": told["act"]} if "act" in told else {})},
        )

    def _audience_of(self, token: str) -> str:
        try:
            audience = claims_of(token)["claims"].get("aud")
        except TokenRefused as error:
            raise OAuthError("invalid_grant", str(error)) from None
        return audience if isinstance(audience, str) else ""

    def _verify(self, token: str, audience: str) -> Identity:
        verifier = Verifier(
            Keys(self.keys.public()),
            issuer=self.auth.issuer,
            audience=audience,
            leeway=0,
            tenant=self.auth.claims.tenant,
            roles=self.auth.claims.roles,
            tenant_required=False,
        )
        try:
            return verifier.verify(token)
        except TokenRefused as error:
            raise OAuthError("invalid_grant", str(error)) from None

    def _signed(
        self,
        subject: str,
        client: str,
        resource: str,
        scopes: tuple[str, ...],
        tenant: str,
        roles: Any,
        *,
        until: float | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        now = self._clock()
        end = now + self.auth.dev.seconds
        end = end if until is None else min(end, until)
        claims = {
            "iss": self.auth.issuer,
            "aud": resource,
            "sub": subject,
            "client_id": client,
            "iat": int(now),
            "exp": int(end),
            "jti": secrets.token_hex(16),
            "scope": " ".join(scopes),
            **({self.auth.claims.tenant: tenant} if tenant else {}),
            self.auth.claims.roles: list(roles),
            **more,
        }
        return {
            "access_token": self.keys.sign(claims),
            "token_type": "Bearer",
            "expires_in": max(0, int(end - now)),
            "scope": " ".join(scopes),
            **({"issued_token_type": ACCESS_TOKEN} if "act" in more else {}),
        }

    def _resource(self, client: DevClientConfig, form: Mapping[str, str], status: int = 400) -> str:
        """Return for whom the token is to be (RFC 8707); by default for the assistant itself."""
        wanted = form.get("resource") or form.get("audience") or self.auth.audience
        if not any(fnmatchcase(wanted, one) for one in client.resources):
            raise OAuthError("invalid_target", f"no tokens for {wanted[:200]}", status)
        return wanted

    # --- the rest -------------------------------------------------------------------------

    def revoke(self, form: Mapping[str, str], client_id: str, secret: str) -> None:
        """End a refresh token and all that came of its login.

        Access tokens run out by themselves: whoever verifies them does not ask here.
        """
        self._authenticated(client_id, secret)
        with self._guard:
            granted = self._held.refresh.get(form.get("token", ""))
            if granted is not None and granted.asked.client == client_id:
                self._held.ended.add(granted.family)

    def register(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Register a client without a secret, whose logins return to this machine."""
        redirects = redirects_of(wanted)
        if len(self._clients) >= MOST_REGISTERED:
            raise OAuthError("invalid_client_metadata", "too many clients have registered")
        client_id = f"dynamic-{secrets.token_hex(8)}"
        scopes = self.auth.dev.register_scopes
        with self._guard:
            self._clients[client_id] = DevClientConfig(
                redirects=redirects, grants=["authorization_code"], scopes=scopes, resources=["*"]
            )
        return {
            **PUBLIC_CLIENT,
            "client_id": client_id,
            "client_id_issued_at": int(self._clock()),
            "client_name": str(wanted.get("client_name", ""))[:100],
            "redirect_uris": redirects,
            "scope": " ".join(scopes),
        }
