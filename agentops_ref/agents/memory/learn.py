"""From a user's message to facts: a model proposes, code checks. Taught in chapter 6.

The rule is that of extraction: the model copies words, and what does not stand in the user's
message is not written. What is kept is the whole sentence around the words, so that a "not" cannot
be left out. Vague words are vague whatever the model says.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from agentops_ref.agents.limits import Limits
from agentops_ref.agents.memory.ask import Ask
from agentops_ref.agents.memory.facts import Fact, FactSource, new_fact
from agentops_ref.records import Step, Usage

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-") | {"\u2019": "'"})


@dataclass(frozen=True, slots=True)
class Attribute:
    """A kind of fact that is worth remembering."""

    about: str
    """What the model is told of it."""
    wording: re.Pattern[str] | None = None
    """Must be found in the sentence, or in the question that it answers; None for no such check."""
    lasts: timedelta | None = None
    """From when it was said; None for no end."""


class Rejected(NamedTuple):
    """What a model proposed and was not written."""

    attribute: str
    words: str
    reason: str


class Learned(NamedTuple):
    """What one message taught."""

    facts: tuple[Fact, ...]
    rejected: tuple[Rejected, ...]
    usage: Usage


class Learn(Protocol):
    """What a conversation knows of learning: a message in, facts out."""

    def __call__(
        self,
        message: str,
        *,
        tenant: str,
        subject: str,
        source: FactSource,
        asked: str = "",
        limits: Limits | None = None,
    ) -> Learned: ...


class Learner:
    """Reads facts out of a message; one model call, or none where no fact could be written.

    Parameters
    ----------
    ask
        Filled with {attributes}, {asked} (the message that was answered, or "-") and {message}.
    attributes
        Name → kind of fact. No other kind is written.
    vague
        What it finds in a sentence makes the fact vague.
    keep_vague
        Whether vague facts are written at all.
    dates
        Formats, as of `datetime.strptime`, in which an end is read ("until 12 March 2027").
    most
        Facts of one message.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        attributes: Mapping[str, Attribute],
        vague: re.Pattern[str],
        keep_vague: bool = True,
        dates: Sequence[str] = (),
        most: int = 4,
        clock: Callable[[], datetime],
    ) -> None:
        self._ask, self._attributes, self._vague = ask, attributes, vague
        self._keep_vague, self._dates, self._most = keep_vague, tuple(dates), most
        self._clock = clock

    def __call__(
        self,
        message: str,
        *,
        tenant: str,
        subject: str,
        source: FactSource,
        asked: str = "",
        limits: Limits | None = None,
    ) -> Learned:
        """Return the facts that a message states about a subject.

        Parameters
        ----------
        asked
            The assistant's message that it answers, which gives "Tuesdays" its meaning.
        """
        if not self._could_teach(message, asked):
            return Learned((), (), Usage())
        told = "\n".join(f"- {name}: {one.about}" for name, one in self._attributes.items())
        reply, usage = self._ask(
            schema=self._schema(),
            limits=limits,
            attributes=told,
            asked=asked.strip() or "-",
            message=message,
        )
        try:
            proposed = json.loads(reply)["facts"]
            candidates = [(str(one["attribute"]), str(one["words"]), one) for one in proposed]
        except (ValueError, TypeError, KeyError):
            return Learned((), (Rejected("", reply[:80], "not JSON of the schema"),), usage)
        now = self._clock()
        facts: dict[str, Fact] = {}
        rejected: list[Rejected] = []
        for attribute, words, said in candidates[: self._most]:
            checked = self._check(attribute, words, message, asked)
            if isinstance(checked, Rejected):
                rejected.append(checked)
                continue
            vague = self._vague.search(checked) is not None or said.get("sure") is not True
            if vague and not self._keep_vague:
                rejected.append(Rejected(attribute, words, "vague"))
                continue
            made = new_fact(
                tenant=tenant,
                subject=subject,
                attribute=attribute,
                text=checked,
                source=source,
                learned_at=now,
                certainty="vague" if vague else "stated",
                valid_until=self._end(attribute, str(said.get("until") or ""), message, now),
            )
            facts[made.id] = made
        return Learned(tuple(facts.values()), tuple(rejected), usage)

    def _could_teach(self, message: str, asked: str) -> bool:
        """Whether `_check` would take any words of a message, so that a model is worth asking."""
        said = _sentences(message)
        if all(one.endswith("?") for one in said):
            return False
        where = f"{asked}\n{' '.join(said)}"
        wordings = [one.wording for one in self._attributes.values()]
        return any(one is None or one.search(where) for one in wordings)

    def _schema(self) -> dict[str, Any]:
        # The words before the attribute: what was said is found first, then sorted.
        fact = {
            "words": {"type": "string", "maxLength": 160},
            "attribute": {"type": "string", "enum": list(self._attributes)},
            "sure": {"type": "boolean"},
            "until": {"type": "string", "maxLength": 30},
        }
        item = {
            "type": "object",
            "properties": fact,
            "required": list(fact),
            "additionalProperties": False,
        }
        return {
            "title": "facts",
            "type": "object",
            "properties": {"facts": {"type": "array", "maxItems": self._most, "items": item}},
            "required": ["facts"],
            "additionalProperties": False,
        }

    def _check(self, attribute: str, words: str, message: str, asked: str) -> str | Rejected:
        """Return the sentence in which the words stand, or why there is no fact in them."""
        if attribute not in self._attributes:
            return Rejected(attribute, words, "no attribute that is remembered")
        sentence = sentence_of(words, message)
        if sentence is None:
            return Rejected(attribute, words, "does not stand in the user's message")
        if sentence.rstrip().endswith("?"):
            return Rejected(attribute, words, "a question states nothing")
        wording = self._attributes[attribute].wording
        if wording is not None and not wording.search(f"{asked}\n{sentence}"):
            return Rejected(attribute, words, f"not about {attribute}")
        return sentence

    def _end(self, attribute: str, until: str, message: str, now: datetime) -> datetime | None:
        """Return when a fact ends: the day after the last one that was named, else as configured.

        A date that does not stand in the message, in whatever form, or is over, was not said.
        """
        said = set(self._dates_in(message)) if until else set()
        for day in self._dates_in(until):
            end = day.replace(tzinfo=UTC) + timedelta(days=1)
            if day in said and end > now:
                return end
        lasts = self._attributes[attribute].lasts
        return None if lasts is None else now + lasts

    def _dates_in(self, text: str) -> Iterator[datetime]:
        """Yield the dates of a text, such as "until 20 March 2026", last one first."""
        words = [word.strip(" .,;:!?()") for word in text.split()]
        longest = max((len(one.split()) for one in self._dates), default=0)
        for end in range(len(words), 0, -1):
            for start in range(max(0, end - longest), end):
                for one in self._dates:
                    with suppress(ValueError):
                        yield datetime.strptime(" ".join(words[start:end]), one)


def folded(text: str) -> str:
    """Return a text with one kind of space, dash, apostrophe and letter case."""
    normal = unicodedata.normalize("NFKC", text).translate(_DASHES)
    return " ".join(normal.casefold().split())


def stands(words: str, text: str) -> bool:
    """Whether words stand in a text as whole words; none stand nowhere."""
    wanted = folded(words).strip(" .,;:!?\"'")
    if not wanted:
        return False
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", folded(text)) is not None


def learned_step(fact: Fact) -> Step:
    """Return the step that says what was learned."""
    doubt = " (vague)" if fact.certainty == "vague" else ""
    return Step("memory", "learn", f"{fact.attribute}: {fact.text}{doubt}")


def _sentences(message: str) -> list[str]:
    return [piece.strip() for piece in _SENTENCE.split(message) if piece.strip()]


def sentence_of(words: str, message: str) -> str | None:
    """Return the fewest sentences of a message that hold the words; None if it has them not."""
    pieces = _sentences(message)
    for length in range(1, len(pieces) + 1):
        for start in range(len(pieces) - length + 1):
            part = " ".join(pieces[start : start + length])
            if stands(words, part):
                return part
    return None
