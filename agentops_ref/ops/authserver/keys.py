"""The development server's private keys: made on first start, in a file for its owner's eyes."""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from agentops_ref.errors import MissingExtra, OperatorError

KEPT = 2
"""Keys that are published: the one that signs, and the one before, whose tokens still run."""


class SigningKeys:
    """ES256 keys in a file; the newest signs."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._keys = self._read() if file.exists() else []
        if not self._keys:
            self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on; the one before is published until the next rotation."""
        self._keys = [_made(), *self._keys][:KEPT]
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.file.with_suffix(f".{os.getpid()}.part")
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_text(json.dumps(self._keys), encoding="utf-8")
        part.replace(self.file)

    def public(self) -> dict[str, Any]:
        """Return the JWK set that everybody may read."""
        shown = ("kty", "crv", "x", "y", "kid", "alg", "use")
        return {"keys": [{name: key[name] for name in shown} for key in self._keys]}

    def sign(self, claims: dict[str, Any], kind: str = "at+jwt") -> str:
        """Return a signed token of these claims."""
        import jwt

        key = self._keys[0]
        return jwt.encode(
            claims, jwt.PyJWK(key).key, algorithm="ES256", headers={"kid": key["kid"], "typ": kind}
        )

    def _read(self) -> list[dict[str, Any]]:
        if stat.S_IMODE(self.file.stat().st_mode) & 0o077:
            raise OperatorError(
                f"{self.file}: private keys that others may read: chmod 600, or delete it"
            )
        try:
            found: list[dict[str, Any]] = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OperatorError(f"{self.file}: {error}; delete it for new keys") from error
        return found


def _made() -> dict[str, Any]:
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
        from jwt.algorithms import ECAlgorithm
    except ImportError:
        raise MissingExtra("pyjwt[crypto]", "auth") from None

    made = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {**made, "kid": secrets.token_hex(8), "alg": "ES256", "use": "sig"}
