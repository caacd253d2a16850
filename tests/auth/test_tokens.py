"""Tokens that do not count: each way of being wrong is refused by its own name, not repeated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.agents.auth import Keys, TokenRefused, Verifier
from agentops_ref.agents.auth import keys as keys_module
from agentops_ref.apps.loopback import Asked, JsonService
from agentops_ref.errors import ConfigError, OperatorError, TransientError
from agentops_ref.ops.authserver import SigningKeys

ISSUER = "https://issuer.example"
AUDIENCE = "https://records.example"


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return SigningKeys(tmp_path_factory.mktemp("keys") / "keys.json")


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "kari",
        "tenant": "torvik",
        "roles": ["technician"],
        "scope": "ask sensors",
        "iat": now,
        "exp": now + 600,
        "jti": "one",
        "client_id": "cli",
    }
    return {name: value for name, value in (whole | changed).items() if value is not None}


def verifier_of(signing: SigningKeys, **more: Any) -> Verifier:
    return Verifier(Keys(signing.public()), issuer=ISSUER, audience=AUDIENCE, **more)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        verifier.verify(token)
    for piece in token.split("."):
        assert len(piece) < 12 or piece not in str(caught.value), "a message repeats the token"
    return caught.value.reason


def test_a_good_token_is_an_identity(signing: SigningKeys) -> None:
    token = signing.sign(claims())
    who = verifier_of(signing).verify(token)
    assert (who.subject, who.tenant, who.roles) == ("kari", "torvik", ("technician",))
    assert (who.scopes, who.client) == (("ask", "sensors"), "cli")
    assert who.token is not None
    assert who.token.reveal() == token
    assert token not in repr(who)
    assert token not in str(who.token)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"nbf": int(time.time()) + 3600}, "early"),
        ({"iat": int(time.time()) + 3600}, "early"),
        ({"aud": "https://other.example"}, "audience"),
        ({"aud": AUDIENCE + "/"}, "audience"),
        ({"aud": [AUDIENCE, "https://other.example"]}, "audience"),
        ({"aud": [AUDIENCE]}, "audience"),
        ({"aud": 7}, "audience"),
        ({"iss": "https://issuer.example.evil"}, "issuer"),
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"exp": None}, "claim"),
        ({"iat": None}, "claim"),
        ({"sub": None}, "claim"),
        ({"jti": None}, "claim"),
        ({"iss": None}, "claim"),
        ({"aud": None}, "claim"),
        ({"sub": ""}, "claim"),
        ({"jti": ""}, "claim"),
        ({"exp": "soon"}, "claim"),
        ({"tenant": None}, "tenant"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": ["torvik", "granmo"]}, "tenant"),
    ],
)
def test_what_a_signed_token_may_not_say(
    signing: SigningKeys, changed: dict[str, Any], reason: str
) -> None:
    token = signing.sign(claims(**changed))
    assert refused(verifier_of(signing), token) == reason


def test_leeway_counts_at_both_ends(signing: SigningKeys) -> None:
    now = int(time.time())
    late, soon = signing.sign(claims(exp=now - 60)), signing.sign(claims(nbf=now + 60))
    assert verifier_of(signing, leeway=200).verify(late)
    assert verifier_of(signing, leeway=200).verify(soon)
    assert refused(verifier_of(signing, leeway=0), late) == "expired"
    assert refused(verifier_of(signing, leeway=0), soon) == "early"


def test_alg_none_is_refused_however_it_is_spelt(signing: SigningKeys) -> None:
    kid = signing.public()["keys"][0]["kid"]
    for alg in ("none", "None", "NONE", "nOnE", "", None, 7):
        header = {"alg": alg, "typ": "at+jwt", "kid": kid}
        for signature in ("", "AAAA"):
            token = f"{part(header)}.{part(claims())}.{signature}"
            assert refused(verifier_of(signing), token) in ("unsigned", "algorithm")
    assert refused(verifier_of(signing), f"{part({'typ': 'at+jwt'})}.{part(claims())}.") == (
        "unsigned"
    )


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(signing: SigningKeys, alg: str) -> None:
    """Algorithm confusion: everybody has the public key, so everybody could sign with it."""
    (key,) = signing.public()["keys"][:1]
    pem = jwt.PyJWK(key).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, json.dumps(key).encode(), key["x"].encode()):
        body = f"{part({'alg': alg, 'typ': 'at+jwt', 'kid': key['kid']})}.{part(claims())}"
        digest = hmac.new(secret, body.encode(), getattr(hashlib, f"sha{alg[2:]}")).digest()
        token = f"{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
        assert refused(verifier_of(signing), token) == "algorithm"


def test_shared_secrets_cannot_be_allowed(signing: SigningKeys) -> None:
    for alg in ("HS256", "none"):
        with pytest.raises(ValueError, match="cannot be allowed"):
            verifier_of(signing, algorithms=[alg])


def test_a_shared_secret_among_the_keys_is_left_out() -> None:
    secret = base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")
    keys = Keys({"keys": [{"kty": "oct", "k": secret, "kid": "a", "alg": "HS256"}]})
    assert keys.get("a") is None


def test_a_forged_signature_and_a_changed_claim_are_refused(signing: SigningKeys) -> None:
    header, body, signature = signing.sign(claims()).split(".")
    changed = part(claims(tenant="granmo"))
    assert refused(verifier_of(signing), f"{header}.{changed}.{signature}") == "signature"
    assert refused(verifier_of(signing), f"{header}.{body}.") == "signature"
    other = ec.generate_private_key(ec.SECP256R1())
    kid = signing.public()["keys"][0]["kid"]
    forged = jwt.encode(claims(), other, "ES256", headers={"kid": kid, "typ": "at+jwt"})
    assert refused(verifier_of(signing), forged) == "signature"


def test_a_key_that_the_token_brings_along_does_not_count(signing: SigningKeys) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    mine = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(other.public_key()))
    more = {"typ": "at+jwt", "jwk": mine, "jku": "https://evil.example/jwks"}
    for kid in ({}, {"kid": "mine"}, {"kid": "../keys.json"}, {"kid": 7}):
        if kid == {"kid": 7}:
            token = f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 7})}.{part(claims())}.AAAA"
        else:
            token = jwt.encode(claims(), other, "ES256", headers={**more, **kid})
        assert refused(verifier_of(signing), token) == "unknown_key"


def test_the_algorithm_is_that_of_the_key(signing: SigningKeys) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kid = signing.public()["keys"][0]["kid"]
    token = jwt.encode(claims(), other, "RS256", headers={"kid": kid, "typ": "at+jwt"})
    assert refused(verifier_of(signing), token) == "algorithm"


@pytest.mark.parametrize("kind", ["JWT", "", "id_token", "refresh+jwt"])
def test_other_kinds_of_token_are_refused(signing: SigningKeys, kind: str) -> None:
    """An identity token is signed by the same key, and was made for a program to read."""
    assert refused(verifier_of(signing), signing.sign(claims(), kind)) == "type"


def test_unknown_extensions_are_refused(signing: SigningKeys) -> None:
    kid = signing.public()["keys"][0]["kid"]
    header = {"alg": "ES256", "typ": "at+jwt", "kid": kid, "crit": ["exp"]}
    assert refused(verifier_of(signing), f"{part(header)}.{part(claims())}.AAAA") == "type"


def test_a_token_that_counts_once_is_refused_the_second_time(signing: SigningKeys) -> None:
    once, often = verifier_of(signing, once=True), verifier_of(signing)
    token = signing.sign(claims())
    assert once.verify(token) == often.verify(token) == often.verify(token)
    assert refused(once, token) == "replayed"
    assert once.verify(signing.sign(claims(jti="two")))


def test_what_was_seen_is_forgotten_when_it_could_not_count_any_more(
    signing: SigningKeys,
) -> None:
    now = [time.time()]
    once = verifier_of(signing, once=True, clock=lambda: now[0])
    for number in range(20):
        once.verify(signing.sign(claims(jti=f"{number}")))
    now[0] += 10_000
    once.verify(signing.sign(claims(jti="last")))
    assert list(once._seen) == ["last"]


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_nonsense_is_refused_and_nothing_else(text: str) -> None:
    verifier = Verifier(Keys({"keys": []}), issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(TokenRefused):
        verifier.verify(text)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda s: st.lists(s, max_size=3)))
def test_json_of_any_shape_is_refused(value: Any) -> None:
    verifier = Verifier(Keys({"keys": []}), issuer=ISSUER, audience=AUDIENCE)
    for header in (value, {"alg": value}, {"alg": "ES256", "typ": value, "kid": value}):
        with pytest.raises(TokenRefused):
            verifier.verify(f"{part(header)}.{part(value)}.AAAA")


def test_a_huge_token_is_not_read(signing: SigningKeys) -> None:
    token = signing.sign(claims(note="x" * 20_000))
    assert refused(verifier_of(signing), token) == "malformed"


# --- keys -------------------------------------------------------------------------------------


def test_a_new_key_is_found_and_a_withdrawn_one_ends(tmp_path: Path) -> None:
    signing, now, asked = SigningKeys(tmp_path / "keys.json"), [0.0], []

    def answer(request: Asked) -> tuple[int, Any]:
        asked.append(request.path)
        return 200, signing.public()

    with JsonService(answer) as service:
        keys = Keys(service.url + "/jwks", clock=lambda: now[0])
        verifier = Verifier(keys, issuer=ISSUER, audience=AUDIENCE)
        old = signing.sign(claims())
        verifier.verify(old)
        verifier.verify(old)
        assert len(asked) == 1, "keys are kept"
        signing.rotate()
        new = signing.sign(claims())
        assert refused(verifier, new) == "unknown_key"  # too soon after the last reading
        now[0] += keys_module.AGAIN + 1
        verifier.verify(new)
        verifier.verify(old)
        assert len(asked) == 2
        signing.rotate()  # the first key is published no more
        now[0] += keys_module.FRESH + 1
        assert refused(verifier, old) == "unknown_key"
        verifier.verify(new)
        assert len(asked) == 3


def test_invented_key_names_do_not_make_us_ask_again_and_again(tmp_path: Path) -> None:
    signing, asked = SigningKeys(tmp_path / "keys.json"), []

    def answer(request: Asked) -> tuple[int, Any]:
        asked.append(request.path)
        return 200, signing.public()

    with JsonService(answer) as service:
        keys = Keys(service.url, clock=lambda: 0.0)
        for number in range(50):
            assert keys.get(f"invented-{number}") is None
    assert len(asked) == 1


def test_keys_from_a_file_and_files_that_are_none(tmp_path: Path, signing: SigningKeys) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(signing.public()))
    verifier = Verifier(Keys(file), issuer=ISSUER, audience=AUDIENCE)
    assert verifier.verify(signing.sign(claims())).subject == "kari"
    with pytest.raises(OperatorError, match="No such file"):
        Keys(tmp_path / "gone.json").get("a")
    file.write_text("{")
    with pytest.raises(ConfigError, match="expected JSON"):
        Keys(file).get("a")
    file.write_text("[]")
    with pytest.raises(OperatorError, match="expected a JWK set"):
        Keys(file).get("a")


def test_a_server_that_is_silent_or_somebody_elses() -> None:
    with pytest.raises(TransientError, match="agentops auth serve-dev"):
        Keys.of_issuer("http://127.0.0.1:9").get("a")
    other = JsonService(lambda asked: (200, {"issuer": "https://else.example"}))
    with other, pytest.raises(OperatorError, match=r"auth\.issuer must match"):
        Keys.of_issuer(other.url).get("a")
    broken = JsonService(lambda asked: (500, {}))
    with broken, pytest.raises(OperatorError, match="HTTP 500"):
        Keys.of_issuer(broken.url).get("a")


def test_private_keys_are_their_owners_and_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "auth" / "keys.json"
    first = SigningKeys(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert SigningKeys(file).public() == first.public()
    assert "d" not in first.public()["keys"][0]
    file.chmod(0o644)
    with pytest.raises(OperatorError, match="others may read"):
        SigningKeys(file)


def test_the_fixture_server_signs_what_the_application_verifies(
    verifier: Verifier, token: Callable[..., str]
) -> None:
    who = verifier.verify(token("gro"))
    assert (who.subject, who.tenant) == ("gro", "granmo")
    assert who.roles == ("dispatcher", "accountant")
