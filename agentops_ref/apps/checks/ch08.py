"""Checks of chapter 8: a matcher for facts, and the number of cases that a gate needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agentops_ref.apps.checks import Checked
from agentops_ref.evals.statistics import gate_power

# --- exercise 1: a matcher --------------------------------------------------------------------


class Said(NamedTuple):
    """An answer, the fact that it should state, and whether it does."""

    answer: str
    fact: str
    states: bool
    why: str


SAID = (
    Said("The fuse is 20 A.", "20 A", True, "the value stands there with its unit"),
    Said("The fuse is 25 A.", "20 A", False, "another value stands there"),
    Said("The cable is 120 A rated.", "20 A", False, "20 is a part of the number 120"),
    Said("Test at 41.0 bar.", "1.0 bar", False, "1.0 is a part of the number 41.0"),
    Said("Use a 20A fuse.", "20 A", True, "the space before the unit is a matter of taste"),
    Said("The fuse is 20 amperes.", "20 A", True, "the unit is spelled out"),
    Said("Do not use 20 A, use 25 A.", "20 A", False, "the value is there, and is rejected"),
    Said("Use 25 A instead of 20 A.", "20 A", False, "the value is there, and is rejected"),
)


def matcher(states: Callable[[str, str], bool]) -> Checked:
    """Try a matcher ``states(answer, fact)`` on answers that look alike."""
    for said in SAID:
        pair = f"“{said.answer}” against “{said.fact}”"
        try:
            found = bool(states(said.answer, said.fact))
        except Exception as error:
            return Checked(False, f"{pair} failed ({type(error).__name__}: {error}).")
        if found != said.states:
            verb = "states" if said.states else "does not state"
            return Checked(False, f"{pair}: the answer {verb} the fact; {said.why}.")
    return Checked(
        True,
        f"All {len(SAID)} pairs are told apart. The next answer will bring a ninth: which is why "
        "a matcher has tests, and why somebody keeps reading the answers.",
    )


# --- exercise 2: the size of a set ------------------------------------------------------------


def size(n: int, *, rate: float, threshold: float, power: float, level: float = 0.95) -> Checked:
    """Compare ``n`` with the fewest cases from which on a gate passes often enough.

    ``rate`` is the system's true share of right answers, ``power`` the chance with which its gate
    at ``threshold`` shall pass.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        return Checked(False, f"Expected a number of cases, got {n!r}.")
    wanted = fewest_cases(rate=rate, threshold=threshold, power=power, level=level)
    passes = gate_power(n, rate, threshold, level)
    if n < wanted:
        return Checked(
            False,
            f"With {n} cases such a system passes {passes:.0%} of the time, or a few cases more "
            f"would undo it again; {power:.0%} is asked for, whatever is added.",
        )
    if n > wanted:
        return Checked(False, f"With {n} cases it passes {passes:.0%} of the time; fewer will do.")
    return Checked(
        True,
        f"From {n} cases on, a system that is right {rate:.0%} of the time passes a gate at "
        f"{threshold:.0%} at least {power:.0%} of the time. The rest of the time it is held back "
        "although it is good enough.",
    )


def fewest_cases(*, rate: float, threshold: float, power: float, level: float = 0.95) -> int:
    """Return the fewest cases from which on the gate passes with at least this chance.

    The chance moves in a saw: one more case can raise the number of right answers that the gate
    asks for. So this is not the first size that reaches ``power`` but the first from which it is
    never lost again, up to a size that is twice as large as the last one that fell short.
    """
    last, n = 0, 1
    while n <= max(50, 2 * last):
        if gate_power(n, rate, threshold, level) < power:
            last = n
        n += 1
        if n > 20_000:
            raise ValueError(f"no set of {n} cases is large enough: {rate=} is too close")
    return last + 1
