"""Is this token good, and whose is it? Taught in chapter 7.

A token is a JWT access token (RFC 9068). Each way of being wrong is told apart, in words and by a
name, and no message repeats any of the token.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from agentops_ref.agents.auth.keys import Keys
from agentops_ref.agents.identity import Identity
from agentops_ref.errors import AccessError, MissingExtra
from agentops_ref.secret import Secret

Refusal = Literal[
    "missing",
    "malformed",
    "unsigned",
    "algorithm",
    "type",
    "unknown_key",
    "signature",
    "issuer",
    "audience",
    "expired",
    "early",
    "claim",
    "tenant",
    "replayed",
]

SIGNED = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA")
"""Algorithms that may be configured: with a public key one can verify and not sign."""
TYPES = ("at+jwt", "application/at+jwt")
REQUIRED = ("iss", "aud", "exp", "iat", "sub", "jti")
LONGEST = 16_384
"""Characters of a token; a longer one is not read."""


class TokenRefused(AccessError):
    """A token that does not count; ``reason`` is its name for programs."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason: Refusal = reason


class Verifier:
    """Turns tokens for one audience into identities. Safe to share between threads.

    Parameters
    ----------
    issuer
        Who must have signed, as it stands in the tokens.
    audience
        For whom a token must be, and for nobody else besides.
    algorithms
        Which may be used; none that verifies with a shared secret.
    leeway
        Seconds by which clocks may differ.
    once
        Whether a token counts a single time. What was seen is kept by this process only.
    tenant
        The claim that names the tenant.
    roles
        The claim that lists the roles.
    tenant_required
        Whether a token without a tenant is refused.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        audience: str,
        algorithms: Sequence[str] = ("ES256", "RS256"),
        leeway: float = 30.0,
        once: bool = False,
        tenant: str = "tenant",
        roles: str = "roles",
        tenant_required: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if wrong := set(algorithms) - set(SIGNED):
            raise ValueError(f"algorithms: {', '.join(sorted(wrong))} cannot be allowed")
        self.issuer, self.audience = issuer, audience
        self._keys, self._algorithms, self._leeway = keys, tuple(algorithms), leeway
        self._tenant, self._roles, self._tenant_required = tenant, roles, tenant_required
        self._once, self._clock = once, clock
        self._seen: dict[str, float] = {}
        self._guard = threading.Lock()

    def verify(self, token: str) -> Identity:
        """Return whose token it is.

        Raises
        ------
        TokenRefused
            It does not count.
        TransientError, OperatorError
            The keys cannot be had, so nobody can say.
        """
        if not token:
            raise TokenRefused("missing", "no token was sent")
        claims = self._claims(token, self._key(token))
        subject, jti = claims["sub"], claims["jti"]
        for name, value in (("sub", subject), ("jti", jti)):
            if not isinstance(value, str) or not value:
                raise TokenRefused("claim", f"the token's claim '{name}' is empty or no text")
        tenant = claims.get(self._tenant, "")
        if not isinstance(tenant, str) or (self._tenant_required and not tenant):
            raise TokenRefused("tenant", f"the token names no tenant (claim '{self._tenant}')")
        if self._once:
            self._first_use(jti, float(claims["exp"]))
        return Identity(
            subject,
            tenant,
            _words(claims.get(self._roles)),
            _words(claims.get("scope")),
            str(claims.get("client_id") or claims.get("azp") or ""),
            Secret(token),
        )

    def _key(self, token: str) -> Any:
        """Return the key that must have signed, judging the header first."""
        header = _header(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm.lower() == "none":
            raise TokenRefused("unsigned", "the token is not signed (alg is none)")
        if algorithm not in self._algorithms:
            allowed = ", ".join(self._algorithms)
            raise TokenRefused("algorithm", f"the token's algorithm is not one of {allowed}")
        if str(header.get("typ", "")).lower() not in TYPES:
            raise TokenRefused("type", "the token is no access token (typ is not at+jwt)")
        if "crit" in header:
            raise TokenRefused("type", "the token asks for extensions (crit) that are not known")
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused("unknown_key", f"the token's key is none of {self.issuer}'s")
        if key.algorithm_name != algorithm:
            raise TokenRefused("algorithm", "the token's algorithm is not that of its key")
        return key

    def _claims(self, token: str, key: Any) -> dict[str, Any]:
        import jwt
        from jwt import exceptions as wrong

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(self._algorithms),
                audience=self.audience,
                issuer=self.issuer,
                leeway=self._leeway,
                options={"require": list(REQUIRED), "strict_aud": True},
            )
        except wrong.InvalidSignatureError:
            raise TokenRefused("signature", "the token's signature is wrong") from None
        except wrong.MissingRequiredClaimError as error:
            raise TokenRefused("claim", f"the token has no claim '{error.claim}'") from None
        except wrong.ExpiredSignatureError:
            raise TokenRefused("expired", "the token has expired: get a new one") from None
        except wrong.ImmatureSignatureError:
            raise TokenRefused("early", "the token is not valid yet (nbf or iat)") from None
        except wrong.InvalidIssuerError:
            raise TokenRefused("issuer", f"the token is not from {self.issuer}") from None
        except wrong.InvalidAudienceError:
            raise TokenRefused(
                "audience", f"the token is not for {self.audience}, or not for it alone"
            ) from None
        except wrong.InvalidTokenError as error:
            kind = type(error).__name__  # its message may repeat what it was given
            raise TokenRefused("claim", f"the token cannot be used ({kind})") from None
        return claims

    def _first_use(self, jti: str, until: float) -> None:
        with self._guard:
            now = self._clock()
            for old in [one for one, end in self._seen.items() if end + self._leeway < now]:
                del self._seen[old]
            if jti in self._seen:
                raise TokenRefused("replayed", "the token was used before, and counts once only")
            self._seen[jti] = until


def claims_of(token: str) -> dict[str, Any]:
    """Return header and claims of a token, unverified: for people to look at, never to act on.

    Raises
    ------
    TokenRefused
        It is no JWT.
    """
    header = _header(token)
    return {"header": header, "claims": _part(token.split(".")[1])}


def _header(token: str) -> dict[str, Any]:
    try:
        import jwt  # noqa: F401 - what follows needs it
    except ImportError:
        raise MissingExtra("pyjwt", "auth") from None

    if len(token) > LONGEST or token.count(".") != 2:
        raise TokenRefused("malformed", "the token is no JWT: expected three parts")
    return _part(token.split(".")[0])


def _part(text: str) -> dict[str, Any]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        found = json.loads(raw)
    except (binascii.Error, ValueError):
        raise TokenRefused("malformed", "the token is no JWT: a part is no JSON") from None
    if not isinstance(found, dict):
        raise TokenRefused("malformed", "the token is no JWT: a part is no object")
    return found


def _words(claim: Any) -> tuple[str, ...]:
    """Return a claim that is a list, or words with spaces between them."""
    if isinstance(claim, str):
        return tuple(claim.split())
    if isinstance(claim, list):
        return tuple(str(one) for one in claim)
    return ()
