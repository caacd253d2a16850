"""What the development server checks a request by; nothing here remembers anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agentops_ref.settings_auth import is_loopback

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

PUBLIC_CLIENT = {
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
"""What every client that registers itself is."""


class OAuthError(Exception):
    """A refusal, in OAuth's own words."""

    def __init__(self, error: str, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.error, self.status = error, status


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person is asked to agree to."""

    client: str
    redirect: str
    challenge: str
    resource: str
    scopes: tuple[str, ...]
    state: str = ""


def scopes_of(form: Mapping[str, str], may: Sequence[str], status: int = 400) -> tuple[str, ...]:
    """Return what is asked for, which is what may be given unless it says less."""
    wanted = tuple(dict.fromkeys(form.get("scope", "").split()))
    if beyond := [one for one in wanted if one not in may]:
        raise OAuthError("invalid_scope", f"not given: {' '.join(beyond)[:200]}", status)
    return wanted or tuple(may)


def proves(verifier: str, challenge: str) -> bool:
    """Whether a verifier is what a PKCE challenge was made of (RFC 7636, S256)."""
    if not VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(made, challenge)


def is_local(redirect: Any) -> bool:
    """Whether an address to return to is on this machine: a code must not leave it."""
    if not isinstance(redirect, str):
        return False
    parts = urlsplit(redirect)
    return parts.scheme == "http" and is_loopback(parts.hostname or "") and not parts.fragment


def redirects_of(wanted: Mapping[str, Any]) -> list[str]:
    """Return where a client that registers itself wants codes sent."""
    redirects = wanted.get("redirect_uris")
    if not isinstance(redirects, list) or not redirects or not all(map(is_local, redirects)):
        raise OAuthError("invalid_redirect_uri", "expected http:// addresses of this machine")
    return redirects
