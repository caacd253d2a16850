"""What a learner of facts notes of messages, against what should be noted. Used in chapter 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from agentops_ref.agents.memory import Fact
from agentops_ref.agents.memory.learn import stands


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fact that a message states."""

    attribute: str
    words: str
    """Stand in what is noted."""
    vague: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A user's message with what should be noted of it."""

    message: str
    wanted: tuple[Wanted, ...]
    asked: str = ""
    """The assistant's message that it answers."""


class Noted(NamedTuple):
    """What was noted of one message, by what it is worth."""

    right: tuple[Fact, ...]
    missed: tuple[Wanted, ...]
    wrong: tuple[Fact, ...]
    """Of another attribute, of other words, or noted where nothing was to be noted."""
    unsure: tuple[Fact, ...]
    """Of the right ones: those that are vague and were said for certain, or the other way round."""


def load_said(path: Path | str) -> list[Said]:
    """Read messages of a YAML file such as ``corpus/chapter-06.yaml``."""
    read = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    return [
        Said(one["message"], tuple(Wanted(**fact) for fact in one["facts"]), one.get("asked", ""))
        for one in read["messages"]
    ]


def judged(said: Said, facts: Sequence[Fact]) -> Noted:
    """Compare what was noted of a message with what should be; each fact counts once."""
    left = list(facts)
    right, missed, unsure = [], [], []
    for wanted in said.wanted:
        found = next((one for one in left if _is(one, wanted)), None)
        if found is None:
            missed.append(wanted)
            continue
        left.remove(found)
        right.append(found)
        if (found.certainty == "vague") != wanted.vague:
            unsure.append(found)
    return Noted(tuple(right), tuple(missed), tuple(left), tuple(unsure))


def _is(fact: Fact, wanted: Wanted) -> bool:
    return fact.attribute == wanted.attribute and stands(wanted.words, fact.text)
