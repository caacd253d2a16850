"""Checks of chapter 8c: a split that does not leak, and the rules of a gate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from agentops_ref.apps.checks import Checked
from agentops_ref.errors import ConfigError
from agentops_ref.evals.datasets import near_duplicates
from agentops_ref.evals.gate import decide
from agentops_ref.evals.table import ScoreTable
from agentops_ref.records import Answer, Case, Score
from agentops_ref.settings_evals import GateRule

# --- exercise 1: a split ----------------------------------------------------------------------

SHARE = (0.2, 0.4)
"""What part of the cases may be in the test split."""


def split(
    choose: Callable[[Sequence[Case]], Collection[str]], cases: Sequence[Case], *, threshold: float
) -> Checked:
    """Try a split: ``choose(cases)`` returns the ids of those that go to ``test``."""
    try:
        chosen = set(choose(cases))
        again = set(choose(list(reversed(cases))))
    except Exception as error:
        return Checked(False, f"It failed ({type(error).__name__}: {error}).")
    known = {case.id for case in cases}
    if chosen - known:
        return Checked(False, f"'{min(map(str, chosen - known))}' is the id of no case.")
    share = len(chosen) / len(cases)
    if not SHARE[0] <= share <= SHARE[1]:
        low, high = SHARE
        return Checked(
            False, f"{share:.0%} of the cases are in test; {low:.0%} to {high:.0%} are wanted."
        )
    for pair in near_duplicates(cases, threshold):
        if (pair.first in chosen) != (pair.second in chosen):
            return Checked(
                False,
                f"'{pair.first}' and '{pair.second}' ask nearly the same ({pair.similarity:.0%} of "
                f"their {pair.measure}), and one of them is in test, the other is not.",
            )
    if chosen != again:
        return Checked(
            False,
            "In another order of the same cases another split comes out: whoever sorts the file "
            "moves cases that were tuned on into test.",
        )
    return Checked(
        True,
        f"{len(chosen)} of {len(cases)} cases are in test, no pair of near duplicates is apart, "
        "and the order of the file does not matter.",
    )


# --- exercise 2: rules ------------------------------------------------------------------------


class Release(NamedTuple):
    """A release that the rules have to decide on."""

    what: str
    lost: int
    """Cases of 300 that only the baseline passes."""
    gained: int
    rare: int
    """Cases of the slice ``superseded``."""
    seconds: float
    """What nine in ten of its answers take; the others take twice as long."""
    passes: bool
    why: str


RELEASES = (
    Release("as good, complete and fast", 6, 8, 40, 4.0, True, "nothing speaks against it"),
    Release("ten points worse", 40, 10, 40, 4.0, False, "it loses more than five points"),
    Release("as good by its mean", 30, 30, 40, 4.0, False, "a loss of five points is not excluded"),
    Release("five cases of superseded", 6, 8, 5, 4.0, False, "what matters most was hardly asked"),
    Release("slow", 6, 8, 40, 9.0, False, "more than one answer in twenty takes over ten seconds"),
)
SIZE = 300


def tables(release: Release) -> tuple[ScoreTable, ScoreTable]:
    """Return the scores of the baseline and of a release on the same cases."""
    before, after = ScoreTable("baseline", {"correct": ""}), ScoreTable("release", {"correct": ""})
    for at in range(SIZE):
        # The slice takes every so many cases, so that it has its share of all that happens.
        rare = at * release.rare // SIZE != (at + 1) * release.rare // SIZE
        case = Case(f"c{at}", "q", slice="superseded" if rare else "value")
        first, second = at % 4 > 0, at % 4 > 0
        if at < release.lost + release.gained:
            first, second = at < release.lost, at >= release.lost
        took = release.seconds * (2 if at % 10 == 9 else 1)
        for table, right, seconds in ((before, first, 4.0), (after, second, took)):
            answer = Answer("", abstained=False, seconds=seconds)
            table.add(case, answer, [Score("correct", float(right))])
    return before, after


def rules(text: str) -> Checked:
    """Try a gate's rules, as YAML, on releases of which it is known what they are worth."""
    import yaml

    try:
        listed = yaml.safe_load(text)
        if not isinstance(listed, list) or not listed:
            return Checked(False, "Expected a list of rules, each on a line that begins with '- '.")
        made = [GateRule.model_validate(one) for one in listed]
    except (yaml.YAMLError, ValueError) as error:
        said = str(error).replace("\n", "; ")
        return Checked(False, f"These are no rules of a gate: {said}")
    for release in RELEASES:
        before, after = tables(release)
        try:
            found = decide(made, after, before)
        except ConfigError as error:
            return Checked(False, str(error))
        if (found.outcome == "pass") != release.passes:
            wanted = "has to pass" if release.passes else "must not pass"
            checks = ", ".join(f"{check.name}: {check.outcome}" for check in found.checks)
            return Checked(
                False, f"The release '{release.what}' {wanted}: {release.why}. ({checks})"
            )
    return Checked(
        True,
        f"All {len(RELEASES)} releases are decided as they should be. The third one has the mean "
        "of its baseline, and would have passed a gate of means.",
    )
