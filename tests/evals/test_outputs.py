"""Recorded outputs: there and back, anybody's files, and scoring a row at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import ConfigError, DocumentError
from agentops_ref.evals import evaluate, rescore
from agentops_ref.evals.outputs import read_rows, row_of, scorers_of, write_row
from agentops_ref.evals.result import CaseResult
from agentops_ref.evals.run import read_scores
from agentops_ref.evals.scorers import correct, facts_present, numbers_grounded
from agentops_ref.plain import answer_data, answer_of, case_data, case_of
from agentops_ref.records import Answer, Case, Chunk, Citation, Hit, Score, Step, Usage

TEXT = st.text(max_size=20)
SOME = st.floats(0, 1e6)
CITATION = st.builds(Citation, TEXT, TEXT, st.none() | st.integers(1, 99), TEXT)
CHUNK = st.builds(
    Chunk, TEXT, TEXT, TEXT, st.integers(0, 9), TEXT, TEXT, st.none() | st.integers(1)
)
ANSWER = st.builds(
    Answer,
    TEXT,
    st.booleans(),
    st.lists(CITATION, max_size=2).map(tuple),
    st.lists(st.builds(Hit, CHUNK, SOME, st.none() | st.integers(1)), max_size=2).map(tuple),
    st.builds(Usage, st.integers(0), st.integers(0), SOME, st.integers(0), SOME),
    SOME,
    TEXT,
    st.none() | st.integers(0, 9),
    TEXT,
    st.lists(st.builds(Step, TEXT, TEXT, TEXT, TEXT, SOME, TEXT, TEXT), max_size=2).map(tuple),
    TEXT,
    st.lists(TEXT, max_size=2).map(tuple),
)
NAME = st.text("abcxyz", min_size=1, max_size=9)
TEXTS = st.lists(TEXT, max_size=2).map(tuple)
CASE = st.builds(Case, NAME, NAME, TEXTS, TEXTS, TEXTS, st.booleans(), TEXT, st.integers(1, 3))


@given(ANSWER, CASE)
def test_answers_and_cases_come_back_from_json(answer: Answer, case: Case) -> None:
    row = json.loads(json.dumps({**case_data(case), **answer_data(answer)}))
    assert answer_of(row) == answer
    assert case_of(row) == case


def written(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


PLAIN = {"id": "a", "question": "How tight?", "answer": "42 Nm"}


def test_anybodys_file_is_enough(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", PLAIN, {**PLAIN, "id": "b", "metadata": {"user": 3}})
    first, second = read_rows(path)
    assert first.case == Case("a", "How tight?")
    assert first.answer == Answer("42 Nm", abstained=False)
    assert second.case.id == "b"
    assert scorers_of(path) == []
    own = {**PLAIN, "facts": ["42 Nm"], "citations": [{"document": "d", "quote": "42"}]}
    (row,) = read_rows(written(path, own))
    assert row.answer.citations == (Citation("d", "", None, "42"),)
    assert correct(row.case, row.answer).value == 1


def test_a_mended_expectation_counts_where_the_question_is_the_same(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", {**PLAIN, "facts": ["18 Nm"]})
    mended = Case("a", "How tight?", ("42 Nm",), (), ("d",))
    (row,) = read_rows(path, {"a": mended})
    assert row.case == mended
    (row,) = read_rows(path, {"a": replace(mended, question="How loose?")})
    assert row.case.facts == ("18 Nm",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "line 2: not JSON"),
        ([1], "line 2: expected one JSON object"),
        ({**PLAIN, "citatons": []}, "did you mean 'citations'"),
        ({"id": "a", "question": "q"}, "'answer' is missing"),
        ({"id": "a", "answer": "q"}, "'question' is missing"),
        ({**PLAIN, "id": " "}, "'id' is missing"),
        ({**PLAIN, "facts": "42"}, "'facts' must be a list of texts"),
        ({**PLAIN, "abstained": 1}, "'abstained' must be true or false"),
        ({**PLAIN, "seconds": "3"}, "'seconds' must be a number"),
        ({**PLAIN, "seconds": True}, "'seconds' must be a number"),
        ('{"id": "a", "question": "q", "answer": "x", "seconds": NaN}', "'seconds' must be"),
        ({**PLAIN, "usage": {"tokns": 3}}, "unknown key 'usage.tokns'"),
        ({**PLAIN, "citations": [{"quote": "x"}]}, "'document'"),
        ({**PLAIN, "citations": {}}, "'citations' must be a list"),
        ({**PLAIN, "hits": ["x"]}, "'hits' must be a list of mappings"),
        ({**PLAIN, "steps": [3]}, "'steps' must hold mappings"),
        ({**PLAIN, "scores": {"correct": 3}}, "within 0..1"),
        ({**PLAIN, "scores": []}, "'scores' must hold"),
        ({**PLAIN, "attempt": 0}, "'attempt' must be"),
    ],
)
def test_says_which_line_is_wrong_and_why(tmp_path: Path, row: Any, said: str) -> None:
    path = written(tmp_path / "x.jsonl", PLAIN, row)
    with pytest.raises(DocumentError) as caught:
        list(read_rows(path))
    assert f"{path}, line 2" in str(caught.value)
    assert said in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        list(read_rows(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ConfigError, match="no recorded outputs in it"):
        list(read_rows(tmp_path / "empty.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes(json.dumps(PLAIN).encode() + b'\n{"id": "\xe5"}\n')
    with pytest.raises(DocumentError, match="line 2: not UTF-8"):
        list(read_rows(tmp_path / "latin.jsonl"))


CASES = [
    Case("right", "How tight?", ("42 Nm",), (), ("m.pdf",), slice="value"),
    Case("wrong", "How loose?", ("18 Nm",), (), ("m.pdf",), slice="value"),
    Case("crash", "Who?", ("1 kg",), (), ("m.pdf",)),
]
SCORERS = [correct, facts_present, numbers_grounded]


def predict(case: Case) -> Answer:
    if case.id == "crash":
        raise ValueError("broken")
    hit = Hit(Chunk("c", "m.pdf", "v", 0, "42 Nm", ""), 1.0)
    return Answer("42 Nm", abstained=False, hits=(hit,), usage=Usage(10, 2), seconds=0.5)


def test_scoring_again_gives_the_same(tmp_path: Path) -> None:
    result = evaluate(CASES, predict, SCORERS, repeat=2)
    path = tmp_path / "out.jsonl"
    with path.open("w") as file:
        for one in result.results:
            write_row(file, row_of(one))
    again = rescore(read_rows(path), SCORERS, out=tmp_path / "again.jsonl", keep=2)
    assert again.table.aggregates() == result.aggregates()
    assert len(again.table) == 3
    assert [one.case.id for one in again.failures] == ["wrong", "wrong"]
    assert (tmp_path / "again.jsonl").read_text() == path.read_text()
    kept = read_scores(read_rows(path), "x", dict.fromkeys(scorers_of(path), ""))
    assert kept.aggregates() == result.aggregates()


def test_rows_are_taken_one_at_a_time() -> None:
    alive: list[int] = []
    most = 0

    class Counted(Answer):
        __slots__ = ("__weakref__",)

        def __del__(self) -> None:
            alive.pop()

    def rows():  # type: ignore[no-untyped-def]
        nonlocal most
        for at in range(500):
            alive.append(at)
            most = max(most, len(alive))
            yield CaseResult(Case(f"c{at}", "q", ("x",)), Counted("x", False), ())

    found = rescore(rows(), [correct])
    assert len(found.table) == 500
    assert most <= 4, "no row is kept once it is scored"


def test_a_failing_scorer_is_recorded() -> None:
    def ill(case: Case, answer: Answer) -> Score:
        raise KeyError("judge")

    rows = [CaseResult(CASES[0], Answer("x", False), ())]
    found = rescore(rows, [ill])
    assert found.table.failed("ill") == 1
    assert found.failures[0].scores[0].error == "KeyError: 'judge'"
