"""The public keys of an authorization server, from its address or a file. Taught in chapter 7."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError, MissingExtra, OperatorError, TransientError

METADATA = "/.well-known/oauth-authorization-server"
FRESH = 300.0
"""Seconds after which keys are read again, so that one that was withdrawn stops counting."""
AGAIN = 5.0
"""Seconds between two readings for the sake of an unknown key: anybody can name one."""
WAIT = 5.0
"""Seconds for one answer of the server."""


def metadata_of(issuer: str) -> dict[str, Any]:
    """Return what an authorization server says of itself (RFC 8414).

    Raises
    ------
    TransientError
        It does not answer.
    OperatorError
        What it says is of another issuer, so that its keys would be another's.
    """
    found = _fetched(issuer.rstrip("/") + METADATA)
    if not isinstance(found, dict) or found.get("issuer") != issuer:
        said = found.get("issuer") if isinstance(found, dict) else None
        raise OperatorError(f"{issuer} says that it is the issuer {said!r}: auth.issuer must match")
    return found


def _fetched(url: str) -> Any:
    import httpx

    try:
        reply = httpx.get(url, timeout=WAIT)
        reply.raise_for_status()
        return reply.json()
    except httpx.HTTPStatusError as error:
        raise OperatorError(f"{url}: HTTP {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise TransientError(
            f"the authorization server does not answer at {url}: {error}; a local one: "
            "agentops auth serve-dev"
        ) from error
    except ValueError as error:
        raise OperatorError(f"{url}: expected JSON") from error


class Keys:
    """Public keys by their id. Safe to share between threads.

    Parameters
    ----------
    place
        A file or URL of a JWK set, or a function that returns the URL (asked when it is needed), or
        the set itself.
    """

    def __init__(
        self,
        place: str | Path | Mapping[str, Any] | Callable[[], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._clock = place, clock
        self._guard = threading.Lock()
        self._held: Mapping[str, Any] = {}
        self._read_at: float | None = None

    @classmethod
    def of_issuer(cls, issuer: str) -> Keys:
        """Return the keys that an authorization server's metadata point to."""
        return cls(lambda: str(metadata_of(issuer)["jwks_uri"]))

    def get(self, kid: str) -> Any:
        """Return the key of an id, a ``jwt.PyJWK``; None if there is none.

        An unknown one has the keys read anew, since the server may have begun to sign with it.
        """
        with self._guard:
            age = None if self._read_at is None else self._clock() - self._read_at
            if age is None or age > FRESH or (kid not in self._held and age > AGAIN):
                self._held, self._read_at = self._read(), self._clock()
            return self._held.get(kid)

    def _read(self) -> Mapping[str, Any]:
        place = self._place() if callable(self._place) else self._place
        found: Any
        if isinstance(place, Mapping):
            found = dict(place)
        elif isinstance(place, str) and "://" in place:
            found = _fetched(place)
        else:
            try:
                found = json.loads(Path(place).read_text(encoding="utf-8"))
            except OSError as error:
                raise OperatorError(f"auth.jwks: {place}: {error.strerror}") from error
            except ValueError as error:
                raise ConfigError(f"auth.jwks: {place}: expected JSON: {error}") from None
        if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
            raise OperatorError(f"{place}: expected a JWK set, an object with `keys`")
        return dict(_usable(found["keys"]))


def _usable(keys: list[Any]) -> list[tuple[str, Any]]:
    """Leave out what cannot verify: keys without an id, shared secrets, and unknown kinds."""
    try:
        from jwt import PyJWK
        from jwt.exceptions import PyJWTError
    except ImportError:
        raise MissingExtra("pyjwt", "auth") from None

    made = []
    for key in keys:
        if not isinstance(key, dict) or not key.get("kid") or key.get("kty") == "oct":
            continue
        if key.get("use", "sig") != "sig":
            continue
        try:
            made.append((str(key["kid"]), PyJWK(key)))
        except PyJWTError:
            continue
    return made
