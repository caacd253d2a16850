"""What counts as stating a fact, with the mistakes that a naive comparison would make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.evals.matching import states, tokens, unsupported

STATED = [
    ("Tighten it to 42 Nm.", "42 Nm"),
    ("42", "42 Nm"),  # the whole answer
    ("The flow must exceed 20 l/min, see the manual.", "20 l/min"),
    ("at least 20 litres per minute", "20 l/min"),
    ("2,4kg of R32", "2.4 kg"),
    ("2400 grams", "2.4 kg"),
    ("charge: 2.40 kg", "2.4 kg"),
    ("It costs €5,290.", "5290 EUR"),
    ("EUR 5,290.00 without tax", "5290 EUR"),
    ("five years", "60 months"),
    ("a 5-year warranty", "5 years"),
    ("207–253 V", "253 V"),
    ("207–253 V", "207"),
    ("4-7 K", "7 K"),
    ("set it to -12 °C", "-12 °C"),
    ("set it to −12°C", "-12 °C"),  # typographic minus
    ("0.4 newton metres", "0.4 Nm"),
    ("16A, characteristic C", "16 A"),
    ("4 mm²", "4 mm2"),
    ("58 dB(A)", "58 dB(A)"),
    ("firmware v4.2.0 or newer", "4.2.0"),
    ("Sensor TW2 at connector x7", "X7"),
    ("certificate TV-2024-0329", "TV-2024-0329"),
    ("Clean the magnetic filters", "magnetic filter"),
    ("the Wi-Fi module", "Wi-Fi|wireless"),
    ("It is the wireless module", "Wi-Fi|wireless"),
    ("reset the cut-out", "cut out"),
    ("not 22 Nm but 18 Nm", "18 Nm"),
    ("raised from 22 Nm to 18 Nm", "18 Nm"),
    ("22 Nm is replaced by 18 Nm", "18 Nm"),
    ("must not exceed 43 bar", "43 bar"),
    ("not more than 4 bar", "4 bar"),
    ("damage is not covered after 24 months", "24 months"),
]
NOT_STATED = [
    ("18 Nm", "8 Nm"),
    ("0.8 bar", "8 bar"),
    ("1.85 kg", "85"),
    ("NL-8 needs 18 Nm", "8 Nm"),
    ("firmware 3.2.0", "3.2"),
    ("2024-12-15", "12"),
    ("at 22:00", "22"),
    ("42 kg", "42 Nm"),  # another quantity
    ("For the NL 16 use a 20 A fuse", "16 A"),  # a number of something else, beside a unit
    ("Vent for 16 a day, 3 bar", "16 A"),
    ("1. Ventilate\n2. Leave the room", "2"),
    ("as excerpt [2] says", "2"),
    ("not 22 Nm but 18 Nm", "22 Nm"),
    ("18 Nm instead of 22 Nm", "22 Nm"),
    ("raised from 22 Nm to 18 Nm", "22 Nm"),
    ("22 Nm is withdrawn, use 18 Nm", "22 Nm"),
    ("do not tighten to 22 Nm", "22 Nm"),
    ("it isn't 22 Nm", "22 Nm"),
    ("the old value of 22 Nm", "22 Nm"),
    ("", "22 Nm"),
    ("anything", ""),
]


@pytest.mark.parametrize(("text", "fact"), STATED)
def test_stated(text: str, fact: str) -> None:
    assert states(text, fact), tokens(text)


@pytest.mark.parametrize(("text", "fact"), NOT_STATED)
def test_not_stated(text: str, fact: str) -> None:
    assert not states(text, fact), tokens(text)


def test_a_table_cell_has_its_unit_elsewhere() -> None:
    row = "Flare nut, gas line | 50 (6.35 mm)"
    assert not states(row, "50 Nm")
    assert states(row, "50 Nm", bare="always")


numbers = st.decimals(min_value="0.01", max_value=9999, places=2)
units = st.sampled_from(["kg", "Nm", "bar", "EUR", "mm", "l/min", "months", "°C", "A"])


@given(numbers, units, st.sampled_from([" ", "", "\u00a0"]), st.sampled_from([".", ","]))
def test_spelling_of_a_quantity_does_not_matter(
    value: object, unit: str, space: str, decimal: str
) -> None:
    written = str(value).replace(".", decimal) + space + unit
    assert states(f"The value is {written}.", f"{value} {unit}")


@given(numbers, numbers, units)
def test_other_numbers_do_not_match(a: object, b: object, unit: str) -> None:
    assert states(f"It is {a} {unit}", f"{b} {unit}") == (a == b)


@given(st.text(max_size=200), st.text(max_size=40))
def test_no_text_breaks_it(text: str, fact: str) -> None:
    states(text, fact)
    unsupported(text, fact)


def test_conversions() -> None:
    assert states("1.5 m", "1500 mm")
    assert states("two weeks", "14 days")
    assert states("90 minutes", "1.5 hours")
    assert not states("24 months", "24 days")


def test_unsupported_names_the_quantity() -> None:
    assert unsupported("Use 70 Nm or 63 Nm.", "the value is 63 Nm") == ["70 nm"]
    assert unsupported("Use step 3.", "") == []
