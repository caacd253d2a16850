"""Checks of chapter 2: how many questions a set needs, and what a change broke."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from agentops_ref.apps.checks import Checked
from agentops_ref.evals import Comparison, cases_for, proportion_interval

# --- exercise 1: the size of a set ------------------------------------------------------------

PLANS = ((1, 0.1, 0.5), (1, 0.1, 0.8), (2, 0.1, 0.5), (6, 0.1, 0.5), (6, 0.05, 0.8), (3, 0.2, 0.9))
"""(domains, half width, expected share) on which an answer is tried."""


def size(questions: Callable[[int, float, float], int]) -> Checked:
    """Try ``questions(domains, half_width, share)``: labelled questions of the whole set."""
    for domains, half_width, share in PLANS:
        asked = f"{domains} domains, {half_width:.0%} to either side, a share of {share:.0%}"
        try:
            given = int(questions(domains, half_width, share))
        except Exception as error:
            return Checked(False, f"It failed on {asked} ({type(error).__name__}: {error}).")
        each = cases_for(half_width, rate=share)
        wanted = domains * each
        if given == each != wanted:
            return Checked(False, f"{asked}: {given} are enough for one domain only.")
        if given < wanted:
            ends = proportion_interval(share * (given // domains), given // domains)
            reached = (ends.high - ends.low) / 2
            return Checked(
                False,
                f"{asked}: with {given}, each domain has {given // domains}, and its interval "
                f"reaches {reached:.1%} to either side.",
            )
        if given > wanted:
            return Checked(False, f"{asked}: {given} is more than is needed, {wanted} are enough.")
    return Checked(
        True,
        "Each domain needs as many as a bot of its own would. Breadth is paid in labelled "
        "questions, and half the width costs four times as many.",
    )


# --- exercise 2: a change under review --------------------------------------------------------

DECISIONS = ("better", "worse", "cannot tell")


def decision(step: Comparison) -> str:
    """Return what the paired interval of a change says, one of `DECISIONS`."""
    if step.difference.low > 0:
        return "better"
    return "worse" if step.difference.high < 0 else "cannot tell"


def review(answer: Mapping[str, Mapping[str, Any]], steps: Mapping[str, Comparison]) -> Checked:
    """Compare a review, version → ``broken`` (case ids) and ``verdict``, with the comparisons."""
    for name, step in steps.items():
        given = answer.get(name, {})
        broken: Collection[str] = set(given.get("broken", ()))
        if overlooked := sorted(set(step.lost) - set(broken)):
            return Checked(
                False, f"{name} broke {overlooked[0]}: the version before it was right there."
            )
        if extra := sorted(set(broken) - set(step.lost)):
            why = "mended it" if extra[0] in step.gained else "did not change it"
            return Checked(False, f"{extra[0]} is not broken by {name}, which {why}.")
        if given.get("verdict") not in DECISIONS:
            return Checked(False, f"{name}: expected one of {', '.join(DECISIONS)}.")
        if given["verdict"] != (right := decision(step)):
            d = step.difference
            return Checked(
                False,
                f"{name} is '{right}': the interval of its difference goes from {d.low:+.0%} to "
                f"{d.high:+.0%}.",
            )
    return Checked(
        True,
        "An interval that holds zero does not say that nothing changed. It says that this set "
        "cannot tell, and the broken cases are there to be read all the same.",
    )
