"""Checks of chapter 12b: a conversation that needs a memory, and how much of a score is luck."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref.apps.checks import Checked
from agentops_ref.errors import ConfigError
from agentops_ref.evals import check_cases
from agentops_ref.evals.dialogues import load_dialogues

# --- exercise 1: a dialogue -------------------------------------------------------------------

MODEL = re.compile(r"\b(?:NL|BR|DY|LT|LB|SC)-?\d+(?: G2)?\b", re.IGNORECASE)
"""How the running case's documents name a model."""


def dialogue(text: str, corpus: Path) -> Checked:
    """Try a dialogue, as YAML, against the form of the file and against the documents."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "dialogues.yaml")
        lines = text.strip("\n").splitlines()
        file.write_text("\n".join(["dialogues:", *lines, ""]), encoding="utf-8")
        try:
            found = load_dialogues(file)
        except ConfigError as error:
            said = str(error).replace(str(file), "your dialogue")
            return Checked(False, f"It would not be taken: {said}.")
    if len(found) != 1:
        return Checked(False, f"One dialogue was asked for, got {len(found)}.")
    turns = found[0].turns
    problems = check_cases(turns, corpus)
    if problems:
        return Checked(False, f"The documents do not bear it out: {problems[0]}.")
    if len(turns) < 2:
        return Checked(False, "One turn is no conversation.")
    if not MODEL.search(turns[0].question):
        return Checked(False, "The first turn names no model, so there is nothing to remember.")
    needing = [turn for turn in turns[1:] if not MODEL.search(turn.question)]
    if not needing:
        return Checked(
            False,
            "Every turn names its model. Each could be answered alone, so an assistant without a "
            "memory would pass.",
        )
    if not any(turn.forbidden for turn in needing):
        return Checked(
            False,
            f"'{needing[0].question}' needs the turn before, but forbids no other model's value: "
            "an assistant that searched without the conversation could pass by luck.",
        )
    return Checked(
        True,
        f"It would be taken, and its facts are printed. '{needing[0].question}' names no model: "
        "whoever answers it has to know what was said before.",
    )


# --- exercise 2: luck -------------------------------------------------------------------------

SEARCHES = ((1, 20, 0.7), (2, 20, 0.7), (16, 20, 0.7), (16, 200, 0.7), (8, 30, 0.5), (8, 30, 1.0))
"""Prompts that are tried, cases, how often each is right."""
NEAR = 0.006
"""What a simulation may be off; some ten standard errors of one with 20,000 draws."""


def luck(too_good: Callable[[int, int, float, Any], float]) -> Checked:
    """Try a function that says how much too good the best of equal prompts looks."""
    for prompts, cases, rate in SEARCHES:
        given = f"{prompts} prompts, {cases} cases, right {rate:.0%} of the time"
        wanted = _expected_best(prompts, cases, rate) - rate
        try:
            found = float(too_good(prompts, cases, rate, np.random.default_rng(5)))
        except Exception as error:
            return Checked(False, f"{given}: failed ({type(error).__name__}: {error}).")
        if not abs(found - wanted) <= NEAR:
            return Checked(False, f"{given}: expected about {wanted:.3f}, got {found:.3f}.")
    few = _expected_best(16, 20, 0.7) - 0.7
    many = _expected_best(16, 200, 0.7) - 0.7
    return Checked(
        True,
        f"All {len(SEARCHES)} searches. Sixteen equal prompts on 20 cases look "
        f"{100 * few:.0f} points too good, on 200 cases {100 * many:.0f}.",
    )


def _expected_best(prompts: int, cases: int, rate: float) -> float:
    """Mean of the largest of so many binomial shares, computed and not simulated."""
    from scipy.stats import binom

    below = binom.cdf(np.arange(cases), cases, rate) ** prompts  # P(best <= k), k below all
    return float(np.sum(1 - below) / cases)
