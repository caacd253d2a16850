"""Which tools an agent called, and with what: compared with what a case expects.

Taught in chapter 8. The four modes are those of LangChain's agentevals
(https://github.com/langchain-ai/agentevals), for names of tools instead of messages: they answer
different questions, so which one is meant stands in the configuration.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from agentops_ref.evals.scorers import Scorer
from agentops_ref.records import Answer, Case, Score, Step

Mode = Literal["strict", "unordered", "subset", "superset"]
NOT_TOOLS = ("answer",)
"""Actions of a step that are no call of a tool."""


def matches(called: Sequence[str], expected: Sequence[str], mode: Mode) -> bool:
    """Compare two trajectories.

    Parameters
    ----------
    called, expected
        Names of tools in the order of the calls; a tool that is called twice is there twice.
    mode
        ``strict``: the same calls in the same order. ``unordered``: the same calls in any order.
        ``subset``: no call beyond the expected ones, some may be missing. ``superset``: all
        expected calls, others may be among them.

    Returns
    -------
    bool
        With nothing expected, only no call at all matches; as ``superset``, anything does.

    Raises
    ------
    ValueError
        Another mode.

    References
    ----------
    .. [1] LangChain, agentevals, "Trajectory match",
       https://docs.langchain.com/langsmith/trajectory-evals.
    """
    if mode == "strict":
        return list(called) == list(expected)
    have, want = Counter(called), Counter(expected)
    if mode == "unordered":
        return have == want
    if mode == "subset":
        return have <= want
    if mode == "superset":
        return have >= want
    raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")


def calls(answer: Answer) -> list[Step]:
    """Return the steps that called a tool, in order; a call that was refused is one as well."""
    return [step for step in answer.steps if step.action not in NOT_TOOLS]


def trajectory(mode: Mode = "superset") -> Scorer:
    """Make a scorer: 1 when the calls match the case's ``tools``, else 0."""
    matches((), (), mode)

    def score(case: Case, answer: Answer) -> Score:
        if not case.tools:
            return Score(score.__name__, None, "no tools expected")
        called = [step.action for step in calls(answer)]
        said = f"called {', '.join(called) or 'nothing'}; expected {', '.join(case.tools)}"
        return Score(score.__name__, float(matches(called, case.tools, mode)), said)

    score.__name__ = f"trajectory_{mode}"
    return score


def tool_correctness(case: Case, answer: Answer) -> Score:
    """Share of the expected tools that were called, and successfully, with the right arguments.

    Where the case gives no arguments for a tool, any will do; those that it gives must be equal,
    and others may be there as well.
    """
    name = "tool_correctness"
    if not case.tools:
        return Score(name, None, "no tools expected")
    left, wrong = [step for step in calls(answer) if step.status == "ok"], []
    for tool in case.tools:
        expected = case.arguments.get(tool, {})
        found = next((s for s in left if s.action == tool and _holds(s, expected)), None)
        if found is not None:
            left.remove(found)
        else:
            given = [step.input for step in left if step.action == tool]
            told = f"with {given[0]}" if given else "not called"
            wrong.append(f"{tool}({_shown(expected)}): {told}")
    right = 1 - len(wrong) / len(case.tools)
    return Score(name, right, "; ".join(wrong) or "every tool with its arguments")


def _holds(step: Step, expected: Mapping[str, Any]) -> bool:
    try:
        given = json.loads(step.input)
    except ValueError:
        return not expected
    return isinstance(given, dict) and all(
        key in given and given[key] == value for key, value in expected.items()
    )


def _shown(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items())
