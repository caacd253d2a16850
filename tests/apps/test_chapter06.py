"""What chapter 6 runs besides the package: messages with what should be noted, killed turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agentops_ref.apps.killed_turn import DURABILITIES, POINTS, killed_turns
from agentops_ref.apps.remembered import Said, Wanted, judged, load_said
from agentops_ref.config import load_config
from tests.agents.memory.parts import fact

FILE = Path(__file__).parents[2] / "corpus" / "chapter-06.yaml"


def test_the_messages_can_be_noted_as_they_want_it() -> None:
    said = load_said(FILE)
    assert 15 <= len(said) <= 20
    known = {one.name for one in load_config().memory.facts.attributes}
    for one in said:
        for wanted in one.wanted:
            assert wanted.attribute in known
            noted = fact(one.message, attribute=wanted.attribute)
            noted = replace(noted, certainty="vague" if wanted.vague else "stated")
            found = judged(Said(one.message, (wanted,)), [noted])
            assert (found.right, found.unsure) == ((noted,), ())


def test_what_was_noted_is_judged() -> None:
    said = Said("m", (Wanted("animals", "two cats"), Wanted("plans", "sell", vague=True)))
    cats = fact("There are two cats.", attribute="animals")
    twice = fact("Two cats.", attribute="animals")
    sell = fact("We sell the house.", attribute="plans")
    other = fact("two cats", attribute="contact")
    found = judged(said, [cats, twice, sell, other])
    assert found.right == (cats, sell)
    assert found.unsure == (sell,)
    assert found.wrong == (twice, other)
    assert judged(said, []).missed == said.wanted


def test_a_killed_turn_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    found = killed_turns(f"sqlite:///{tmp_path}/memory.db")
    assert [(one.durability, one.killed) for one in found] == [
        (durability, point) for durability in DURABILITIES for point in POINTS
    ]
    for one in found:
        assert one.at_last == 4
        assert (one.found, one.asked_again) in {(2, 1), (4, 0)}
    written = {(one.durability, one.killed) for one in found if one.found == 4}
    assert written == {
        ("exit", "before the reply"),
        ("sync", "while learning"),
        ("sync", "before the reply"),
    }
