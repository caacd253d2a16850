"""Checks of chapter 7, its page on auth: predict what a gate says, and write the rule of exchange.

What is right is found by asking a gate, and by the development server's own rule.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from agentops_ref.agents.auth import Keys, Permissions, Verifier, claims_of
from agentops_ref.agents.auth.client import ACCESS_TOKEN, EXCHANGE
from agentops_ref.agents.request import Request
from agentops_ref.apps.checks import Checked
from agentops_ref.config import load_config
from agentops_ref.ops.auth import Gate, who_asks
from agentops_ref.ops.authserver import Grants, OAuthError, SigningKeys
from agentops_ref.settings_auth import AuthConfig, DevClientConfig

# --- exercise 1: the gate ---------------------------------------------------------------------

OUTCOMES: Mapping[str, str] = {
    "answered": "the agent is asked, as whoever the token names",
    "401": "nobody knows who asks: there is no token, or it does not count here",
    "403": "it is known who asks, and they may not, or not with this token",
}
"""What can become of a request, in the words of the exercise."""

HERE, THERE = "http://127.0.0.1:7001", "http://127.0.0.1:7002"
LEEWAY = 30.0

REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "kari, technician, with a token for diagnostics": {},
    "nobody, without a token": {"token": False},
    "nobody, without a token, asks /health": {"token": False, "path": "/health"},
    "kari, with her token for records": {"aud": THERE},
    "kari, with one token for records and diagnostics": {"aud": [HERE, THERE]},
    "kari, with a token that ended ten seconds ago": {"exp": -10},
    "kari, with a token that ended ten minutes ago": {"exp": -600},
    "kari, with a token for the scope sensors only": {"scope": "sensors"},
    "anne, accountant, with a token for diagnostics": {"sub": "anne", "roles": ["accountant"]},
    "kari, whose request's body says that she is of granmo": {"body": {"tenant": "granmo"}},
    "the assistant, with a token of its own": {"sub": "assistant", "tenant": None, "roles": []},
    "kari, with the same token a second time": {"times": 2},
}
"""Who asks, and how → what is different about it."""


def _signing() -> SigningKeys:
    with tempfile.TemporaryDirectory() as folder:
        return SigningKeys(Path(folder) / "auth" / "keys.json")


@cache
def happened(request: str) -> str:
    """Return which of `OUTCOMES` a request to diagnostics has, by sending it to a gate."""
    changed = {"token": True, "path": "/invocations", "times": 1, **REQUESTS[request]}
    signing, auth = _signing(), load_config().auth
    roles = auth.roles.items()
    permissions = Permissions({}, {name: role.agents for name, role in roles})
    gate = Gate(
        Verifier(Keys(signing.public()), issuer="i", audience=HERE, leeway=LEEWAY),
        scope=auth.scope,
        demand=lambda who: permissions.demand(who, "diagnostics"),
    )
    now = time.time()
    claims = {
        "iss": "i",
        "aud": HERE,
        "sub": "kari",
        "tenant": "torvik",
        "jti": "1",
        "roles": ["technician"],
        "scope": "ask sensors",
        "iat": now - 1000,
        "exp": 600,
        **changed,
    }
    claims["exp"] += now
    token = signing.sign({name: value for name, value in claims.items() if value is not None})
    headers = [(b"authorization", f"Bearer {token}".encode())] if changed["token"] else []
    for _ in range(changed["times"]):
        status = _sent(gate, changed["path"], headers, changed.get("body", {}))
    return {200: "answered"}.get(status, str(status))


def _sent(
    gate: Gate, path: str, headers: list[tuple[bytes, bytes]], body: Mapping[str, str]
) -> int:
    """Send one request to an agent behind a gate; return the status."""
    told: list[int] = []

    async def agent(scope: Any, receive: Any, send: Any) -> None:
        given, who = Request.of_json(body), who_asks()
        named = given.of(who) if who else given
        status = 200 if who is None or named.tenant == who.tenant else 500
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    scope = {"type": "http", "path": path, "headers": headers}
    # In a thread: a notebook has a loop of its own.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(gate.guard(agent)(scope, None, send))).result()
    return told[0]


def gate(answer: Mapping[str, str]) -> Checked:
    """Compare what is predicted of each request, request → outcome, with what a gate says."""
    for request in REQUESTS:
        said, found = answer.get(request, ""), happened(request)
        if said not in OUTCOMES:
            given = f"is '{said}'" if said else "has no prediction"
            return Checked(False, f"“{request}” {given}; expected one of {', '.join(OUTCOMES)}.")
        if said != found:
            return Checked(
                False, f"“{request}”: you say {said}, the gate {found}: {OUTCOMES[found]}."
            )
    return Checked(
        True,
        f"All {len(REQUESTS)} requests end as you say. Two are worth a second look: the body that "
        "names another tenant changes nothing, since nobody reads it for that; and a token counts "
        "again until it ends, unless `auth.once` is set, so that whoever hears one can use it.",
    )


# --- exercise 2: exchange ---------------------------------------------------------------------


class Token(NamedTuple):
    """What a token says, as far as the exercise goes."""

    subject: str
    tenant: str
    audience: str
    scopes: frozenset[str]
    left: int
    """Seconds until it ends; 0 or less if it has."""
    actors: tuple[str, ...] = ()
    """Who acts for the subject, the newest first."""


class Client(NamedTuple):
    """A program that may exchange tokens."""

    name: str
    resources: frozenset[str]
    """For whom it may have tokens, and whose it may exchange."""
    scopes: frozenset[str]


LASTS = 900
"""Seconds for which a token counts at most."""

ASSISTANT = Client(
    "assistant", frozenset({"supervisor", "records", "diagnostics"}), frozenset({"ask", "sensors"})
)
LIBRARIAN = Client("librarian", frozenset({"records", "library"}), frozenset({"ask"}))
BOTH = frozenset({"ask", "sensors"})
KARI = Token("kari", "torvik", "supervisor", BOTH, 600)

Exchange = tuple[Token, Client, str, frozenset[str]]
"""(token, client, audience of the next hop, scopes that are asked for)."""

_NONE: frozenset[str] = frozenset()
_HAND: Mapping[str, Exchange] = {
    "one hop": (KARI, ASSISTANT, "records", frozenset({"ask"})),
    "both scopes": (KARI, ASSISTANT, "diagnostics", BOTH),
    "no scope is asked for": (KARI, ASSISTANT, "records", _NONE),
    "more than the token was given for": (
        KARI._replace(scopes=frozenset({"ask"})),
        ASSISTANT,
        "diagnostics",
        BOTH,
    ),
    "more than the client may have": (
        KARI._replace(audience="records"),
        LIBRARIAN,
        "library",
        BOTH,
    ),
    "no scope is asked for, by a client that may have less": (
        KARI._replace(audience="records"),
        LIBRARIAN,
        "library",
        _NONE,
    ),
    "a token that has ended": (KARI._replace(left=-100), ASSISTANT, "records", _NONE),
    "a token that was meant for others": (
        KARI._replace(audience="invoices"),
        ASSISTANT,
        "records",
        _NONE,
    ),
    "a next hop that the client may not call": (KARI, ASSISTANT, "library", _NONE),
    "the second hop": (
        KARI._replace(audience="records", actors=("assistant",)),
        LIBRARIAN,
        "library",
        frozenset({"ask"}),
    ),
    "a token that counts for long": (KARI._replace(left=5000), ASSISTANT, "records", _NONE),
}


def _random(number: int) -> Iterable[Exchange]:
    draw = random.Random(7)
    places = ["supervisor", "records", "diagnostics", "library", "invoices"]

    def some() -> frozenset[str]:
        return frozenset(one for one in sorted(BOTH) if draw.random() < 0.6)

    for _ in range(number):
        left = draw.choice([-100, 100, 600, 5000])
        actors = draw.choice([(), ("assistant",), ("librarian", "assistant")])
        token = Token("kari", "torvik", draw.choice(places), some(), left, actors)
        yield token, draw.choice([ASSISTANT, LIBRARIAN]), draw.choice(places), some()


def exchanged(token: Token, client: Client, audience: str, scopes: frozenset[str]) -> Token | None:
    """Return what the development server gives, by asking it; None where it refuses."""
    signing, grants = _server()
    now = int(time.time())
    claims = {
        "iss": grants.auth.issuer,
        "aud": token.audience,
        "sub": token.subject,
        "tenant": token.tenant,
        "roles": ["technician"],
        "scope": " ".join(token.scopes),
        "iat": now - 200,
        "exp": now + token.left,
        "jti": secrets.token_hex(8),
    }
    act: dict[str, Any] = {}
    for actor in reversed(token.actors):
        act = {"sub": actor, **({"act": act} if act else {})}
    form = {
        "grant_type": EXCHANGE,
        "subject_token": signing.sign({**claims, **({"act": act} if act else {})}),
        "subject_token_type": ACCESS_TOKEN,
        "resource": audience,
        "scope": " ".join(scopes),
    }
    try:
        secret = os.environ.setdefault(_VARIABLE, secrets.token_urlsafe(16))
        reply = grants.token(form, client.name, secret)
    except OAuthError:
        return None
    told = claims_of(reply["access_token"])["claims"]
    actors, inner = [], told.get("act")
    while inner:
        actors.append(inner["sub"])
        inner = inner.get("act")
    return Token(
        told["sub"],
        told["tenant"],
        told["aud"],
        frozenset(told["scope"].split()),
        round((told["exp"] - now) / 100) * 100,  # the clock goes on meanwhile
        tuple(actors),
    )


_VARIABLE = "AGENTOPS_EXERCISE_SECRET"


@cache
def _server() -> tuple[SigningKeys, Grants]:
    clients = {
        one.name: DevClientConfig(
            secret_env=_VARIABLE,
            grants=["token_exchange"],
            scopes=sorted(one.scopes),
            resources=sorted(one.resources),
        )
        for one in (ASSISTANT, LIBRARIAN)
    }
    auth: AuthConfig = load_config().auth
    dev = auth.dev.model_copy(update={"clients": clients, "seconds": LASTS})
    signing = _signing()
    return signing, Grants(auth.model_copy(update={"dev": dev}), signing)


def rule(mine: Callable[[Token, Client, str, frozenset[str]], Token | None]) -> Checked:
    """Try a rule of exchange on cases made by hand, and on random ones."""
    drawn = [(f"a random case: {json.dumps(_plain(one))}", one) for one in _random(200)]
    for name, case in [*_HAND.items(), *drawn]:
        try:
            said = mine(*case)
        except Exception as error:
            return Checked(False, f"The rule failed on {name} ({type(error).__name__}: {error}).")
        wanted = exchanged(*case)
        if said != wanted:
            return Checked(
                False,
                f"{name[0].upper()}{name[1:]}: the server {_told(wanted)}, you {_told(said)}.",
            )
    return Checked(
        True,
        f"It agrees with the server on {len(_HAND)} cases made by hand and {len(drawn)} random "
        "ones. Nothing grows on the way: not the scope, not the time, and nobody who acts for "
        "kari disappears from her token.",
    )


def _plain(case: Exchange) -> list[Any]:
    token, client, audience, scopes = case
    return [_told(token), client.name, audience, sorted(scopes)]


def _told(token: Any) -> str:
    if not isinstance(token, Token):
        return "refuse" if token is None else f"returned {token!r:.80}"
    scopes = " ".join(sorted(token.scopes)) or "no scope"
    by = f", by {' by '.join(token.actors)}" if token.actors else ""
    return f"{token.subject} of {token.tenant} at {token.audience}: {scopes}, {token.left} s{by}"
