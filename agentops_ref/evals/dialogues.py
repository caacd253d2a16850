"""Conversations as cases: a simulated user talks to the agent, and the whole of it is judged.

Taught in chapter 12. What a conversation must hold is written as a case a turn. The user is a
script, or a model that pursues a goal. A conversation that was held is an `Answer` whose steps are
its turns, so runs, tables, comparisons and gates take it like any other answer, and it can be
scored again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from agentops_ref.errors import ConfigError, ModelError, TransientError, nearest
from agentops_ref.evals.cases import read_case
from agentops_ref.evals.matching import states
from agentops_ref.evals.scorers import Scorer, correct
from agentops_ref.records import Answer, Case, Score, Step, Usage

USER, REPLY = "user", "reply"
_KEYS = ("id", "slice", "goal", "persona", "turns", "forbidden")
SCHEMA: Mapping[str, Any] = {
    "title": "user",
    "type": "object",
    "properties": {
        "satisfied": {"type": "boolean"},
        "message": {"type": "string", "maxLength": 200},
    },
    "required": ["satisfied", "message"],
    "additionalProperties": False,
}
"""What a model that plays the user writes: first whether it has what it wanted."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation that is to be held, and what must come of it."""

    id: str
    slice: str
    goal: str
    """What the user wants to know, in words: for a model that plays the user."""
    turns: tuple[Case, ...]
    """What a scripted user says, and what each reply must hold."""
    persona: str = "a technician on site, who writes short messages"
    forbidden: tuple[str, ...] = ()
    """What no reply may state, whatever was asked."""

    def case(self) -> Case:
        """Return the conversation as one case: every fact of its turns, nothing forbidden."""
        facts = dict.fromkeys(fact for turn in self.turns for fact in turn.facts)
        return Case(
            self.id,
            self.turns[0].question,
            tuple(facts),
            self.forbidden,
            abstain=not facts,
            slice=self.slice,
        )


class Turn(NamedTuple):
    """One message and the reply to it."""

    said: str
    reply: Answer


User = Callable[[Dialogue, Sequence[Turn]], str | None]
"""Says the next message, given what was said; None ends the conversation."""
Hold = Callable[[str], Answer]
"""Replies to a message within one conversation."""


def load_dialogues(path: Path) -> list[Dialogue]:
    """Read a YAML file with a list ``dialogues``; each turn is a case whose question is ``say``.

    Raises
    ------
    ConfigError
        Missing or malformed file, an unknown key, an id used twice, a turn that is no case; names
        file, dialogue and key.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"dialogues not found: {path}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    rows = loaded.get("dialogues") if isinstance(loaded, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{path}: expected a list under the key 'dialogues'")
    found = [_dialogue(row, f"{path}: dialogue {at}") for at, row in enumerate(rows, start=1)]
    names = [one.id for one in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: the id '{name}' is used twice")
    return found


def scripted(dialogue: Dialogue, turns: Sequence[Turn]) -> str | None:
    """Say the dialogue's own lines, whatever is replied."""
    return dialogue.turns[len(turns)].question if len(turns) < len(dialogue.turns) else None


class Simulated:
    """A model that plays the user: it opens with the script's first line and pursues the goal.

    It does not see the expected facts, so that it cannot tell them to the agent. That it is
    satisfied is its own opinion, and no measure of whether the goal was reached.

    Parameters
    ----------
    ask
        Called with what fills the prompt (persona, goal, transcript) and a JSON schema; returns the
        object that the model wrote.
    """

    def __init__(self, ask: Callable[[Mapping[str, str], Mapping[str, Any]], Any]) -> None:
        self._ask = ask

    def __call__(self, dialogue: Dialogue, turns: Sequence[Turn]) -> str | None:
        """Say the next message; None where the model is satisfied or writes nothing usable."""
        if not turns:
            return dialogue.turns[0].question
        values = {
            "persona": dialogue.persona,
            "goal": dialogue.goal,
            "transcript": "\n".join(f"User: {said}\nAgent: {r.text}" for said, r in turns),
        }
        try:
            wrote = self._ask(values, SCHEMA)
        except (ModelError, TransientError):
            return None
        if not isinstance(wrote, dict) or wrote.get("satisfied") is not False:
            return None
        return str(wrote.get("message") or "").strip() or None


def hold(dialogue: Dialogue, reply: Hold, user: User = scripted, *, most: int = 8) -> Answer:
    """Hold a conversation, and return it as one answer.

    Parameters
    ----------
    reply
        The agent within one conversation; what it raises ends the evaluation of this case.
    most
        Turns after which the user leaves, satisfied or not.

    Returns
    -------
    Answer
        Its text is what the agent said last; its steps are the turns, a reply's text as the result
        of the user's message; usage and seconds are those of all replies. It abstained if no reply
        said anything else.
    """
    turns: list[Turn] = []
    while len(turns) < most:
        said = user(dialogue, tuple(turns))
        if said is None:
            break
        turns.append(Turn(said, reply(said)))
    steps = tuple(
        Step(
            USER,
            REPLY,
            turn.said,
            "abstained" if turn.reply.abstained else "ok",
            turn.reply.seconds,
            turn.reply.problem,
            turn.reply.text,
        )
        for turn in turns
    )
    if not turns:
        return Answer("", abstained=True, problem="the user said nothing")
    last = turns[-1].reply
    return replace(
        last,
        abstained=all(turn.reply.abstained for turn in turns),
        usage=sum((turn.reply.usage for turn in turns), Usage()),
        seconds=sum(turn.reply.seconds for turn in turns),
        steps=steps,
        problem="; ".join(
            dict.fromkeys(turn.reply.problem for turn in turns if turn.reply.problem)
        ),
    )


def replies(answer: Answer) -> list[Turn]:
    """Return the turns of a conversation that was held."""
    return [
        Turn(step.input, Answer(step.result, abstained=step.status == "abstained"))
        for step in answer.steps
        if (step.agent, step.action) == (USER, REPLY)
    ]


def goal_reached(case: Case, answer: Answer) -> Score:
    """1 when every fact was stated in some reply, or, where there is none to state, nothing was."""
    name, turns = "goal_reached", replies(answer)
    if case.abstain:
        told = [at for at, turn in enumerate(turns, start=1) if not turn.reply.abstained]
        why = (
            f"answered in turn {', '.join(map(str, told))}" if told else "said nothing, as it must"
        )
        return Score(name, float(not told), why)
    missing = [
        fact
        for fact in case.facts
        if not any(not t.reply.abstained and states(t.reply.text, fact) for t in turns)
    ]
    reason = f"never stated: {'; '.join(missing)}" if missing else f"within {len(turns)} turns"
    return Score(name, float(not missing), reason)


def policy_kept(case: Case, answer: Answer) -> Score:
    """1 unless some reply states what no reply may."""
    name = "policy_kept"
    if not case.forbidden:
        return Score(name, None, "nothing is forbidden")
    wrong = [
        f"{text} in turn {at}"
        for at, turn in enumerate(replies(answer), start=1)
        for text in case.forbidden
        if not turn.reply.abstained and states(turn.reply.text, text)
    ]
    return Score(name, float(not wrong), f"states {'; '.join(wrong)}" if wrong else "none stated")


def turns_right(dialogues: Iterable[Dialogue]) -> Scorer:
    """Return a scorer: the share of replies that hold what their own turn expects.

    It does not apply where the user kept to no script.
    """
    scripts = {one.id: one.turns for one in dialogues}

    def score(case: Case, answer: Answer) -> Score:
        turns, expected = replies(answer), scripts.get(case.id, ())
        if [turn.said for turn in turns] != [one.question for one in expected]:
            return Score("turns_right", None, "not the script's lines")
        found = [correct(one, turn.reply) for one, turn in zip(expected, turns, strict=True)]
        wrong = [f"turn {at}: {s.rationale}" for at, s in enumerate(found, 1) if not s.value]
        return Score("turns_right", 1 - len(wrong) / len(found), "; ".join(wrong) or "all right")

    score.__name__ = score.__qualname__ = "turns_right"
    return score


def _dialogue(row: Any, where: str) -> Dialogue:
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: expected keys and values, got {row!r}")
    if isinstance(row.get("id"), str):
        where = f"{where.rpartition(': dialogue ')[0]}: dialogue '{row['id']}'"
    for key in row:
        if key not in _KEYS:
            raise ConfigError(f"{where}: unknown key '{key}'{nearest(str(key), list(_KEYS))}")
    for key in ("id", "slice", "goal"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise ConfigError(f"{where}: '{key}' is missing or is not a text")
    turns = row.get("turns")
    if not isinstance(turns, list) or not turns or not all(isinstance(t, dict) for t in turns):
        raise ConfigError(f"{where}: 'turns' must be a list, each with what the user may 'say'")
    cases = []
    for at, turn in enumerate(turns, start=1):
        given = {"question" if key == "say" else key: value for key, value in turn.items()}
        named = {"id": f"{row['id']}/{at}", "slice": row["slice"], **given}
        cases.append(read_case(named, f"{where}: turn {at}"))
    more = {}
    if "persona" in row:
        more["persona"] = str(row["persona"])
    forbidden = row.get("forbidden", [])
    if not isinstance(forbidden, list) or not all(isinstance(f, str) for f in forbidden):
        raise ConfigError(f"{where}: 'forbidden' must be a list of texts (quote numbers)")
    return Dialogue(
        row["id"], row["slice"], row["goal"], tuple(cases), forbidden=tuple(forbidden), **more
    )
