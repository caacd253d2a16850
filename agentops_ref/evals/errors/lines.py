"""One JSON object a line: the format of the file of readings, and of what is imported into it.

A line with ``messages`` (or ``question``) brings a trace; one with ``outcome``, ``first_failure``
or ``notes`` brings a reading; one with ``machine`` brings a system's states. One line may bring a
trace and a reading. Keys that are not known are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from agentops_ref.errors import ConfigError, nearest, printable
from agentops_ref.evals.errors.records import Machine, Message, Outcome, Reading, Trace, Visit
from agentops_ref.evals.jsonl import parse_object

_TRACE_TEXTS = ("system", "slice", "expected", "verdict", "source")
_OUTCOMES: tuple[Outcome, ...] = ("failed", "right")


class Line(NamedTuple):
    """What one line brings."""

    machine: Machine | None = None
    trace: Trace | None = None
    reading: Reading | None = None


class _Wrong(ValueError):
    """What is wrong with a line."""


def parse_lines(text: str, *, path: str, coder: str = "") -> list[Line]:
    """Read lines; blank ones are passed over.

    Parameters
    ----------
    path
        Names the file in the errors.
    coder
        Whose readings they are, where a line does not say.

    Raises
    ------
    ConfigError
        Any line is wrong; names the first few with their numbers, and what each lacks.
    """
    found: list[Line] = []
    wrong: list[str] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        if not raw.strip():
            continue
        try:
            found.append(_line(raw, coder))
        except ValueError as error:
            wrong.append(f"line {number}: {printable(str(error))[:300]}")
    if wrong:
        more = f"; {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ConfigError(f"{path}: {'; '.join(wrong[:5])}{more}; nothing was taken")
    return found


def to_line(record: Machine | Trace | Reading) -> str:
    """Write a record as one line, without the keys that are empty."""
    if isinstance(record, Machine):
        row: dict[str, Any] = {
            "machine": record.system,
            "states": record.states,
            "edges": record.edges,
        }
    elif isinstance(record, Trace):
        row = asdict(record)
        row["states"] = [
            {k: v for k, v in visit.items() if v and (k, v) != ("status", "ok")}
            for visit in row.pop("visits")
        ]
    else:
        row = asdict(record)
        row = {"id": row.pop("trace"), **row}
    # No states is something else than not to say: then they are read off the messages.
    kept = {key: value for key, value in row.items() if value or key == "states"}
    return json.dumps(kept, ensure_ascii=False)


def _line(raw: str, coder: str) -> Line:
    row = parse_object(raw)
    if "machine" in row:
        return Line(machine=_machine(row))
    id_ = row.get("id")
    if not isinstance(id_, str) or not id_.strip() or id_ != printable(id_):
        raise _Wrong(f"'id' must be a text on one line, got {id_!r}")
    trace = _trace(id_, row) if row.get("messages") or row.get("question") else None
    reading = _reading(id_, row, trace, coder)
    if trace is None and reading is None:
        raise _Wrong(
            f"'{id_}' brings nothing: give 'messages' (a list of role and content), or what was "
            "read: 'outcome', 'first_failure', 'notes'"
        )
    return Line(trace=trace, reading=reading)


def _machine(row: Mapping[str, Any]) -> Machine:
    name, states, edges = row["machine"], row.get("states"), row.get("edges", [])
    if not isinstance(name, str) or not isinstance(states, list) or not states:
        raise _Wrong("a machine needs its system's name and 'states', a list of texts")
    pairs = edges if isinstance(edges, list) else [edges]
    if not all(isinstance(one, list) and len(one) == 2 for one in pairs):
        raise _Wrong("'edges' must be a list of pairs of states")
    allowed = tuple((_text(a, "edges"), _text(b, "edges")) for a, b in pairs)
    return Machine(name, tuple(_text(one, "states") for one in states), allowed)


def _trace(id_: str, row: Mapping[str, Any]) -> Trace:
    messages = row.get("messages")
    if messages is None:
        said = row.get("answer") or ""
        messages = [
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": said},
        ]
    if not isinstance(messages, list):
        raise _Wrong("'messages' must be a list of objects with 'role' and 'content'")
    told = tuple(_message(one, at) for at, one in enumerate(messages, start=1))
    states = row.get("states", row.get("steps"))
    if states is None:
        visits = tuple(_from_messages(messages))
    elif isinstance(states, list):
        visits = tuple(_visit(one, at) for at, one in enumerate(states, start=1))
    else:
        raise _Wrong("'states' must be a list of names, or of objects with 'state'")
    texts = {key: _text(row.get(key) or "", key) for key in _TRACE_TEXTS}
    return Trace(id_, told, visits, **texts)


def _message(one: Any, at: int) -> Message:
    if not isinstance(one, dict) or not isinstance(one.get("role"), str):
        raise _Wrong(f"message {at}: expected an object with 'role' and 'content'")
    content = one.get("content") or ""
    if isinstance(content, list):  # parts, as the chat APIs have them
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return Message(one["role"], _text(content, f"message {at}: content"))


def _from_messages(messages: Iterable[Mapping[str, Any]]) -> Iterable[Visit]:
    """Yield the tools that were called and the answers that were given, in order."""
    for one in messages:
        if one["role"] != "assistant":
            continue
        calls = one.get("tool_calls") or ()
        for call in calls if isinstance(calls, list) else ():
            told = call.get("function", call) if isinstance(call, dict) else {}
            if isinstance(told, dict) and isinstance(told.get("name"), str):
                yield Visit(told["name"], input=str(told.get("arguments") or ""))
        if one.get("content"):
            yield Visit("answer")


def _visit(one: Any, at: int) -> Visit:
    if isinstance(one, str):
        return Visit(_state(one, f"state {at}"))
    name = one.get("state", one.get("name")) if isinstance(one, dict) else None
    if not isinstance(name, str):
        raise _Wrong(f"state {at}: expected a name, or an object with 'state'")
    texts = {key: _text(one.get(key) or "", key) for key in ("input", "output")}
    return Visit(_state(name, f"state {at}"), _text(one.get("status") or "ok", "status"), **texts)


def _reading(id_: str, row: Mapping[str, Any], trace: Trace | None, coder: str) -> Reading | None:
    notes = row.get("notes", row.get("note"))
    if not any(key in row for key in ("outcome", "first_failure")) and not notes:
        return None
    notes = [notes] if isinstance(notes, str) else notes or []
    if not isinstance(notes, list):
        raise _Wrong("'notes' must be a text or a list of texts")
    notes = tuple(text for one in notes if (text := _text(one, "notes").strip()))
    failure, success = row.get("first_failure") or "", row.get("last_success") or ""
    failure, success = _state(failure, "first_failure"), _state(success, "last_success")
    who = _text(row.get("coder") or coder, "coder")
    if not who:
        raise _Wrong(f"'{id_}' has a reading and no 'coder': say who read it")
    outcome = row.get("outcome") or ("failed" if failure or notes else "right")
    if outcome not in _OUTCOMES:
        hint = nearest(str(outcome), _OUTCOMES)
        raise _Wrong(f"'outcome' must be failed or right, got {outcome!r}{hint}")
    if failure and not success and trace is not None:
        success = trace.before(failure) or ""
    reading = Reading(
        id_, who, outcome, failure, success, notes, _text(row.get("when") or "", "when")
    )
    if problem := flaw(reading):
        raise _Wrong(problem)
    return reading


def flaw(reading: Reading) -> str:
    """Return what a reading lacks, or says twice; empty where it holds together."""
    if not reading.failed:
        if reading.first_failure or reading.last_success:
            return f"'{reading.trace}' is right and names a failure; one of both is wrong"
        return ""
    if reading.first_failure and not reading.last_success:
        return (
            f"'{reading.trace}': 'last_success' is missing: the last state that did what it "
            "should, or 'start' where none did"
        )
    if reading.last_success and not reading.first_failure:
        return f"'{reading.trace}': 'first_failure' is missing: the first state that went wrong"
    if not reading.first_failure and not reading.notes:
        return f"'{reading.trace}' failed: say where ('first_failure') or what ('notes')"
    return ""


def _state(name: Any, what: str) -> str:
    text = _text(name, what).strip()
    if text != printable(text):
        raise _Wrong(f"{what}: a state's name is one line, got {text!r}")
    return text


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"'{what}' must be a text, got {value!r}")
    return value
