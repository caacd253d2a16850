"""Chapter 7's checks on auth agree with a gate and with a server that run."""

from __future__ import annotations

import pytest

from agentops_ref.agents.auth import Keys, TokenRefused, Verifier
from agentops_ref.apps.checks import ch07b
from agentops_ref.apps.checks.ch07b import LASTS, Client, Token
from agentops_ref.apps.forged import forged

RIGHT = {
    "kari, technician, with a token for diagnostics": "answered",
    "nobody, without a token": "401",
    "nobody, without a token, asks /health": "answered",
    "kari, with her token for records": "401",
    "kari, with one token for records and diagnostics": "401",
    "kari, with a token that ended ten seconds ago": "answered",
    "kari, with a token that ended ten minutes ago": "401",
    "kari, with a token for the scope sensors only": "403",
    "anne, accountant, with a token for diagnostics": "403",
    "kari, whose request's body says that she is of granmo": "answered",
    "the assistant, with a token of its own": "401",
    "kari, with the same token a second time": "answered",
}


def test_the_right_predictions_are_right() -> None:
    assert ch07b.gate(RIGHT).right
    assert set(RIGHT.values()) == set(ch07b.OUTCOMES)


@pytest.mark.parametrize("request_of", ch07b.REQUESTS)
def test_a_wrong_prediction_is_named_with_what_happens(request_of: str) -> None:
    wrong = "403" if RIGHT[request_of] != "403" else "answered"
    checked = ch07b.gate({**RIGHT, request_of: wrong})
    assert not checked.right
    assert request_of in checked.why
    assert ch07b.OUTCOMES[RIGHT[request_of]] in checked.why
    assert "expected one of" in ch07b.gate({**RIGHT, request_of: "perhaps"}).why
    assert "no prediction" in ch07b.gate({**RIGHT, request_of: ""}).why


def right(token: Token, client: Client, audience: str, scopes: frozenset[str]) -> Token | None:
    may = token.scopes & client.scopes
    if token.left <= 0 or token.audience not in client.resources:
        return None
    if audience not in client.resources or not scopes <= may:
        return None
    return token._replace(
        audience=audience,
        scopes=scopes or may,
        left=min(token.left, LASTS),
        actors=(client.name, *token.actors),
    )


def passed_on(token: Token, client: Client, audience: str, scopes: frozenset[str]) -> Token | None:
    return token


def all_scopes(token: Token, client: Client, audience: str, scopes: frozenset[str]) -> Token | None:
    made = right(token, client, audience, frozenset())
    return made and made._replace(scopes=scopes or made.scopes)


def anybodys(token: Token, client: Client, audience: str, scopes: frozenset[str]) -> Token | None:
    return right(token._replace(audience="records"), client, audience, scopes)


def fresh(token: Token, client: Client, audience: str, scopes: frozenset[str]) -> Token | None:
    made = right(token, client, audience, scopes)
    return made and made._replace(left=LASTS)


def impersonates(
    token: Token, client: Client, audience: str, scopes: frozenset[str]
) -> Token | None:
    made = right(token, client, audience, scopes)
    return made and made._replace(actors=token.actors)


def last_actor_only(
    token: Token, client: Client, audience: str, scopes: frozenset[str]
) -> Token | None:
    made = right(token, client, audience, scopes)
    return made and made._replace(actors=(client.name,))


def test_the_right_rule_agrees_with_the_server() -> None:
    checked = ch07b.rule(right)
    assert checked.right, checked.why


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (passed_on, "One hop"),
        (all_scopes, "More than the token was given for"),
        (anybodys, "A token that was meant for others"),
        (fresh, "One hop"),
        (impersonates, "One hop"),
        (last_actor_only, "The second hop"),
    ],
)
def test_a_wrong_rule_is_told_where(wrong: object, where: str) -> None:
    checked = ch07b.rule(wrong)  # type: ignore[arg-type]
    assert not checked.right
    assert checked.why.startswith(where), checked.why


def test_a_rule_that_raises_or_returns_something_else() -> None:
    assert "ZeroDivisionError" in ch07b.rule(lambda *case: 1 / 0).why  # type: ignore[arg-type]
    assert "returned 7" in ch07b.rule(lambda *case: 7).why  # type: ignore[arg-type]


def test_each_forged_token_is_wrong_in_the_way_that_it_says() -> None:
    import time

    signing = ch07b._signing()
    verifier = Verifier(Keys(signing.public()), issuer="i", audience="here")
    claims = {
        "iss": "i",
        "aud": "here",
        "sub": "kari",
        "tenant": "torvik",
        "jti": "1",
        "iat": time.time(),
        "exp": time.time() + 600,
    }
    verifier.verify(signing.sign(claims))
    reasons = {}
    for what, token in forged(signing, claims).items():
        with pytest.raises(TokenRefused) as caught:
            verifier.verify(token)
        reasons[what] = caught.value.reason
    assert list(reasons.values()) == [
        *("expired", "audience", "audience", "signature", "signature", "unsigned", "algorithm"),
        *("signature", "unknown_key", "type", "tenant"),
    ]
