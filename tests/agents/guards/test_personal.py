"""Personal data: found by form, by known name and by Presidio; masked the same way everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.agents.guards import Context, Masker, Patterns, Presidio
from agentops_ref.agents.guards.personal import PLACEHOLDER, Place, merged
from agentops_ref.agents.guards.pii import Pii

PERSONAL = {
    "EMAIL": "astrid.fjellmyr@example.com",
    "PHONE": "+00 555 0101",
    "ADDRESS": "14 Example Lane, Nordhavn",
    "IBAN": "NO93 8601 1117 947",
    "PERSON": "Astrid Fjellmyr",
}
OURS = (
    "Customer C1001 has an NL8-241007, invoice I8006 of 196.77 EUR, order WO24007, part "
    "FV-10101-N. E17 means 20 l/min; tighten to 18 Nm at -5.0 C on 2024-03-18 by SB-2024-009, "
    "firmware 3.2.0."
)


def names() -> list[str]:
    return ["Astrid Fjellmyr", "Liv Rognlid"]


@pytest.fixture(scope="module")
def masker() -> Masker:
    return Masker(Patterns(names), key=b"a key of the test")


@pytest.fixture(scope="module")
def presidio() -> Presidio:
    return Presidio(names, score=0.5, keep="(?i)nordlys|brise|dybde|fjordvarm")


@pytest.mark.parametrize("kind", PERSONAL)
def test_each_kind_is_masked_by_its_placeholder(masker: Masker, kind: str) -> None:
    text, kinds = masker(f"Note: {PERSONAL[kind]}; it counts.")
    assert kinds == [kind]
    assert PERSONAL[kind] not in text
    assert PLACEHOLDER.search(text)
    assert text.startswith("Note: [")
    assert text.endswith("]; it counts.")


@pytest.mark.parametrize("text", ["The gate code is 7731.", "code: 7731#", "her PIN 77310"])
def test_codes_of_gates_are_masked(masker: Masker, text: str) -> None:
    assert masker(text)[1] == ["ACCESS_CODE"]
    assert "7731" not in masker(text)[0]


def test_numbers_of_the_trade_stay(masker: Masker, presidio: Presidio) -> None:
    assert masker(OURS) == (OURS, [])
    assert masker("The fault code 1234 and the installer code 0000.")[1] == []
    assert Masker(presidio)(OURS)[1] == []


def test_the_same_value_has_the_same_placeholder_and_another_key_another_one(
    masker: Masker,
) -> None:
    first, _ = masker("Astrid Fjellmyr came, astrid  fjellmyr left.")
    one, two = PLACEHOLDER.findall(first)
    assert one == two
    assert Masker(Patterns(names), key=b"another")("Astrid Fjellmyr")[0] != one


@given(st.text(max_size=200), st.sampled_from(sorted(PERSONAL)), st.text(max_size=50))
def test_masking_twice_is_masking_once(before: str, kind: str, after: str) -> None:
    masker = Masker(Patterns(names), key=b"k")
    once, _ = masker(f"{before} {PERSONAL[kind]} {after}")
    assert masker(once)[0] == once


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=30),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    )
)
def test_any_json_is_masked_to_json_of_the_same_shape(value: object) -> None:
    masked = Masker(Patterns(names), key=b"k").masked(value)
    assert type(masked) is type(value)


def test_of_places_that_overlap_the_longest_stays() -> None:
    places = [Place(0, 4, "A"), Place(2, 10, "B"), Place(10, 12, "C"), Place(5, 5, "D")]
    assert merged(places) == [Place(2, 10, "B"), Place(10, 12, "C")]


def test_presidio_finds_names_that_nobody_knows(presidio: Presidio) -> None:
    masked, kinds = Masker(presidio)("Please call John Smith about the Nordlys manual.")
    assert "John Smith" not in masked
    assert kinds == ["PERSON"]
    assert "Nordlys" in masked


def test_what_goes_in_is_masked_and_what_was_shown_may_go_out(masker: Masker) -> None:
    guard = Pii(on_hit="redact", masker=masker, allow=[r"@fjordvarm\.example\.com$"])
    text = "Liv Rognlid, +00 555 0101, support@fjordvarm.example.com"
    for channel in ("user", "document", "tool"):
        masked = guard.check(text, channel, Context(question=text, shown=(text,)))  # type: ignore[arg-type]
        assert masked.reasons == ("pii: PERSON", "pii: PHONE")
        assert "support@fjordvarm.example.com" in masked.text
    shown = Context(shown=("owner: liv  rognlid",), question="Is it +00 555 0101?")
    assert guard.check(text, "answer", shown).verdict == "pass"
    assert guard.check(text, "answer", Context()).verdict == "redact"
