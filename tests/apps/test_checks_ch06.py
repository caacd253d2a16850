"""Chapter 6's checks agree with a registry and with a store that run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from agentops_ref.agents.memory import FactSource, fact_store, new_fact, open_database
from agentops_ref.apps.checks import ch06
from agentops_ref.apps.checks.ch06 import Told
from agentops_ref.testing import HashEmbeddings

RIGHT = {
    "planner asks for 140 m2": "ok",
    "planner asks for 'large' m2": "invalid",
    "planner gives an argument 'colour' as well": "invalid",
    "cleaner asks for 140 m2": "denied",
    "planner calls a tool 'heat_demands'": "unknown",
    "planner asks for a fourth house within a minute": "limited",
    "planner asks for 140 m2 again in the same request": "ok",
    "planner books the same visit again in the same request": "repeated",
    "planner books the same visit in another request": "ok",
    "the function sleeps for a second": "timeout",
    "the function raises an error": "failed",
}


def test_the_right_predictions_are_right() -> None:
    assert ch06.gates(RIGHT).right
    assert set(RIGHT.values()) == set(ch06.OUTCOMES)


@pytest.mark.parametrize("call", ch06.CALLS)
def test_a_wrong_prediction_is_named_with_what_happens(call: str) -> None:
    checked = ch06.gates({**RIGHT, call: "ok" if RIGHT[call] != "ok" else "denied"})
    assert not checked.right
    assert call in checked.why
    assert ch06.OUTCOMES[RIGHT[call]] in checked.why
    assert "expected one of" in ch06.gates({**RIGHT, call: "perhaps"}).why


def right(told: list[Told], now: int) -> set[str]:
    ordered = sorted(told, key=lambda one: one.day)
    return {
        one.text
        for place, one in enumerate(ordered)
        if not any(one.vague or not later.vague for later in ordered[place + 1 :])
        and (one.until is None or now < one.until)
    }


def newest_only(told: list[Told], now: int) -> set[str]:
    return {max(told, key=lambda one: one.day).text}


def by_arrival(told: list[Told], now: int) -> set[str]:
    return right([one._replace(day=place) for place, one in enumerate(told)], now)


def last_day_too(told: list[Told], now: int) -> set[str]:
    return right(told, now - 1)


def comes_back(told: list[Told], now: int) -> set[str]:
    return right([one for one in told if one.until is None or now < one.until], now)


def fails(told: list[Told], now: int) -> set[str]:
    raise KeyError("x")


def test_the_right_rule_is_right() -> None:
    assert ch06.rule(right).right


@pytest.mark.parametrize("rule", [newest_only, by_arrival, last_day_too, comes_back, fails])
def test_a_wrong_rule_is_told_where_it_is_wrong(rule: object) -> None:
    checked = ch06.rule(rule)  # type: ignore[arg-type]
    assert not checked.right
    assert "day" in checked.why or "failed" in checked.why


def test_random_histories_find_what_those_by_hand_do_not() -> None:
    def only_four(told: list[Told], now: int) -> set[str]:
        return right(told, now) if len(told) < 4 else set()

    assert ch06.rule(only_four, random_histories=0).right
    assert not ch06.rule(only_four).right


def test_the_store_counts_as_the_exercise_does(tmp_path: Path) -> None:
    for number, (told, now) in enumerate(ch06._histories(20)):
        at = ch06.START + timedelta(days=now)
        database = open_database(f"sqlite:///{tmp_path}/{number}.db")
        store = fact_store(database, lambda: HashEmbeddings(8), clock=lambda at=at: at)  # type: ignore[misc]
        for one in told:
            store.tell(
                [
                    new_fact(
                        tenant="t",
                        subject="s",
                        attribute="a",
                        text=one.text,
                        source=FactSource("", "", "customer"),
                        learned_at=ch06.START + timedelta(days=one.day),
                        certainty="vague" if one.vague else "stated",
                        valid_until=None
                        if one.until is None
                        else ch06.START + timedelta(days=one.until),
                    )
                ]
            )
        found = store.search("x", tenant="t", subjects=["s"], k=9)
        assert {one.fact.text for one in found} == ch06.counting(told, now)
        database.close()
