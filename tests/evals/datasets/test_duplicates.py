"""Near duplicates: found whatever the spelling, named when they stand on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.cases import load_cases
from agentops_ref.evals.datasets import across_splits, near_duplicates
from agentops_ref.evals.datasets.duplicates import jaccard
from agentops_ref.records import Case, CaseSplit


def asks(name: str, question: str, split: CaseSplit = "dev") -> Case:
    return Case(name, question, abstain=True, slice="s", split=split)


FLARE = asks("a", "How tight is the flare nut of an NL-8?")


@pytest.mark.parametrize(
    ("question", "measure"),
    [
        ("How tight is the flare nut of an NL-8", "words"),  # punctuation
        ("of an NL-8, how tight is the FLARE nut?", "words"),  # order and letter case
        ("How tigth is teh flare nut of an NL-8?", "words"),  # typing errors
        ("Howtight is theflare nutof an NL-8?", "characters"),  # blanks left out
        ("How tight is the flare nut of an NL-8 G2?", "characters"),  # the sibling model
    ],
)
def test_what_is_nearly_the_same(question: str, measure: str) -> None:
    (found,) = near_duplicates([FLARE, asks("b", question, "test")], 0.45)
    assert found.across
    assert found.measure == measure


def test_worked_by_hand() -> None:
    # {one, two, three} and {two, three, four}: 2 of 4 words. " one two three " and " two three
    # four " have 12 shingles of 4 characters each, of which 8 are the same: 8 of 16.
    (found,) = near_duplicates([asks("a", "one two three"), asks("b", "two three four")], 0.5)
    assert found.similarity == 0.5
    assert near_duplicates([asks("a", "one two three"), asks("b", "two three four")], 0.51) == []


def test_another_question_is_none() -> None:
    other = asks("b", "Which battery goes into the controller on the wall?", "test")
    assert near_duplicates([FLARE, other], 0.45) == []


def test_on_one_side_it_is_no_leak() -> None:
    found = near_duplicates([FLARE, asks("b", FLARE.question)], 0.45)
    assert [one.similarity for one in found] == [1.0]
    assert across_splits(found) == []


def test_an_embedder_finds_other_words() -> None:
    meaning = {"How loud is it?": [1.0, 0.1], "What noise does that make?": [1.0, 0.0],
               "Which fuse do I need?": [0.0, 1.0]}  # fmt: skip

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.array([meaning[text] for text in texts])

    cases = [asks(str(n), text) for n, text in enumerate(meaning)]
    assert near_duplicates(cases, 0.45) == []
    (found,) = near_duplicates(cases, 0.45, embed=embed, cosine=0.9)
    assert (found.first, found.second, found.measure) == ("0", "1", "cosine")
    assert found.similarity == pytest.approx(1 / np.hypot(1, 0.1))


def test_questions_without_a_word_are_not_alike() -> None:
    assert jaccard(frozenset(), frozenset()) == 0
    assert near_duplicates([asks("a", "?!"), asks("b", "…")], 0.45) == []
    assert near_duplicates([], 0.45) == []
    assert near_duplicates([FLARE], 0.45) == []


@pytest.mark.parametrize("threshold", [0, -1, 1.1, float("nan")])
def test_a_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(DeveloperError, match=r"must be in \(0, 1\]"):
        near_duplicates([FLARE], threshold)


def test_embed_and_cosine_come_together() -> None:
    with pytest.raises(DeveloperError, match="both embed and cosine"):
        near_duplicates([FLARE], 0.5, cosine=0.9)
    with pytest.raises(DeveloperError, match="gave shape"):
        near_duplicates([FLARE], 0.5, embed=lambda texts: np.zeros(3), cosine=0.9)


words = st.lists(
    st.sampled_from(["nut", "bolt", "fuse", "NL-8", "G2", "tight", "loud", "how"]), min_size=1
)


@given(st.lists(words, max_size=6), st.sampled_from([0.2, 0.5, 0.9]))
def test_invariants(questions: list[list[str]], threshold: float) -> None:
    cases = [asks(f"c{n}", " ".join(one)) for n, one in enumerate(questions)]
    found = near_duplicates(cases, threshold)
    assert all(threshold <= one.similarity <= 1 for one in found)
    assert len({(one.first, one.second) for one in found}) == len(found)
    # The order of the cases decides only which one is called first.
    other = near_duplicates(cases[::-1], threshold)
    assert {frozenset(one[:2]): one[2] for one in found} == {
        frozenset(one[:2]): one[2] for one in other
    }
    # A higher threshold never finds more.
    fewer = {frozenset(one[:2]) for one in near_duplicates(cases, min(1, threshold + 0.1))}
    assert fewer <= {frozenset(one[:2]) for one in found}
    same = {
        frozenset((a.id, b.id)) for a in cases for b in cases
        if a.id != b.id and a.question == b.question
    }  # fmt: skip
    assert same <= {frozenset(one[:2]) for one in found}


def test_no_question_of_the_repository_leaks(repo_root: Path) -> None:
    """All datasets together: what is tuned on in one is no test in another."""
    evals = yaml.safe_load((repo_root / "config" / "base.yaml").read_text())["evals"]["datasets"]
    cases = {c: None for file in evals["files"] for c in load_cases(repo_root / file)}
    found = near_duplicates(cases, evals["near_duplicate"])
    assert across_splits(found) == []
    assert found  # pairs over corpus versions, at the least: the check does look
