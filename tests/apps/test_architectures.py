"""Architectures side by side: who is needed, where an answer was lost, tries of a question."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agentops_ref.apps import architectures
from agentops_ref.apps.architectures import STAGES, asked, needed, stage_of, where_lost
from agentops_ref.apps.checks import ch05
from agentops_ref.evals import CaseResult, EvalResult
from agentops_ref.records import Answer, Case, Score, Step, Usage


def case(name: str, *sources: str, slice: str = "documents") -> Case:
    return Case(name, "?", slice=slice, facts=("x",) if sources else (), sources=sources)


def result(one: Case, *handed: str, right: bool = False, abstained: bool = False) -> CaseResult:
    steps = tuple(Step("supervisor", name, "task") for name in handed)
    inner = tuple(Step(name, "look_up", "{}") for name in handed)
    answer = Answer("said", abstained=abstained, steps=(*steps, *inner), usage=Usage(10, 2, 0.1, 3))
    return CaseResult(one, answer, (Score("correct", float(right)),))


def evaluation(*results: CaseResult) -> EvalResult:
    return EvalResult("run", results, {"correct": "digest"}, "cases")


@pytest.mark.parametrize(
    ("one", "names"),
    [
        (case("a", "manuals/a.pdf"), {"knowledge"}),
        (case("b", "tables/warranties", "manuals/a.pdf", slice="both"), {"records", "knowledge"}),
        (case("c", "tables/sensor_readings"), {"diagnostics"}),
        (case("d", "tables/installations", slice="actions"), {"scheduling"}),
        (case("e", slice="nobody"), set()),
    ],
)
def test_who_is_needed_follows_from_where_the_answer_stands(one: Case, names: set[str]) -> None:
    assert needed(one) == names


BOTH = case("both", "tables/warranties", "manuals/a.pdf", slice="both")


@pytest.mark.parametrize(
    ("given", "stage"),
    [
        (result(BOTH, "records"), "not asked"),
        (result(BOTH, "records", abstained=True), "not asked"),
        (result(BOTH, "records", "knowledge", abstained=True), "had nothing"),
        (result(BOTH, "knowledge", "records"), "wrong answer"),
        (result(BOTH, "records", right=True), "right"),
    ],
)
def test_the_first_step_that_failed(given: CaseResult, stage: str) -> None:
    assert stage_of(given) == stage
    table = where_lost({"supervisor": evaluation(given)})
    assert table.loc["supervisor"].to_dict() == {one: int(one == stage) for one in STAGES}


def test_the_calls_of_a_specialist_are_no_handing_over() -> None:
    assert asked(result(BOTH, "records", "knowledge")) == ("records", "knowledge")


def test_questions_that_need_nobody_cannot_be_lost_on_the_way() -> None:
    table = where_lost({"router": evaluation(result(case("n", slice="nobody"), "records"))})
    assert table.loc["router"].sum() == 0


def test_examples_take_the_stages_in_turn() -> None:
    failed = [
        replace(result(BOTH, *handed), case=replace(BOTH, id=name))
        for name, handed in {
            "w1": ("records", "knowledge"),
            "w2": ("records", "knowledge"),
            "n1": ("records",),
        }.items()
    ]
    found = architectures.examples(evaluation(*failed, result(BOTH, right=True)), most=2)
    assert [one.case.id for one in found] == ["n1", "w1"]


def test_the_first_of_each_slice() -> None:
    cases = [case(f"{part}{n}", slice=part) for n in range(3) for part in ("a", "b")]
    chosen = architectures.first_of_each(cases, most=2)
    assert [one.id for one in chosen] == ["a0", "b0", "a1", "b1"]


def test_several_tries_are_counted_question_by_question() -> None:
    tries = [
        evaluation(
            replace(result(BOTH, right=first), case=replace(BOTH, id="one")),
            replace(result(BOTH, right=True), case=replace(BOTH, id="two")),
        )
        for first in (True, False)
    ]
    table = architectures.repeated({"chain": tries}, np.random.default_rng(1))
    row = table.loc["chain"]
    assert (row["pass^1"], row["pass^2"], row["always the same"]) == (0.75, 0.5, 1)


def test_who_loses_more_from_one_try_to_several_is_less_steady() -> None:
    def runs(*passed: int) -> list[EvalResult]:
        cases = [case(f"c{number}", "a.pdf") for number in range(len(passed))]
        return [
            evaluation(*(result(c, right=n > one) for c, n in zip(cases, passed, strict=True)))
            for one in range(4)
        ]

    samples = {"steady": runs(4, 4, 0, 0), "shaky": runs(3, 2, 1, 4), "same": runs(0, 0, 4, 4)}
    rng = np.random.default_rng(1)
    found = architectures.steadiness(samples, "steady", "shaky", rng)
    assert found.mean == pytest.approx((0.75 + 0.5 + 0.25) / 4)
    assert found.low <= found.mean <= found.high
    assert architectures.steadiness(samples, "shaky", "steady", rng).mean == -found.mean
    assert architectures.steadiness(samples, "steady", "same", rng) == (0, 0, 0)


def test_a_part_holds_the_cases_of_its_slices_only() -> None:
    other = result(case("d", "manuals/a.pdf"))
    found = architectures.part(evaluation(result(BOTH), other), ["documents"])
    assert [one.case.id for one in found.results] == ["d"]


# --- the page's checks --------------------------------------------------------------------------


def test_the_right_prediction_is_right_and_every_other_one_is_explained() -> None:
    cases = [BOTH, case("n", slice="nobody")]
    right = {"both": {"records", "knowledge"}, "n": set[str]()}
    assert ch05.needs(right, cases).right
    for wrong, why in [
        ({**right, "both": {"records"}}, "both needs knowledge too: a document says it"),
        ({**right, "both": {"records", "knowledge", "scheduling"}}, "does not need scheduling"),
        ({**right, "n": {"records"}}, "nobody can or may answer it"),
        ({**right, "x": set()}, "no case 'x'"),
        ({**right, "both": {"oracle"}}, "no specialist 'oracle'"),
        ({}, "both needs knowledge too"),
    ]:
        checked = ch05.needs(wrong, cases)
        assert not checked.right
        assert why in checked.why


def test_a_diagnosis_is_compared_with_the_trajectory() -> None:
    one = result(BOTH, "records")
    assert ch05.lost({"both": "not asked"}, [one]).right
    wrong = ch05.lost({"both": "wrong answer"}, [one])
    assert not wrong.right
    assert "needs knowledge and records; asked were records" in wrong.why
    assert "expected one of" in ch05.lost({}, [one]).why
