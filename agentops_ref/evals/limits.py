"""What an answer took, and its form, against limits from YAML.

Taught in chapter 8. They are scorers like any other: factories that ``evals.scorers`` calls with
its options. Whether a whole run keeps a budget is asked by the gate's own rules, with an interval.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from agentops_ref.evals.scorers import Scorer
from agentops_ref.records import Answer, Case, Score

Measure = Literal["seconds", "tokens", "cost"]
_UNITS = {"seconds": "s", "tokens": "tokens", "cost": "USD"}
_NAMES = {"seconds": "latency", "tokens": "tokens", "cost": "cost"}
_MARKDOWN = (
    (r"^#{1,6} ", "a heading"),
    (r"^\s*[-*+] ", "a list"),
    (r"^```", "a code block"),
    (r"^\|.*\|\s*$", "a table"),
    (r"\*\*[^*]+\*\*", "bold text"),
    (r"\[[^\]]+\]\([^)]+\)", "a link"),
)


def measured(answer: Answer, measure: Measure) -> float:
    """Return what one answer took: seconds, tokens, or US dollars.

    Seconds are those of the model where it answered from a recording, which is faster than it was.
    """
    if measure == "seconds":
        return max(answer.seconds, answer.usage.live_seconds)
    return float(answer.usage.tokens) if measure == "tokens" else answer.usage.cost


def within(measure: Measure, at_most: float) -> Scorer:
    """Make a scorer: 1 when an answer took no more than the limit, else 0."""
    if measure not in get_args(Measure):
        raise ValueError(f"measure must be one of {', '.join(get_args(Measure))}, got {measure!r}")
    if not at_most > 0:
        raise ValueError(f"at_most must be above 0, got {at_most!r}")

    def score(case: Case, answer: Answer) -> Score:
        took = measured(answer, measure)
        said = f"{took:.4g} {_UNITS[measure]}, limit {at_most:g}"
        return Score(score.__name__, float(took <= at_most), said)

    score.__name__ = f"{_NAMES[measure]}_within"
    return score


def form(
    max_words: int | None = None, max_chars: int | None = None, markdown: bool | None = None
) -> Scorer:
    """Make a scorer: 1 when an answer has the form that its channel needs, else 0.

    Parameters
    ----------
    max_words, max_chars
        Longest answer; None is no limit.
    markdown
        False refuses markup (a voice channel reads it aloud), True demands some.
    """
    if max_words is None and max_chars is None and markdown is None:
        raise ValueError("form needs max_words, max_chars or markdown")

    def score(case: Case, answer: Answer) -> Score:
        if answer.abstained:
            return Score(score.__name__, None, "abstained")
        wrong = []
        for limit, size, unit in (
            (max_words, len(answer.text.split()), "words"),
            (max_chars, len(answer.text), "characters"),
        ):
            if limit is not None and size > limit:
                wrong.append(f"{size} {unit}, limit {limit}")
        found = [what for how, what in _MARKDOWN if re.search(how, answer.text, re.MULTILINE)]
        if markdown is False and found:
            wrong.append(f"holds {', '.join(found)}")
        if markdown is True and not found:
            wrong.append("no markup")
        return Score(score.__name__, float(not wrong), "; ".join(wrong) or "as it should be")

    score.__name__ = "form"
    return score
