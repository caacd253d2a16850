"""Tokens as somebody would make them who must not get in. For chapter 7, its checks and tests.

Each is made of the claims of a good token, and each is wrong in one way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from agentops_ref.ops.authserver import SigningKeys

HOUR = 3600


def forged(signing: SigningKeys, claims: Mapping[str, Any]) -> dict[str, str]:
    """Return tokens that must not count, by what is wrong with them.

    Parameters
    ----------
    signing
        The authorization server's own keys, for the wrongs that only it can do.
    claims
        Those of a good token.
    """
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec
    from jwt.algorithms import ECAlgorithm

    (public, *_) = signing.public()["keys"]
    header, body, signature = signing.sign(dict(claims)).split(".")
    mine = ec.generate_private_key(ec.SECP256R1())
    brought = ECAlgorithm.to_jwk(mine.public_key(), as_dict=True)
    kind = {"typ": "at+jwt"}
    named = {**kind, "kid": public["kid"]}
    past = {**claims, "iat": time.time() - 2 * HOUR, "exp": time.time() - HOUR}
    homeless = {name: value for name, value in claims.items() if name != "tenant"}
    return {
        "it ended an hour ago": signing.sign(past),
        "it is for somebody else": signing.sign({**claims, "aud": "http://127.0.0.1:1"}),
        "it is for us and somebody else": signing.sign(
            {**claims, "aud": [claims["aud"], "http://127.0.0.1:1"]}
        ),
        "its tenant was changed": f"{header}.{_part({**claims, 'tenant': 'granmo'})}.{signature}",
        "its signature was cut off": f"{header}.{body}.",
        "it says that it needs no signature": f"{_part({'alg': 'none', **named})}.{body}.",
        "it is signed with the public key, as a shared secret": _shared(public, named, claims),
        "it is signed with another key, under the name of ours": jwt.encode(
            dict(claims), mine, "ES256", headers=named
        ),
        "it brings along the key that it is signed with": jwt.encode(
            dict(claims), mine, "ES256", headers={**kind, "kid": "mine", "jwk": brought}
        ),
        "it was made to tell a program who logged in": signing.sign(dict(claims), "JWT"),
        "it names no tenant": signing.sign(homeless),
    }


def _shared(public: Mapping[str, Any], header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Sign with what everybody may read; a verifier that lets a token choose would believe it."""
    from cryptography.hazmat.primitives import serialization
    from jwt import PyJWK

    pem = PyJWK(dict(public)).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{_part({'alg': 'HS256', **header})}.{_part(claims)}"
    return f"{signed}.{_text(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"


def _part(value: Mapping[str, Any]) -> str:
    return _text(json.dumps(value).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
