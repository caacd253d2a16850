"""Codes in a question must stand in what is found."""

from __future__ import annotations

import pytest

from agentops_ref.config import load_config
from agentops_ref.etl.identifiers import identifiers, own, prefer
from agentops_ref.records import Chunk

PATTERN = load_config(environ={}).retrieval.identifiers or ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("E41 on my nl-8", {"E41", "NL8"}),
        ("NL8 or NL-8", {"NL8"}),
        ("the NL-8 G2 is not the NL-8", {"NL8G2", "NL8"}),
        ("bulletin SB-2024-014, part FV-20120", {"SB2024014", "FV20120"}),
        ("serial DY13-231078", {"DY13231078"}),
        ("18 Nm, 2.4 kg, 230 V, 25 °C", set()),
        ("", set()),
    ],
)
def test_what_counts_as_an_identifier(text: str, found: set[str]) -> None:
    assert identifiers(text, PATTERN) == found


def chunks(*texts: str) -> dict[str, Chunk]:
    return {str(i): Chunk(str(i), "d", "v", i, text, "") for i, text in enumerate(texts)}


def test_chunks_that_hold_the_identifiers_come_first_in_their_order() -> None:
    known = chunks("DY-6 E41", "NL-6 E40", "NL-6 E41", "NL-6 and E41 again")
    assert prefer("E41 on an NL-6", list("0123"), known, PATTERN) == list("2301")


def test_an_unknown_identifier_finds_nothing() -> None:
    assert prefer("charge of the NL-20", ["0"], chunks("NL-2 and NL-200"), PATTERN) == []


def test_a_sibling_with_a_longer_name_is_another_machine() -> None:
    known = chunks("NL-8 G2: 1.5 kg", "NL-8: 1.7 kg")
    assert prefer("charge of the NL-8", ["0", "1"], known, PATTERN) == ["1", "0"]


def test_a_question_without_identifiers_keeps_the_order() -> None:
    assert prefer("how long is the warranty", ["1", "0"], chunks("a", "b"), PATTERN) == ["1", "0"]


MODELS = r"\b(?:NL|SC)-?\d+(?: G2)?\b"


def headed(*headings: str) -> dict[str, Chunk]:
    return {str(i): Chunk(str(i), "d", "v", i, "42 Nm", text) for i, text in enumerate(headings)}


def test_what_is_headed_by_another_model_is_left_out() -> None:
    known = headed(
        "NL-12 G2 manual", "NL-12 manual", "Service bulletin SB-2023-006", "NL-12 and NL-16"
    )
    assert own("nut of the NL-12?", list("0123"), known, MODELS) == list("123")
    assert own("nut of the NL12 G2?", list("0123"), known, MODELS) == list("02")
    assert own("which nut?", list("0123"), known, MODELS) == list("0123"), "no model is named"
    assert own("NL-12 or NL-12 G2?", list("0123"), known, MODELS) == list("0123")
