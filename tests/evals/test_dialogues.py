"""Conversations with a simulated user: held, ended, judged as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref import build, load_config
from agentops_ref.errors import ConfigError, ModelError
from agentops_ref.evals import check_cases, evaluate
from agentops_ref.evals.dialogues import (
    Dialogue,
    Simulated,
    Turn,
    goal_reached,
    hold,
    load_dialogues,
    policy_kept,
    replies,
    scripted,
    turns_right,
)
from agentops_ref.evals.outputs import read_rows, row_of, write_row
from agentops_ref.records import Answer, Case, Usage

GAS = Case("t/1", "Gas line nut of an NL-8?", ("62 Nm",), (), ("m.pdf",), slice="follow-up")
LIQUID = Case("t/2", "And the liquid line?", ("42 Nm",), ("38 Nm",), ("m.pdf",), slice="follow-up")
TORQUES = Dialogue("t", "follow-up", "both torques", (GAS, LIQUID), forbidden=("70 Nm",))
PRICE = Dialogue(
    "p", "policy", "a price", (Case("p/1", "What does it cost?", abstain=True, slice="policy"),)
)


def says(*texts: str) -> Callable[[str], Answer]:
    """Reply with these texts in turn; "" abstains."""
    left = iter(texts)

    def reply(said: str) -> Answer:
        text = next(left)
        return Answer(text, abstained=not text, usage=Usage(10, 2), seconds=0.5)

    return reply


def scores(dialogue: Dialogue, answer: Answer) -> dict[str, float | None]:
    scorers = (goal_reached, policy_kept, turns_right([dialogue]))
    found = [scorer(dialogue.case(), answer) for scorer in scorers]
    assert not any(score.error for score in found)
    return {score.scorer: score.value for score in found}


def test_a_script_is_said_line_by_line_and_counts_as_one_answer() -> None:
    answer = hold(TORQUES, says("It is 62 Nm.", "It is 42 Nm."))
    assert [turn.said for turn in replies(answer)] == [GAS.question, LIQUID.question]
    assert answer.text == "It is 42 Nm."
    assert (answer.usage.tokens, answer.seconds) == (24, 1.0)
    assert scores(TORQUES, answer) == {"goal_reached": 1, "policy_kept": 1, "turns_right": 1}


@pytest.mark.parametrize(
    ("texts", "goal", "policy", "turns"),
    [
        (("62 Nm", "38 Nm"), 0, 1, 0.5),  # the other model's value, in its own turn
        (("42 Nm", "62 Nm"), 1, 1, 0),  # all was said, and nothing when it was asked
        (("62 Nm", "42 Nm, or 70 Nm."), 1, 0, 1),  # and what nobody may say
        (("62 Nm", ""), 0, 1, 0.5),
        (("", ""), 0, 1, 0),
    ],
)
def test_what_goes_wrong_is_told_apart(
    texts: tuple[str, ...], goal: float, policy: float, turns: float
) -> None:
    found = scores(TORQUES, hold(TORQUES, says(*texts)))
    assert found == {"goal_reached": goal, "policy_kept": policy, "turns_right": turns}


def test_where_nothing_can_be_said_silence_is_the_goal() -> None:
    assert scores(PRICE, hold(PRICE, says("")))["goal_reached"] == 1
    answer = hold(PRICE, says("1390 EUR"))
    assert scores(PRICE, answer) == {"goal_reached": 0, "policy_kept": None, "turns_right": 0}
    assert "turn 1" in goal_reached(PRICE.case(), answer).rationale


def player(*wrote: Any) -> Simulated:
    left = iter(wrote)

    def ask(values: Mapping[str, str], schema: Mapping[str, Any]) -> Any:
        assert "62 Nm" not in values["goal"]
        said = next(left)
        if isinstance(said, Exception):
            raise said
        return said

    return Simulated(ask)


def test_a_model_opens_with_the_script_and_ends_when_it_is_satisfied() -> None:
    user = player(
        {"satisfied": False, "message": "And on the liquid side?"},
        {"satisfied": True, "message": "Thanks!"},
    )
    answer = hold(TORQUES, says("62 Nm", "42 Nm"), user)
    assert [turn.said for turn in replies(answer)] == [GAS.question, "And on the liquid side?"]
    found = scores(TORQUES, answer)
    assert (found["goal_reached"], found["turns_right"]) == (1, None)


@pytest.mark.parametrize("garbage", [{}, [], "go on", None, ModelError("ill"), {"satisfied": "no"}])
def test_a_model_that_writes_nothing_usable_leaves(garbage: Any) -> None:
    assert len(replies(hold(TORQUES, says("62 Nm"), player(garbage)))) == 1


@given(st.integers(1, 9), st.integers(0, 12))
def test_no_user_stays_longer_than_it_may(most: int, patience: int) -> None:
    def user(dialogue: Dialogue, turns: Sequence[Turn]) -> str | None:
        return f"message {len(turns)}" if len(turns) < patience else None

    answer = hold(TORQUES, says(*["62 Nm"] * 20), user, most=most)
    assert len(replies(answer)) == min(most, patience)
    assert answer.abstained == (patience == 0)


def test_a_conversation_is_scored_again_from_its_file(tmp_path: Path) -> None:
    talks = {"t": hold(TORQUES, says("62 Nm", "42 Nm")), "p": hold(PRICE, says(""))}
    cases = [TORQUES.case(), PRICE.case()]
    both = turns_right([TORQUES, PRICE])
    result = evaluate(cases, lambda case: talks[case.id], [goal_reached, policy_kept, both])
    assert next(row.mean for row in result.aggregates() if row.scorer == "goal_reached") == 1
    file = tmp_path / "outputs.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for one in result.results:
            write_row(out, row_of(one))
    for row in read_rows(file):
        assert [s.value for s in row.scores] == [
            f(row.case, row.answer).value for f in (goal_reached, policy_kept, both)
        ]


def test_the_running_case_has_dialogues_whose_expectations_hold(corpus: Path) -> None:
    app = build(load_config(overrides={"models.mode": "scripted"}))
    found = app.dialogues()
    assert {one.slice for one in found} == {"follow-up", "memory", "policy"}
    assert all(scripted(one, ()) == one.turns[0].question for one in found)
    assert check_cases([turn for one in found for turn in one.turns], corpus) == []


ROW = {"id": "a", "slice": "s", "goal": "g", "turns": [{"say": "q", "abstain": True}]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "gaol": "x"}, "unknown key 'gaol'; did you mean 'goal'"),
        ({**ROW, "goal": ""}, "'goal' is missing"),
        ({**ROW, "turns": []}, "'turns' must be a list"),
        ({**ROW, "turns": [{"say": "q"}]}, "turn 1.*needs 'facts'|'a/1'.*needs 'facts'"),
        ({**ROW, "forbidden": "70"}, "list of texts"),
        ("x", "expected keys and values"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, row: Any, message: str) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(json.dumps({"dialogues": [row]}), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_dialogues(file)
    file.write_text(json.dumps({"dialogues": [ROW, ROW]}), encoding="utf-8")
    with pytest.raises(ConfigError, match="used twice"):
        load_dialogues(file)
    with pytest.raises(ConfigError, match="not found"):
        load_dialogues(tmp_path / "none.yaml")
