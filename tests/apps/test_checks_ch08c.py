"""Chapter 8c's checks accept what is right and name what is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agentops_ref.apps.checks.ch08c import RELEASES, SIZE, rules, split, tables
from agentops_ref.records import Case

QUESTIONS = (
    "How tight is the flare nut of an NL-8?",
    "How tight is the flare nut of an NL-12?",
    "Which fuse does a BR-50 need?",
    "When does the warranty of a tank end?",
    "What does the code E17 mean?",
    "Who signs a credit note?",
)
CASES = [Case(f"c{n}", question, ("f",)) for n, question in enumerate(QUESTIONS)]
RIGHT = """
- {scorer: correct, no_worse_than: 0.05}
- {slice: superseded, cases: 20}
- {measure: seconds, at_most: 10, quantile: 0.95}
"""


def tried(choose: object):  # type: ignore[no-untyped-def]
    return split(choose, CASES, threshold=0.45)  # type: ignore[arg-type]


def test_a_split_that_keeps_near_duplicates_together() -> None:
    assert tried(lambda cases: ["c0", "c1"]).right
    assert tried(lambda cases: ["c5", "c4"]).right


@pytest.mark.parametrize(
    ("choose", "why"),
    [
        (lambda cases: ["c0", "c2"], "'c0' and 'c1' ask nearly the same"),
        (lambda cases: [], "0% of the cases"),
        (lambda cases: [case.id for case in cases], "100% of the cases"),
        (lambda cases: ["c0", "nobody"], "'nobody' is the id of no case"),
        (lambda cases: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_split_that_is_none_is_told_why(choose: object, why: str) -> None:
    checked = tried(choose)
    assert not checked.right
    assert why in checked.why


def test_a_split_by_place_is_found_out() -> None:
    def by_place(cases: Sequence[Case]) -> list[str]:
        return [case.id for case in cases[-2:]]

    assert "another split" in tried(by_place).why


def test_the_releases_are_what_they_say() -> None:
    for release in RELEASES:
        before, after = tables(release)
        assert len(before) == len(after) == SIZE
        gain = after.aggregate("correct").mean - before.aggregate("correct").mean
        assert gain == pytest.approx((release.gained - release.lost) / SIZE)
        assert sum(1 for _ in after.rows("superseded")) == release.rare


def test_the_rules_that_were_asked_for() -> None:
    assert rules(RIGHT).right


@pytest.mark.parametrize("without", range(3))
def test_each_of_the_rules_is_needed(without: int) -> None:
    left = [line for n, line in enumerate(RIGHT.strip().splitlines()) if n != without]
    checked = rules("\n".join(left))
    assert not checked.right
    assert "must not pass" in checked.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expected a list"),
        ("- {scorer: correct", "no rules of a gate"),
        ("- {scorer: correct, at_lest: 0.5}", "at_lest"),
        ("- {scorer: corect, at_least: 0.5}", "corect"),
        ("- {scorer: correct, at_least: 0.99}", "has to pass"),
        (RIGHT.replace("0.05}", "0.05, undecided: pass}"), "as good by its mean"),
    ],
)
def test_other_rules_are_told_why(text: str, why: str) -> None:
    checked = rules(text)
    assert not checked.right
    assert why in checked.why
