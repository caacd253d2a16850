"""The cases' file is validated, and the set that ships is true to the documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from agentops_ref.errors import ConfigError
from agentops_ref.evals.cases import cases_digest, check_cases, load_cases, select
from agentops_ref.evals.scorers import correct
from agentops_ref.records import Answer, Case

GOOD = """
cases:
  - {id: a, slice: value, question: "How tight?", facts: ["42 Nm"], sources: [m.pdf]}
  - {id: b, slice: unanswerable, question: "E99?", abstain: true}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "cases.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_load(tmp_path: Path) -> None:
    first, second = load_cases(write(tmp_path, GOOD))
    assert first == Case("a", "How tight?", ("42 Nm",), (), ("m.pdf",), slice="value")
    assert second.abstain
    assert second.corpus_version == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{id: a, slice: v, question: q, fact: [x]}", "case 'a': unknown key 'fact'; did you mean"),
        ("{id: a, slice: v, question: q, sources: [d]}", "case 'a': can be answered.*'facts'"),
        ("{id: a, slice: v, question: q, facts: [x]}", "case 'a': can be answered.*'sources'"),
        ("{id: a, slice: v, question: q, facts: [1.5], sources: [d]}", "quote numbers"),
        ("{id: a, slice: v, question: q, facts: x, sources: [d]}", "'facts' must be a list"),
        ("{id: a, slice: v, question: q, facts: [x], abstain: true}", "exclude each other"),
        ("{id: a, slice: v, question: q, abstain: maybe}", "'abstain' must be"),
        ("{id: a, slice: v, abstain: true}", "'question' is missing"),
        ("{id: a, question: q, abstain: true}", "'slice' is missing"),
        ("{id: a, slice: v, question: q, abstain: true, corpus_version: two}", "whole number"),
        ("just text", "case 1: expected keys"),
        ("{id: a, slice: v, question: q, abstain: true, split: train}", "'split' must be one of"),
        ("{id: a, slice: v, question: q, abstain: true, split: [dev]}", "'split' must be one of"),
        ("{id: a, slice: v, question: q, abstain: true, origin: x}", "one of written, synthetic"),
        ("{id: a, slice: v, question: q, abstain: true, origin: trace}", "the trace's id"),
        ("{id: a, slice: v, question: q, abstain: true, origin: synthetic}", "who validated it"),
        ("{id: a, slice: v, question: q, abstain: true, retired: 2026-01-01}", "quote dates"),
        ("{id: a, slice: v, question: q, tools: x}", "'tools' must be a list"),
        ("{id: a, slice: v, question: q, tools: [x], arguments: [1]}", "must map a tool's name"),
        ("{id: a, slice: v, question: q, tools: [x], arguments: {x: 1}}", "must map a tool's"),
        ("{id: a, slice: v, question: q, tools: [x], arguments: {y: {}}}", "not among its 'tools'"),
        (
            "{id: a, slice: v, question: q, tools: [x], arguments: {x: {day: 2026-01-01}}}",
            "quote dates",
        ),
        ("{id: a, slice: v, question: q, tools: [x], facts: [f]}", "it needs 'sources'"),
    ],
)
def test_a_wrong_case_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_cases(write(tmp_path, f"cases:\n  - {row}\n"))


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not found"):
        load_cases(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="line 2: not valid YAML"):
        load_cases(write(tmp_path, "cases:\n  - {id"))
    with pytest.raises(ConfigError, match="list under the key 'cases'"):
        load_cases(write(tmp_path, "case: []"))
    twice = "  - {id: a, slice: v, question: q, abstain: true}\n"
    with pytest.raises(ConfigError, match="case 'a': the id is used twice"):
        load_cases(write(tmp_path, f"cases:\n{twice}{twice}"))


def test_select(tmp_path: Path) -> None:
    cases = load_cases(write(tmp_path, GOOD))
    assert [case.id for case in select(cases, slices=["value"])] == ["a"]
    assert select(cases, corpus_version=2) == []
    assert [case.id for case in select(cases, ids=["b"])] == ["b"]
    with pytest.raises(ConfigError, match="unknown slice 'values'; did you mean 'value'"):
        select(cases, slices=["values"])


def test_a_retired_case_is_left_out_and_a_split_is_chosen(tmp_path: Path) -> None:
    first, second = load_cases(write(tmp_path, GOOD))
    cases = [replace(first, split="test"), replace(second, retired="2026-01-08: asked twice")]
    assert select(cases) == cases[:1]
    assert select(cases, retired=True) == cases
    assert select(cases, split="dev") == []
    assert select(cases, split="test") == cases[:1]


def test_what_a_right_trajectory_is(tmp_path: Path) -> None:
    row = """{id: a, slice: v, question: Book it, tools: [stock, book], origin: incident,
              origin_note: INC-7, arguments: {book: {part: FV-1, days: [1, 2]}}}"""
    (case,) = load_cases(write(tmp_path, f"cases:\n  - {row}\n"))
    assert case.tools == ("stock", "book")
    assert case.arguments == {"book": {"part": "FV-1", "days": [1, 2]}}
    assert hash(case) == hash(replace(case, arguments={}))  # a mapping does not make it unhashable
    assert case != replace(case, arguments={})


def test_bookkeeping_leaves_the_digest_of_a_run_alone(tmp_path: Path) -> None:
    cases = load_cases(write(tmp_path, GOOD))
    assert cases_digest(cases) == "bf42f7c783fd"  # as runs were kept with before there were splits
    moved = [
        replace(c, split="test", origin="incident", origin_note="INC-7", retired="x") for c in cases
    ]
    assert cases_digest(moved) == cases_digest(cases)
    assert cases_digest([replace(cases[0], tools=("t",)), cases[1]]) != cases_digest(cases)


def test_digest_follows_content_not_order(tmp_path: Path) -> None:
    cases = load_cases(write(tmp_path, GOOD))
    assert cases_digest(cases) == cases_digest(cases[::-1])
    assert cases_digest(cases) != cases_digest([replace(cases[0], facts=("43 Nm",)), cases[1]])


# --- the set that ships --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(repo_root: Path) -> list[Case]:
    return load_cases(repo_root / "corpus" / "cases.yaml")


def test_the_set_is_large_and_varied_enough(shipped: list[Case]) -> None:
    sizes = Counter(case.slice for case in shipped)
    assert sum(sizes.values()) >= 72
    assert sizes["unanswerable"] >= 12
    assert min(sizes.values()) >= 4
    assert len({case.question for case in shipped}) >= 0.85 * len(shipped)
    assert max(len(case.question.split()) for case in shipped) <= 30


def test_changed_cases_come_in_pairs(shipped: list[Case]) -> None:
    changed = {case.id: case for case in shipped if case.slice == "changed"}
    for name, case in changed.items():
        assert case.corpus_version == int(name[-1])
        other = changed[f"{name[:-1]}{'2' if name[-1] == '1' else '1'}"]
        assert case.question == other.question
        assert case.facts != other.facts


@pytest.mark.slow
def test_the_set_is_true_to_the_documents(shipped: list[Case], corpus: Path) -> None:
    assert check_cases(shipped, corpus) == []


@pytest.mark.slow
def test_what_was_right_is_wrong_after_the_change(shipped: list[Case]) -> None:
    for name in {case.id[:-3] for case in shipped if case.slice == "changed"}:
        old, new = (c for c in shipped if c.id[:-3] == name)
        answer = Answer("; ".join(fact.split("|")[0] for fact in old.facts), abstained=False)
        assert correct(old, answer).value == 1, old.id
        assert correct(new, answer).value == 0, new.id


@pytest.mark.slow
def test_the_check_finds_what_is_not_true(shipped: list[Case], corpus: Path) -> None:
    by_id = {case.id: case for case in shipped}
    value, newer = by_id["value-01"], by_id["superseded-01"]
    manual = ("manuals/nl-12-installation-manual.pdf",)
    problems = check_cases(
        [
            replace(value, id="1", sources=("manuals/nl-13.pdf",)),
            replace(value, id="2", facts=("43 Nm",)),
            replace(value, id="3", forbidden=("999 Nm",)),
            replace(value, id="4", forbidden=("42 Nm",)),
            replace(newer, id="5", facts=("65 Nm",), forbidden=(), sources=manual),
            replace(value, id="6", corpus_version=9),
        ],
        corpus,
    )
    found = {line[0] for line in problems}
    assert found == {"1", "2", "3", "4", "5", "6"}
    assert any("newer document replaces it" in line for line in problems)
    with pytest.raises(ConfigError, match="no corpus"):
        check_cases(shipped, corpus / "nowhere")
