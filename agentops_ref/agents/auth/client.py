"""How a program of ours gets tokens from the authorization server. Taught in chapter 7.

A token is for one audience. Whoever needs to call on exchanges the caller's token for one for the
next hop (RFC 8693), with no more scope than that hop needs; the caller's own is never sent on.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from agentops_ref.agents.auth.keys import metadata_of
from agentops_ref.agents.identity import Identity
from agentops_ref.errors import AccessError, OperatorError, TransientError
from agentops_ref.secret import Secret

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
WAIT = 10.0
EARLY = 10.0
"""Seconds before its end at which a token is replaced."""
MOST = 1000
"""Tokens that are kept."""


class _Kept(NamedTuple):
    token: Secret
    until: float


class TokenClient:
    """A registered client of an authorization server. Safe to share between threads.

    Parameters
    ----------
    issuer
        The server; its metadata say where tokens are given out.
    secret
        Looks the client's secret up, when it is needed.
    keep
        Whether a token is used again until shortly before its end. False where tokens count once.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret: Callable[[], Secret],
        *,
        keep: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer, self.client_id, self._secret = issuer, client_id, secret
        self._keep, self._clock = keep, clock
        self._kept: dict[tuple[str, ...], _Kept] = {}
        self._guard = threading.Lock()
        self._endpoint = ""

    def exchanged(self, identity: Identity, audience: str, scope: Sequence[str] = ()) -> Secret:
        """Return a token for the next hop, on behalf of whoever asked.

        Raises
        ------
        AccessError
            The server does not give it, or there is no token to exchange.
        TransientError
            The server does not answer.
        """
        if identity.token is None:
            raise AccessError(f"{identity.subject} came without a token to exchange")
        given = identity.token.reveal()
        name = hashlib.sha256(given.encode()).hexdigest()
        form = {
            "grant_type": EXCHANGE,
            "subject_token": given,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
        }
        return self._token(name, form, audience, scope)

    def own(self, audience: str, scope: Sequence[str] = ()) -> Secret:
        """Return a token of this program itself, which acts for nobody (client credentials).

        Raises
        ------
        AccessError, TransientError
            As `exchanged`.
        """
        return self._token("", {"grant_type": "client_credentials"}, audience, scope)

    def _token(
        self, name: str, form: Mapping[str, str], audience: str, scope: Sequence[str]
    ) -> Secret:
        key = (name, audience, *sorted(scope))
        with self._guard:
            kept = self._kept.get(key)
            if kept and kept.until > self._clock():
                return kept.token
        asked_at = self._clock()
        reply = self._post({**form, "resource": audience, "scope": " ".join(scope)})
        token = Secret(str(reply["access_token"]))
        until = asked_at + float(reply.get("expires_in") or 0) - EARLY
        if self._keep:
            with self._guard:
                if len(self._kept) >= MOST:
                    self._kept.clear()
                self._kept[key] = _Kept(token, until)
        return token

    def _post(self, form: Mapping[str, str]) -> dict[str, Any]:
        import httpx

        if not self._endpoint:
            self._endpoint = str(metadata_of(self.issuer)["token_endpoint"])
        basic = httpx.BasicAuth(self.client_id, self._secret().reveal())
        wanted = {name: value for name, value in form.items() if value}
        try:
            reply = httpx.post(self._endpoint, data=wanted, auth=basic, timeout=WAIT)
        except httpx.HTTPError as error:
            raise TransientError(f"{self.issuer} does not answer: {error}") from error
        if reply.status_code >= 500:
            raise TransientError(f"{self.issuer}: HTTP {reply.status_code}")
        try:
            found: dict[str, Any] = reply.json()
            if reply.status_code == 200:
                found["access_token"]
                return found
            why = f"{found['error']}: {found.get('error_description', '')}"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OperatorError(
                f"{self._endpoint}: HTTP {reply.status_code}, and no OAuth answer"
            ) from error
        raise AccessError(
            f"{self.issuer} gives {self.client_id} no token for {form['resource']}: {why}"
        )
