"""Chapter 12b's checks accept what is right and name what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentops_ref.apps.checks.ch12b import dialogue, luck

FIRST = """
- id: mine
  slice: memory
  goal: the torques of an NL-12 G2
  turns:
    - say: Liquid line flare nut on an NL-12 G2, how tight?
      facts: ["38 Nm"]
      sources: [manuals/nl-12-g2-installation-manual.pdf]
"""
SECOND = """    - say: And the gas line?
      facts: ["62 Nm"]
      forbidden: ["65 Nm"]
      sources: [manuals/nl-12-g2-installation-manual.pdf]
"""


def test_a_dialogue_that_needs_what_was_said(corpus: Path) -> None:
    checked = dialogue(FIRST + SECOND, corpus)
    assert checked.right
    assert "'And the gas line?'" in checked.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing", "It would not be taken: your dialogue: "),
        (FIRST, "One turn is no conversation"),
        (FIRST + SECOND.replace("gas line", "gas line of an nl-12 g2"), "names its model"),
        (FIRST + SECOND.replace('      forbidden: ["65 Nm"]\n', ""), "forbids no other model's"),
        (FIRST + SECOND.replace("62 Nm", "63 Nm"), "The documents do not bear it out"),
        (FIRST + SECOND.replace("65 Nm", "6500 Nm"), "The documents do not bear it out"),
        (FIRST.replace("on an NL-12 G2,", "here,") + SECOND, "nothing to remember"),
        (FIRST + SECOND + FIRST.replace("mine", "other"), "got 2"),
        (FIRST + SECOND.replace("say:", "sais:"), "sais"),
    ],
)
def test_another_dialogue_is_told_why(corpus: Path, text: str, why: str) -> None:
    checked = dialogue(text, corpus)
    assert not checked.right
    assert why in checked.why


def simulated(prompts: int, cases: int, rate: float, rng: Any) -> float:
    best = rng.binomial(cases, rate, (20000, prompts)).max(axis=1) / cases
    return float(best.mean() - rate)


def test_luck_by_simulation() -> None:
    checked = luck(simulated)
    assert checked.right
    assert "points too good" in checked.why


@pytest.mark.parametrize(
    ("too_good", "why"),
    [
        (lambda *given: 0.0, "2 prompts, 20 cases, right 70% of the time: expected about"),
        (lambda p, n, r, rng: r + simulated(p, n, r, rng), "1 prompts, 20 cases"),
        (lambda p, n, r, rng: simulated(p, n, r, rng) / 2, "2 prompts"),
        (lambda p, n, r, rng: simulated(p, 20, r, rng), "16 prompts, 200 cases"),
        (lambda *given: 1 / 0, "failed (ZeroDivisionError"),
    ],
)
def test_another_luck_is_told_why(too_good: Any, why: str) -> None:
    checked = luck(too_good)
    assert not checked.right
    assert why in checked.why
