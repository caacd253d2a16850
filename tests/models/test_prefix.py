"""Instructions that are read once: what is computed, kept, put back and dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentops_ref.models import prefix
from agentops_ref.models.prefix import Prefixes


class Slot:
    """A server with one slot, whose state is the prompt that it read last."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.computed = folder, "", 0
        self.broken = False

    def ask(self, request: dict[str, Any]) -> None:
        assert not request["cache_prompt"], "a state must not depend on what was asked before"
        self.computed += 1
        self.state = request["messages"][0]["content"]

    def act(self, action: str, name: str) -> None:
        if self.broken:
            raise OSError("no space left")
        if action == "save":
            (self.folder / name).write_text(self.state)
        else:
            self.state = (self.folder / name).read_text()


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    return Slot(tmp_path)


@pytest.fixture
def prefixes(slot: Slot) -> Prefixes:
    return Prefixes(slot.ask, slot.act, slot.folder)


def test_each_is_computed_once_and_put_back_each_time(slot: Slot, prefixes: Prefixes) -> None:
    for system in ["a", "b", "a", "a", "b"]:
        slot.state = "whatever was asked before"
        assert prefixes.put_back(system)
        assert slot.state == system
    assert slot.computed == 2


def test_the_one_used_longest_ago_goes(
    slot: Slot, prefixes: Prefixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix, "MOST", 2)
    for system in ["a", "b", "a", "c"]:
        assert prefixes.put_back(system)
    assert sorted(file.read_text() for file in slot.folder.iterdir()) == ["a", "c"]
    assert prefixes.put_back("b")
    assert slot.state == "b"


def test_where_nothing_can_be_kept_the_question_is_asked_all_the_same(
    slot: Slot, prefixes: Prefixes
) -> None:
    slot.broken = True
    assert not prefixes.put_back("a")
    slot.broken = False
    assert prefixes.put_back("a")


def test_a_state_that_was_deleted_is_computed_again(slot: Slot, prefixes: Prefixes) -> None:
    prefixes.put_back("a")
    for file in slot.folder.iterdir():
        file.unlink()
    assert not prefixes.put_back("a")
    assert prefixes.put_back("a")
    assert slot.computed == 2
