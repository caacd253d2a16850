"""Edits of a file of cases: comments stay, what results is what was meant, or nothing happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import ConfigError, OperatorError, TransientError
from agentops_ref.evals.cases import parse_cases
from agentops_ref.evals.datasets import add_cases, retire_case, write_cases
from agentops_ref.records import Case

TEXT = """# Why this set is as it is.
cases:
  # --- values ---
  - id: a
    slice: value
    question: How tight?   # asked on site
    facts: ["42 Nm"]
    sources: [m.pdf]
  - slice: unanswerable
    id: "b.1"   # the id is not first
    question: >-
      A long story, which
      - id: c
      ends here?
    abstain: true
  - {id: flow, slice: s, question: On one line, abstain: true}
"""
NEW = Case(
    "n", 'What: "E41" # on ÅSE\'s NL-8?', ("fan",), (), ("m.pdf",), slice="same-code",
    tools=("book",), arguments={"book": {"day": "2026-01-08", "n": 1, "who": None}},
    origin="incident", origin_note="INC-7", split="test",
)  # fmt: skip


def test_added_at_the_end_with_every_comment_left() -> None:
    after, new = add_cases(TEXT, [NEW], path="cases.yaml")
    assert after.startswith(TEXT.rstrip())
    assert new == (NEW,)
    assert parse_cases(after, "") == [*parse_cases(TEXT, ""), NEW]
    assert "  - id: n\n    slice: same-code\n    split: test\n" in after


def test_adding_twice_changes_nothing() -> None:
    once, _ = add_cases(TEXT, [NEW], path="")
    assert add_cases(once, [NEW], path="") == (once, ())
    assert add_cases(TEXT, [NEW, NEW], path="") == (once, (NEW,))
    assert add_cases(TEXT, [], path="") == (TEXT, ())


@pytest.mark.parametrize(
    ("text", "case", "message"),
    [
        (TEXT, Case("a", "Another?", abstain=True, slice="s"), "id 'a' is used for another case"),
        (
            TEXT,
            replace(NEW, facts=(), tools=(), arguments={}),
            "case 'n': can be answered, so it needs 'facts'",
        ),
        (TEXT, replace(NEW, tools=()), "'arguments' of 'book', which is not among"),
        (TEXT, replace(NEW, origin="synthetic", origin_note=" "), "who validated it"),
        (TEXT + "about: a key that follows\n", NEW, "append the cases by hand"),
        ("cases: [{id: a, slice: s, question: q, abstain: true}]\n", NEW, "by hand"),
    ],
)
def test_what_is_refused(text: str, case: Case, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        add_cases(text, [case], path="cases.yaml")


def test_retired_below_its_id() -> None:
    after = retire_case(TEXT, "a", why="asked twice: see 'b'", on="2026-01-08", path="")
    (line,) = set(after.splitlines()) - set(TEXT.splitlines())
    assert line == "    retired: '2026-01-08: asked twice: see ''b'''"
    assert after.replace(line + "\n", "") == TEXT
    assert parse_cases(after, "")[0].retired == "2026-01-08: asked twice: see 'b'"


def test_the_id_need_not_come_first() -> None:
    after = retire_case(TEXT, "b.1", why="x", on="2026-01-08", path="")
    assert [case.retired for case in parse_cases(after, "")] == ["", "2026-01-08: x", ""]


@pytest.mark.parametrize(
    ("case", "why", "message"),
    [
        ("aa", "x", "no case 'aa'; did you mean 'a'"),
        ("c", "x", "no case 'c'"),  # it stands in a text only
        ("a", "  ", "Give the reason with --why"),
        ("flow", "x", "add 'retired: '2026-01-08: x'' to it by hand"),
    ],
)
def test_what_cannot_be_retired(case: str, why: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        retire_case(TEXT, case, why=why, on="2026-01-08", path="")


def test_retired_once() -> None:
    once = retire_case(TEXT, "a", why="x", on="2026-01-08", path="")
    with pytest.raises(ConfigError, match="'a' is retired already: 2026-01-08: x"):
        retire_case(once, "a", why="y", on="2026-02-01", path="")


printable = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1,
    max_size=30,
).filter(str.strip)  # fmt: skip


@given(printable, printable, printable, printable)
def test_any_text_survives(name: str, question: str, fact: str, why: str) -> None:
    case = Case(name, question, (fact,), (), ("m.pdf",), slice="s", origin_note=why)
    if name in {"a", "b.1", "flow"}:
        return
    after, new = add_cases(TEXT, [case], path="")
    assert parse_cases(after, "")[-1] == case
    assert new == (case,)


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(TEXT)
    file.chmod(0o640)
    assert write_cases(file, TEXT, TEXT) is False
    assert write_cases(file, TEXT, TEXT + "# more\n") is True
    assert file.read_text() == TEXT + "# more\n"
    assert file.stat().st_mode & 0o777 == 0o640
    with pytest.raises(TransientError, match="edited meanwhile"):
        write_cases(file, TEXT, TEXT + "# other\n")
    with pytest.raises(OperatorError, match="cannot write"):
        write_cases(tmp_path / "none" / "cases.yaml", TEXT, TEXT + "# other\n")
    assert [one.name for one in tmp_path.iterdir()] == ["cases.yaml"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(TEXT)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OperatorError, match="No space left"):
        write_cases(file, TEXT, TEXT + "# more\n")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("cases.yaml", TEXT)]
