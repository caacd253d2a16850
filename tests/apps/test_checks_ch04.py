"""Chapter 4's checks agree with a sync that runs."""

from __future__ import annotations

import pytest

from agentops_ref.apps.checks import ch04


@pytest.mark.parametrize("night", ch04.NIGHTS)
def test_a_night_ends_as_the_exercise_says(night: str) -> None:
    assert ch04.happened(night) == ch04.NIGHTS[night]


def test_every_outcome_is_asked_for() -> None:
    assert set(ch04.NIGHTS.values()) == set(ch04.OUTCOMES)


def test_the_right_predictions_are_right() -> None:
    assert ch04.nights(ch04.NIGHTS).right


@pytest.mark.parametrize("night", ch04.NIGHTS)
def test_a_wrong_prediction_is_named_with_what_happens(night: str) -> None:
    wrong = "deleted" if ch04.NIGHTS[night] != "deleted" else "indexed"
    checked = ch04.nights({**ch04.NIGHTS, night: wrong})
    assert not checked.right
    assert night in checked.why


@pytest.mark.parametrize("said", ["", "perhaps"])
def test_no_prediction_and_an_unknown_one_are_told_apart(said: str) -> None:
    night = next(iter(ch04.NIGHTS))
    checked = ch04.nights({**ch04.NIGHTS, night: said})
    assert not checked.right
    assert "expected one of" in checked.why


GOOD = {"metric": "mojibake", "at_most": 0.2, "share": 0.8, "scope": "run", "on_fail": "refuse"}


def test_an_expectation_of_most_documents_is_right() -> None:
    assert ch04.expectation([GOOD]).right


@pytest.mark.parametrize(
    ("mine", "why"),
    [
        ([], "was let in"),
        ([GOOD | {"on_fail": "warn"}], "was let in"),
        ([GOOD | {"metric": "kept_words", "at_least": 1.0, "at_most": None}], "is normal"),
        ([GOOD | {"metric": "mojibakes"}], "mojibake"),
        ([GOOD | {"share": 2}], "cannot be read"),
        (
            [{"metric": "mojibake", "at_most": 0, "scope": "document", "on_fail": "quarantine"}],
            "was let in",
        ),
    ],
)
def test_a_wrong_expectation_is_told_what_it_did(mine: list[dict[str, object]], why: str) -> None:
    checked = ch04.expectation(mine)
    assert not checked.right
    assert why in checked.why
