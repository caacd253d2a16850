"""Which tools were called, what an answer took, and its form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import ConfigError
from agentops_ref.evals import load_scorers, scorer_digest
from agentops_ref.evals.limits import form, within
from agentops_ref.evals.loading import scorer_path
from agentops_ref.evals.trajectory import matches, tool_correctness, trajectory
from agentops_ref.records import Answer, Case, Score, Step, Usage
from agentops_ref.settings_evals import ScorerConfig

NAMES = st.lists(st.sampled_from("abc"), max_size=5)


@pytest.mark.parametrize(
    ("called", "expected", "modes"),
    # The four modes of agentevals, on the cases of its documentation, by hand.
    [
        ("ab", "ab", {"strict", "unordered", "subset", "superset"}),
        ("ba", "ab", {"unordered", "subset", "superset"}),
        ("a", "ab", {"subset"}),
        ("abc", "ab", {"superset"}),
        ("aab", "ab", {"superset"}),
        ("c", "ab", set()),
        ("", "", {"strict", "unordered", "subset", "superset"}),
    ],
)
def test_modes(called: str, expected: str, modes: set[str]) -> None:
    found = {
        mode
        for mode in ("strict", "unordered", "subset", "superset")
        if matches(list(called), list(expected), mode)  # type: ignore[arg-type]
    }
    assert found == modes


@given(NAMES, NAMES)
def test_the_modes_imply_one_another(called: list[str], expected: list[str]) -> None:
    strict, unordered = (matches(called, expected, m) for m in ("strict", "unordered"))  # type: ignore[arg-type]
    sub, sup = (matches(called, expected, m) for m in ("subset", "superset"))  # type: ignore[arg-type]
    assert not strict or unordered
    assert unordered == (sub and sup)
    assert sub == matches(expected, called, "superset")


NOTHING = Usage()


def done(*steps: Step, text: str = "x", usage: Usage = NOTHING, seconds: float = 0) -> Answer:
    return Answer(text, False, steps=steps, usage=usage, seconds=seconds)


def call(tool: str, status: str = "ok", **given: object) -> Step:
    return Step("agent", tool, json.dumps(given), status)


CASE = Case(
    "c",
    "q",
    tools=("look_up", "book"),
    arguments={"book": {"day": "2026-03-04", "unit": 7}},
)


def test_trajectory_scorers() -> None:
    answer = done(call("look_up"), call("other"), call("book"), Step("agent", "answer", ""))
    assert trajectory("superset")(CASE, answer).value == 1
    strict = trajectory("strict")
    assert strict(CASE, answer) == Score(
        "trajectory_strict", 0.0, "called look_up, other, book; expected look_up, book"
    )
    assert strict(Case("n", "q"), answer).value is None
    assert strict(CASE, done()).value == 0


def test_tool_correctness() -> None:
    right = call("book", day="2026-03-04", unit=7, note="early")
    assert tool_correctness(CASE, done(right, call("look_up", q="x"))).value == 1
    wrong = tool_correctness(CASE, done(call("look_up"), call("book", day="2026-03-05", unit=7)))
    assert wrong.value == 0.5
    assert "2026-03-05" in wrong.rationale
    assert tool_correctness(CASE, done(call("look_up"), call("book", "denied"))).value == 0.5
    again = done(call("look_up"), call("book", day="x"), right)
    assert tool_correctness(CASE, again).value == 1, "a call that was mended counts"
    twice = Case("t", "q", tools=("book", "book"))
    assert tool_correctness(twice, done(right)).value == 0.5, "one call fulfils one expectation"
    broken = done(Step("agent", "book", "not JSON"), call("look_up"))
    assert tool_correctness(CASE, broken).value == 0.5
    assert tool_correctness(Case("n", "q"), broken).value is None


def test_limits() -> None:
    case = Case("c", "q")
    used = done(usage=Usage(90, 20, 0.02, 1, live_seconds=4.0), seconds=0.1)
    slow = within("seconds", 3)(case, used)
    assert (slow.scorer, slow.value) == ("latency_within", 0.0)
    assert "4 s" in slow.rationale, "a replayed answer took what it took when it was live"
    assert within("seconds", 4)(case, used).value == 1
    assert within("tokens", 109)(case, used).value == 0
    assert within("cost", 0.02)(case, used).value == 1
    for wrong in ({"measure": "second", "at_most": 1}, {"measure": "cost", "at_most": 0}):
        with pytest.raises(ConfigError, match="limits:within"):
            load_scorers([ScorerConfig(path="agentops_ref.evals.limits:within", options=wrong)])


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("one two three", {"max_words": 3}, 1),
        ("one two three", {"max_words": 2}, 0),
        ("12345", {"max_chars": 4}, 0),
        ("- a\n- b", {"markdown": False}, 0),
        ("18 - 20 Nm, **not** more", {"markdown": False}, 0),
        ("18 - 20 Nm", {"markdown": False}, 1),
        ("plain", {"markdown": True}, 0),
        ("| a | b |\n", {"markdown": True}, 1),
    ],
)
def test_form(text: str, options: dict[str, object], value: float) -> None:
    assert form(**options)(Case("c", "q"), done(text=text)).value == value  # type: ignore[arg-type]


def test_options_name_and_pin_a_scorer() -> None:
    path = "agentops_ref.evals.trajectory:trajectory"
    entries = [
        ScorerConfig(path=path, options={"mode": "strict"}),
        ScorerConfig(path=path),
        ScorerConfig(path=path, options={"mode": "subset"}, name="no_more"),
    ]
    strict, default, named = load_scorers(entries)
    assert [s.__name__ for s in (strict, default, named)] == [
        "trajectory_strict", "trajectory_superset", "no_more",
    ]  # fmt: skip
    assert len({scorer_digest(s) for s in (strict, default, named)}) == 3, "options count"
    assert scorer_digest(strict) == scorer_digest(load_scorers(entries[:1])[0])
    assert scorer_path(strict) == path
    assert strict(CASE, done(call("look_up"), call("book"))).value == 1
    with pytest.raises(ConfigError, match="did you mean 'mode'"):
        load_scorers([ScorerConfig(path=path, options={"mod": "strict"})])
    with pytest.raises(ConfigError, match="mode must be one of"):
        load_scorers([ScorerConfig(path=path, options={"mode": "loose"})])
    with pytest.raises(ConfigError, match="give one another 'name'"):
        load_scorers([entries[0], entries[0]])
    with pytest.raises(ConfigError, match="a factory is written with 'path'"):
        load_scorers([path])


def asks_a_model(chat: object, strictness: int = 1):  # type: ignore[no-untyped-def]
    def judge(case: Case, answer: Answer) -> Score:
        return Score("judge", float(chat is MODEL))

    judge.judged = True  # type: ignore[attr-defined]
    return judge


MODEL = object()


def test_a_factory_that_asks_for_the_chat_model_gets_it() -> None:
    entry = ScorerConfig(path=f"{__name__}:asks_a_model")
    (judge,) = load_scorers([entry], {"chat": lambda: MODEL})
    assert judge(CASE, done()).value == 1
    assert judge.judged is True  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="asks_a_model"):
        load_scorers([entry])
