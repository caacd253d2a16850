"""The file of readings: nothing is lost, nothing is added twice, what is wrong is said by line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import ConfigError
from agentops_ref.evals.errors import (
    Machine,
    Message,
    Reading,
    Trace,
    Visit,
    add_records,
    load_readings,
    parse_lines,
    records_of,
    to_line,
)
from tests.evals.errors.build import failed, readings, right, trace

WORD = st.text(st.characters(codec="utf-8"), min_size=1)
NAME = st.text("abcdefgh/-_1", min_size=1, max_size=8)
VISITS = st.lists(st.builds(Visit, NAME, st.sampled_from(["ok", "failed"]), WORD, WORD), max_size=4)
TRACES = st.builds(
    Trace,
    NAME,
    st.lists(st.builds(Message, st.just("user"), WORD), min_size=1, max_size=3).map(tuple),
    VISITS.map(tuple),
    NAME,
    NAME,
    WORD,
    WORD,
)


def imported(path: Path, text: str, coder: str = "anna") -> tuple[int, int, int]:
    return tuple(add_records(path, records_of(parse_lines(text, path="in", coder=coder))))  # type: ignore[return-value]


@given(TRACES)
def test_a_line_holds_all_of_a_trace(one: Trace) -> None:
    line = to_line(one)
    assert "\n" not in line
    back = parse_lines(line, path="x")[0].trace
    # Spaces around a state's name are no part of it; a path of none is read off the messages.
    assert back == one


@given(st.lists(TRACES, max_size=5), st.randoms(use_true_random=False))
def test_an_import_is_idempotent_whatever_its_order(
    tmp_path_factory: pytest.TempPathFactory, traces: list[Trace], rng: random.Random
) -> None:
    path = tmp_path_factory.mktemp("errors") / "readings.jsonl"
    unique = list({one.id: one for one in traces}.values())
    said = [
        failed(one.id, "start", "a") if i % 2 else right(one.id) for i, one in enumerate(unique)
    ]
    first = add_records(path, [*unique, *said])
    before = path.read_bytes() if unique else b""
    assert first == (len(unique), len(unique), 0)
    again = [*unique, *said]
    rng.shuffle(again)
    assert add_records(path, again) == (0, 0, 2 * len(unique))
    assert not unique or path.read_bytes() == before


def test_lines_are_added_and_the_newest_counts(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "readings.jsonl"
    add_records(path, [trace("a", ["plan", "search"]), failed("a", "plan", "search", when="1")])
    before = path.read_bytes()
    add_records(path, [failed("a", "start", "plan", when="2")])
    assert path.read_bytes().startswith(before)
    held = load_readings(path)
    assert [one.first_failure for one in held.decided] == ["plan"]
    add_records(path, [failed("a", "plan", "search", when="3")])  # and back again
    assert [one.first_failure for one in load_readings(path).decided] == ["search"]


def test_a_hand_written_line_without_a_date_counts_as_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    add_records(path, [trace("a"), failed("a", "start", "x", when="2026-01-01")])
    with path.open("a") as file:
        file.write('{"id": "a", "coder": "anna", "outcome": "right"}')  # no newline at the end
    assert load_readings(path).failed == ()
    add_records(path, [trace("b")])
    assert set(load_readings(path).traces) == {"a", "b"}


def test_a_users_conversations(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "messages": [{"role": "user", "content": "Hi"}], "first_failure": "sql",
         "last_success": "plan", "notes": "wrong table", "stars": 3},
        {"id": "2", "question": "Q", "answer": "A", "first_failure": None},
        {"id": "3", "question": "Q", "steps": ["plan", {"name": "sql", "status": "failed"}],
         "first_failure": "sql", "coder": "bo"},
        {"id": "4", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": None,
             "tool_calls": [{"function": {"name": "find", "arguments": "{}"}}]},
            {"role": "tool", "content": "x"},
            {"role": "assistant", "content": "So."}]},
    ]  # fmt: skip
    path = tmp_path / "readings.jsonl"
    text = "\n\n".join(map(json.dumps, rows))
    assert imported(path, text) == (4, 3, 0)
    assert imported(path, text) == (0, 0, 7)
    held = load_readings(path)
    assert held.by_coder["1", "anna"].notes == ("wrong table",)
    assert not held.by_coder["2", "anna"].failed
    assert held.by_coder["3", "bo"].last_success == "plan"  # the state visited before
    assert held.traces["3"].suggested() == ("plan", "sql")
    assert held.traces["4"].path == ("find", "answer")
    assert held.traces["4"].question == "What?"
    assert ("4", "anna") not in held.by_coder


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("[]", "expected one JSON object a line"),
        ("{", "not JSON"),
        ('{"messages": []}', "'id' must be a text"),
        ('{"id": "a\\nb", "question": "q"}', "one line"),
        ('{"id": "a"}', "give 'messages'"),
        ('{"id": "a", "question": "q", "first_failure": "s"}', "'last_success' is missing"),
        ('{"id": "a", "question": "q", "last_success": "s", "notes": "n"}', "'first_failure' is"),
        ('{"id": "a", "question": "q", "outcome": "failed"}', "say where"),
        ('{"id": "a", "question": "q", "outcome": "fialed"}', "did you mean 'failed'"),
        ('{"id": "a", "question": "q", "outcome": "right", "first_failure": "s"}', "one of both"),
        ('{"id": "a", "messages": [{"content": "x"}]}', "message 1"),
        ('{"id": "a", "messages": "x"}', "'messages' must be a list"),
        ('{"id": "a", "question": "q", "states": [3]}', "state 1"),
        ('{"id": "a", "question": "q", "states": {"a": 1}}', "'states' must be a list"),
        ('{"id": "a", "question": "q", "notes": 3}', "'notes'"),
        ('{"machine": "m", "states": []}', "'states'"),
        ('{"machine": "m", "states": ["a"], "edges": [["a"]]}', "pairs"),
        ('{"machine": "m", "states": ["a"], "edges": 3}', "pairs"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_nothing_is_taken(
    tmp_path: Path, row: str, told: str
) -> None:
    path = tmp_path / "readings.jsonl"
    add_records(path, [trace("before")])
    held = path.read_bytes()
    good = '{"id": "good", "question": "q"}'
    with pytest.raises(ConfigError) as error:
        imported(path, f"{good}\n{row}\n")
    assert "line 2" in str(error.value)
    assert told in str(error.value)
    assert path.read_bytes() == held


def test_a_reading_of_no_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    with pytest.raises(ConfigError, match="no trace of that id"):
        add_records(path, [failed("nobody", "start", "x")])
    assert not path.exists()
    path.write_text('{"id": "x", "coder": "a", "outcome": "right"}\n')
    with pytest.raises(ConfigError, match="no trace of that id"):
        load_readings(path)


def test_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    path.write_bytes(b'{"id": "a", "question": "q"}\n{"id": "b", "ques')
    with pytest.raises(ConfigError, match="line 2"):
        add_records(path, [trace("c")])
    assert path.read_bytes().endswith(b'"ques')
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_readings(path)


def test_what_cannot_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "readings.jsonl"
    add_records(path, [trace("a")])
    held = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agentops_ref.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        add_records(path, [trace("b")])
    assert path.read_bytes() == held
    assert {one.name for one in tmp_path.iterdir()} <= {"readings.jsonl", "readings.jsonl.lock"}


def test_machines_give_the_order_of_the_states(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    machine = Machine("desk", ("plan", "search", "say"), (("plan", "search"),))
    add_records(path, [machine, trace("a", ["say", "extra", "plan"])])
    add_records(path, [machine])
    assert path.read_text().count("machine") == 1
    held = load_readings(path)
    assert held.states() == ("plan", "search", "say", "extra")
    assert held.machines["desk"] == machine


def test_of_two_people_the_later_one_is_decided() -> None:
    held = readings([trace("a")], [failed("a", "start", "x"), right("a", "bo")])
    assert held.decided == (Reading("a", "bo", "right"),)
    assert held.coders == ("anna", "bo")
