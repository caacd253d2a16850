"""Where an answer went wrong first: not found, silent, read elsewhere, misread.

Taught in chapter 8. A score says that an answer is wrong; what to mend depends on the first step
that failed, since nothing after it could have been right for a reason. Needs no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, get_args

from agentops_ref.evals.matching import states
from agentops_ref.evals.result import CaseResult
from agentops_ref.records import Answer, Case

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Stage = Literal["error", "not found", "silent", "read elsewhere", "misread", "not silent", "right"]
STAGES: tuple[Stage, ...] = get_args(Stage)
MEANING: Mapping[Stage, str] = {
    "error": "the agent raised an error",
    "not found": "no excerpt that the model was shown holds a right passage",
    "silent": "a right passage was shown, and the agent abstained",
    "read elsewhere": "a right passage was shown, and none from a right document is cited",
    "misread": "a right document is cited, and the answer is wrong",
    "not silent": "nothing holds the answer, and the agent answered",
    "right": "the answer is right, or the silence is",
}
"""What each stage means, in the order of the work."""


def first_failure(result: CaseResult, *, scorer: str = "correct") -> Stage:
    """Return the first step of a retrieve-and-answer agent that failed; ``right`` for none."""
    case, answer = result.case, result.answer
    if result.error:
        return "error"
    score = result.score(scorer)
    if score is not None and score.value == 1:
        return "right"
    if case.abstain:
        return "not silent"
    if not shows(case, answer):
        return "not found"
    if answer.abstained:
        return "silent"
    cites = any(citation.document in case.sources for citation in answer.citations)
    return "misread" if cites else "read elsewhere"


def shows(case: Case, answer: Answer) -> bool:
    """Whether an excerpt from a right document that states a fact was shown to the model."""
    return any(
        hit.chunk.document in case.sources and states(hit.chunk.text, fact, bare="always")
        for hit in answer.hits
        for fact in case.facts
    )


def count_stages(results: Iterable[CaseResult], *, scorer: str = "correct") -> dict[Stage, int]:
    """Return how many cases ended at each stage, all stages, in order."""
    ended = [first_failure(result, scorer=scorer) for result in results]
    return {stage: ended.count(stage) for stage in STAGES}


def describe_stages(counts: Mapping[Stage, int]) -> str:
    """The waterfall in words: the figure's text equivalent."""
    lines = [f"all cases: {sum(counts.values())}"]
    lines += [f"{stage}: {n} ({MEANING[stage]})" for stage, n in counts.items() if n]
    return "\n".join(lines)


def plot_stages(counts: Mapping[Stage, int]) -> Figure:
    """Draw what is left after each stage, from all cases down to the right ones: a waterfall."""
    from agentops_ref.evals.plots import COLOURS, INK, _blank

    figure, axes = _blank()
    lost = [(stage, n) for stage, n in counts.items() if n and stage != "right"]
    figure.set_size_inches(6.4, 0.9 + 0.34 * (len(lost) + 2))
    total = left = sum(counts.values())
    axes.barh(0, total, color=INK, height=0.62)
    axes.text(total, 0, f" {total}", va="center", color=INK)
    for y, (_, n) in enumerate(lost, start=1):
        axes.barh(y, n, left=left - n, color=COLOURS[1], height=0.62)
        axes.text(left, y, f" -{n}", va="center", color=INK)
        left -= n
    axes.barh(len(lost) + 1, left, color=COLOURS[0], height=0.62)
    axes.text(left, len(lost) + 1, f" {left}", va="center", color=INK)
    axes.set_yticks(range(len(lost) + 2), ["all cases", *(name for name, _ in lost), "right"])
    axes.invert_yaxis()
    axes.set_xlim(0, total * 1.08)
    axes.set_xlabel("cases")
    return figure
