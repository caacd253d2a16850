"""Items, labels and the draw for the second pass: the files as committed, and small ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref import build, load_config
from agentops_ref.apps.labelling import __main__ as command
from agentops_ref.apps.labelling.items import (
    LABELS,
    Excerpt,
    Item,
    as_scored,
    item_of,
    read_items,
    split_of,
    write_items,
)
from agentops_ref.apps.labelling.labels import (
    FIRST_PASS,
    GUIDE_EXAMPLES,
    SECOND_PASS,
    compare_passes,
    drawn_again,
    problems,
)
from agentops_ref.apps.labelling.verdicts import expected, score_items, verdicts, write_judged
from agentops_ref.errors import ConfigError
from agentops_ref.evals.calibration import Calibration
from agentops_ref.evals.calibration.labels import Row, count, read_labels
from agentops_ref.evals.scorers import correct, numbers_grounded
from agentops_ref.records import Answer, Case, Chunk, Hit, Score

FOLDER = load_config().path(LABELS)
ITEMS = read_items(FOLDER / "items.jsonl")
ANSWERS = read_labels(FOLDER / "answers.jsonl")
FIRST = [one for one in ANSWERS if one.labeller == FIRST_PASS]
SECOND_PASS_SEED = 8


# --- the committed files ----------------------------------------------------------------------


def test_the_labels_hold_together() -> None:
    assert problems(ANSWERS, ITEMS) == []
    assert len(ITEMS) >= 240
    sizes = Counter(one.split for one in FIRST)
    assert sizes.total() >= 220
    assert sizes["test"] >= 120
    assert 0.3 < sizes["dev"] / sizes.total() < 0.5
    positive = sum(one.label for one in FIRST) / len(FIRST)
    assert 0.5 < positive < 0.85


def test_no_question_is_in_both_splits() -> None:
    splits: dict[str, set[str]] = {}
    for one in ANSWERS:
        item = next(item for item in ITEMS if item.id == one.id)
        for key in (item.case, item.question.casefold()):
            splits.setdefault(key, set()).add(one.split)
    assert all(len(found) == 1 for found in splits.values())


def test_items_are_different_and_named_by_what_they_hold() -> None:
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    assert len({(item.question.casefold(), item.answer) for item in ITEMS}) == len(ITEMS)
    for item in ITEMS:
        case, answer = as_scored(item)
        again = item_of(item.question, answer, system=item.system, case=item.case)
        assert again.id == item.id
        assert (case.question, case.facts, answer.text) == (item.question, (), item.answer)


def test_the_second_pass_is_the_draw() -> None:
    listed = (FOLDER / "second-pass-items.txt").read_text(encoding="utf-8").split()
    assert listed == drawn_again([item.id for item in ITEMS], SECOND_PASS_SEED)
    by_id = {item.id: item for item in ITEMS}
    assert min(Counter(by_id[one].split for one in listed).values()) >= 20
    assert len(listed) >= 60
    assert set(by_id) >= GUIDE_EXAMPLES
    assert sorted(one.id for one in ANSWERS if one.labeller == SECOND_PASS) == listed


def test_the_guide_states_how_far_the_passes_agree() -> None:
    told = CliRunner().invoke(command.main, ["agreement"], catch_exceptions=False).stdout
    guide = (FOLDER / "README.md").read_text(encoding="utf-8")
    summary, _, differing = told.partition("\n\n")
    for line in summary.splitlines():
        assert f"> {line}\n" in guide
    assert differing.count(f"  {SECOND_PASS}: ") == len(compare_passes(ANSWERS).differing)


# --- items ------------------------------------------------------------------------------------

ITEM = Item("0", "Why?", "Because.", (Excerpt("m.pdf", 1, "Manual: text"),), "hybrid", "c-01")


def test_items_come_back_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    items = [ITEM, replace(ITEM, id="1", answer='„20 °C“, "quoted"\nand \u2028broken', excerpts=())]
    write_items(items, file)
    assert read_items(file) == items


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[]", r"line 1: expected one JSON object a line, got \[\]"),
        ("{}", "line 1: expected an item with id, question"),
        ('{"id": "1", "excerpts": [{"page": 1}]}', "line 1: expected an item"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_items(file)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"python -m agentops_ref\.apps\.labelling"):
        read_items(tmp_path / "none.jsonl")


def test_the_excerpt_is_what_the_model_was_shown() -> None:
    hit = Hit(Chunk("1", "m.pdf", "v", 0, "Flare nut | 18", "NL-8 manual", 3), 1.0)
    made = item_of("Q?", Answer("18", abstained=False, hits=(hit,)), system="s", case="c")
    assert made.excerpts == (Excerpt("m.pdf", 3, "NL-8 manual: Flare nut | 18"),)


@given(st.text(min_size=1), st.sampled_from(["{}", " {}", "{}  ", "{}\n"]))
def test_the_split_does_not_depend_on_case_and_spaces(question: str, form: str) -> None:
    assert split_of(form.format(question)) == split_of(question)


# --- labels -----------------------------------------------------------------------------------


def label(**more: object) -> Row:
    values = {"id": "0", "label": 1, "reason": "It says so.", "labeller": "first pass"}
    return Row(**{**values, "split": ITEM.split, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([label(id="9")], "there is no such item"),
        ([label(split="dev" if ITEM.split == "test" else "test")], "its question is"),
        ([label(reason=" ")], "no reason"),
        ([label(labeller="")], "no labeller"),
        ([label(fields={"reasons": "It says so."})], "unknown keys: reasons"),
        ([label(), label()], "labelled twice in the first pass"),
        ([label(), label(labeller="second pass", reason="it says so. ")], "not its own"),
    ],
)
def test_problems_are_named(labels: list[Row], said: str) -> None:
    assert any(said in line for line in problems(labels, [ITEM]))


def test_two_passes_may_label_one_item() -> None:
    both = [label(), label(labeller="second pass", label=0, reason="It says less.")]
    assert problems(both, [ITEM]) == []


def passes(first: Sequence[int], second: Sequence[int]) -> list[Row]:
    """Items "0", "1" ... in two passes; the second turned round, as its order is its own."""
    made = [label(id=str(at), label=one) for at, one in enumerate(first)]
    again = [label(id=str(at), label=one, labeller=SECOND_PASS) for at, one in enumerate(second)]
    return made + again[::-1]


def test_passes_are_counted_and_compared_on_what_both_labelled() -> None:
    found = compare_passes([*passes([1, 1, 1, 0, 0], [1, 0, 0, 1]), label(id="x", labeller="else")])
    c = found.counts
    assert (c.true_positives, c.false_negatives, c.false_positives, c.n) == (1, 2, 1, 4)
    assert [(a.id, a.label, b.label) for a, b in found.differing] == [
        ("3", 0, 1),
        ("2", 1, 0),
        ("1", 1, 0),
    ]


def test_one_pass_is_compared_with_nothing() -> None:
    with pytest.raises(ConfigError, match="second pass"):
        compare_passes(passes([1, 0], []))


@pytest.mark.parametrize("wrong", [2, "1", True, None])
def test_a_label_is_0_or_1(tmp_path: Path, wrong: object) -> None:
    file = tmp_path / "answers.jsonl"
    row = {"id": "0", "label": wrong, "reason": "r", "labeller": "x", "split": "dev"}
    file.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(ConfigError, match="must be 0 or 1"):
        read_labels(file)


@given(st.sets(st.text(min_size=1), max_size=30), st.text(min_size=1), st.integers())
def test_a_new_item_leaves_the_draw_of_the_others_alone(ids: set[str], new: str, seed: int) -> None:
    assert set(drawn_again(ids | {new}, seed)) - {new} == set(drawn_again(ids - {new}, seed))
    assert drawn_again(ids, seed, share=1.0) == sorted(ids - GUIDE_EXAMPLES)


# --- verdicts ---------------------------------------------------------------------------------


def test_labels_are_counted_against_verdicts(tmp_path: Path) -> None:
    said = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.5, "e": None}
    scores = {name: Score("s", value) for name, value in said.items()}
    labels = [label(id=name, label=int(name in "abe")) for name in "abcdef"]
    found = verdicts(scores)
    assert found == {"a": 1, "b": 0, "c": 1, "d": 0}
    assert count(labels, found) == Calibration(2, 1, 2, 1)
    file = tmp_path / "new" / "judged.jsonl"
    assert write_judged(labels, found, file) == 4
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {"id": "a", "label": 1, "judge": 1, "split": ITEM.split}
    assert [row["judge"] for row in rows] == [1, 0, 1, 0]


def test_a_scorer_gets_the_item_and_the_case_that_is_given() -> None:
    told: list[int] = []
    case = Case("c-01", "Why?", facts=("because",), sources=("m.pdf",))
    found = score_items(
        correct, [ITEM], cases={"0": case}, progress=lambda done, _: told.append(done)
    )
    assert (found["0"].value, told) == (1.0, [1])
    blank = score_items(numbers_grounded, [ITEM])
    assert blank["0"].value == 1.0


def test_each_item_has_the_case_of_its_documents() -> None:
    found = expected(build(load_config()), ITEMS)
    assert set(found) == {item.id for item in ITEMS}
    for item in ITEMS:
        assert found[item.id].question.casefold() == item.question.casefold()
        if item.system == "new-index":
            assert found[item.id].corpus_version == 2


def test_a_scorer_that_raises_is_a_failure() -> None:
    def broken(case: Case, answer: Answer) -> Score:
        raise RuntimeError("no")

    assert score_items(broken, [ITEM])["0"].error == "RuntimeError: no"


def test_recorded_verdicts_are_replayed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "STATE", str(tmp_path))
    asked = ["judge", "first", "--split", "test", "--most", "5"]
    done = CliRunner().invoke(command.main, asked, catch_exceptions=False)
    assert "5 verdicts" in done.stdout
    assert "0 failed" in done.stdout
    rows = [json.loads(line) for line in (tmp_path / "first-test.jsonl").read_text().splitlines()]
    first = sorted(one.id for one in FIRST if one.split == "test")[:5]
    assert sorted(row["id"] for row in rows) == first
