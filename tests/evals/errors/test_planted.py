"""Ten known defects: which of them reading makes visible, and what the gate decides on each.

A defect is visible in the matrix when a cell holds its failures and no other defect's, and in the
categories when one category does. Two defects in one cell cannot be told apart by the matrix alone:
that is what the notes are for. The gate is asked by cases that were made of the categories.
"""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from agentops_ref.apps.planted import (
    DEFECTS,
    FUSES,
    UNITS,
    Analysis,
    Found,
    analyse,
    desk,
    in_categories,
    in_loops,
    in_matrix,
    own_units,
    read,
    seeded,
)
from agentops_ref.apps.planted_gate import (
    RULES,
    SCORERS,
    Gate,
    agent,
    at_rate,
    decisions,
    often,
    returning,
    strictest,
    suite,
)
from agentops_ref.evals import ScoreTable, decide, evaluate, proportion_interval
from agentops_ref.evals.errors import (
    Trace,
    assess_saturation,
    can_fail,
    draft_cases,
    gate_rule,
)
from agentops_ref.evals.errors.regression import MOST
from agentops_ref.evals.scorers import correct
from agentops_ref.intervals import quantile_interval
from agentops_ref.records import Answer, Case, Score
from agentops_ref.settings_evals import GateRule

EACH = len(FUSES)
"""Units on which a defect is read."""
SHOWN = {
    "answers": {"asks-nobody", "wrong-unit", "lookup-down", "lost-model", "stale-manual",
                "wrong-column", "answers-other"},
    "calls": {"asks-nobody", "wrong-unit", "lookup-down", "lost-model", "search-loop",
              "wrong-column"},
    "budget": {"lost-model", "search-loop"},
}  # fmt: skip
"""Set of rules → the defects that leave a mark on what it looks at."""
UNSEEN = {"wrong-intent", "no-unit-of-measure"}
"""None of the rules looks where these are: only who reads sees them."""
RIGHT_ANSWERS = UNSEEN | {"search-loop"}
LUCKY = {"wrong-unit", "lost-model"}
"""Now and then the wrong thing is looked up, and its fuse is the same."""


@pytest.fixture(scope="module")
def found() -> Analysis:
    return analyse(1)


@pytest.fixture(scope="module")
def cases(found: Analysis) -> list[Case]:
    return suite(found)


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_how_many_of_ten_defects_reading_shows(seed: int) -> None:
    found = analyse(seed)
    assert len(found.held.failed) == len(DEFECTS) * EACH
    right = [one.trace for one in found.held.decided if not one.failed]
    assert right
    assert all(id_.startswith("none/") for id_ in right)
    # By the states alone: the other seven share a cell with another defect.
    assert in_matrix(found) == {"wrong-intent", "lost-model", "wrong-column"}
    assert in_categories(found) == set(DEFECTS)
    assert in_loops(found) == {"search-loop": "search x4", "lost-model": "look up x2"}


def test_no_two_defects_are_read_on_one_unit() -> None:
    units = [unit for defect in DEFECTS for unit in own_units(defect)]
    assert sorted(units) == sorted(UNITS)
    assert all(sorted(UNITS[u] for u in own_units(d)) == sorted(FUSES) for d in DEFECTS)


@pytest.mark.parametrize("seed", range(20))
def test_a_wrong_unit_is_seen_where_the_answer_is_right(seed: int) -> None:
    traces = [desk(unit, "wrong-unit", seeded(seed, unit)) for unit in UNITS]
    assert {read(one) for one in traces} == {Found("plan", "look up", "look up took another unit")}
    assert any(one.answer == one.expected for one in traces)


def test_what_is_not_there_does_not_show() -> None:
    some = ("wrong-unit", "search-loop")
    found = analyse(1, defects=some)
    assert in_categories(found) == in_matrix(found) == set(some)
    assert set(in_loops(found)) == {"search-loop"}
    nothing = analyse(1, defects=())
    assert in_categories(nothing) == in_matrix(nothing) == set()
    assert not nothing.held.failed
    assert not in_loops(nothing)


def test_with_few_readings_of_each_it_is_too_early_to_stop(found: Analysis) -> None:
    said = assess_saturation(*found, np.random.default_rng(1), limit=0.05, orders=100)
    assert said.unseen.categories == len(DEFECTS)
    assert said.curve.found[-1] == len(DEFECTS)
    assert not said.stop  # 40 failures: at most 9% of what comes next is new, and not yet 5%
    assert said.unseen.upper < 0.1


# --- the suite ----------------------------------------------------------------------------------


def test_the_cases_are_those_of_the_command(found: Analysis, cases: list[Case]) -> None:
    drafted = [
        id_
        for one in found.groups.decided
        for id_ in draft_cases(found.groups, found.held, one.name).ids
    ]
    assert sorted(case.id for case in cases) == sorted(drafted)
    assert len({case.question for case in cases}) == len(cases) == MOST * len(DEFECTS)
    assert len(suite(found, most=1)) == len(DEFECTS)


@pytest.mark.parametrize("most", [1, 3, EACH])
def test_a_desk_without_a_defect_passes_and_no_stricter_rule_would_let_it(
    found: Analysis, most: int
) -> None:
    cases = suite(found, most=most)
    gate = Gate(cases)
    assert {k: v.outcome for k, v in gate.put("", lambda _: True, 0)[1].items()} == dict.fromkeys(
        RULES, "pass"
    )
    tokens = gate.baseline.measures("tokens")
    answers, calls, (budget,) = strictest(len(cases), max(tokens)).values()
    stricter = [
        GateRule(scorer=one.scorer, at_least=(one.at_least or 0) + 0.01)
        for one in (answers[0], *calls)
    ]
    stricter.append(
        GateRule(scorer="correct", no_worse_than=(answers[1].no_worse_than or 0) - 0.01)
    )
    stricter.append(
        GateRule(measure="tokens", at_most=max(tokens), quantile=budget.quantile + 0.01)
    )
    for rule in stricter:
        assert decide([rule], gate.baseline, gate.baseline).outcome == "undecided", rule
    assert quantile_interval(list(tokens), budget.quantile).high == max(tokens)


# --- the gate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_what_the_gate_decides_when_a_defect_strikes_every_question(
    found: Analysis, cases: list[Case], seed: int
) -> None:
    rows = {one.defect: one for one in decisions(found, cases, seed=seed)}
    assert list(rows) == [*DEFECTS, "none"]
    caught = {k: {d for d, one in rows.items() if getattr(one, k) == "fail"} for k in RULES}
    assert caught == SHOWN
    assert all(getattr(one, k) != "undecided" for one in rows.values() for k in RULES)
    # Seven of ten by the answers, an eighth by its calls or its tokens, two by nothing.
    assert len(caught["answers"]) == 7
    assert (caught["calls"] | caught["budget"]) - caught["answers"] == {"search-loop"}
    assert set(DEFECTS) - set.union(*caught.values()) == UNSEEN
    for one in rows.values():
        assert one.struck == (0 if one.defect == "none" else one.n)
        expected = one.n if one.defect in SHOWN["answers"] else 0
        assert 0 < one.wrong < one.n if one.defect in LUCKY else one.wrong == expected
    assert rows["search-loop"].why.startswith("trajectory_strict: fail: 0%")
    assert rows["stale-manual"].why.startswith("correct: fail: 0%")
    assert rows["none"].why.startswith("correct: pass: 100%")


def test_a_lost_model_is_answered_rightly_where_the_guess_happens_to_fit(
    cases: list[Case],
) -> None:
    made, _ = Gate(cases).put("lost-model", lambda _: True, 0)
    failed = made.failures("correct")
    right = {one.case.facts for one in made.results if one not in failed}
    assert right == {("20 A",)}


def test_what_the_gate_decides_when_a_defect_strikes_three_in_ten(cases: list[Case]) -> None:
    seeds = range(12)
    rows = {(one.defect, one.rules): one for one in often(cases, 0.3, seeds)}
    assert len(rows) == len(RULES) * (len(DEFECTS) + 1)
    for one in rows.values():
        assert one.passed + one.undecided + one.failed == len(seeds)
    # Where a defect shows, it is never let through; whether it is named is a matter of chance.
    for (defect, by), one in rows.items():
        assert one.passed == (0 if defect in SHOWN[by] else len(seeds)), one
    by_answers = [rows[d, "answers"] for d in SHOWN["answers"]]
    assert all(one.failed for one in by_answers)
    assert any(one.undecided for one in by_answers)
    # A share of the tools is still right: the rule on shares says less than that on the answers.
    assert rows["wrong-column", "calls"].failed == 0 < rows["wrong-column", "answers"].failed


def test_the_table_at_three_in_ten_is_one_draw(found: Analysis, cases: list[Case]) -> None:
    rows = {one.defect: one for one in decisions(found, cases, rate=0.3, seed=1)}
    for one in rows.values():
        assert one.wrong <= one.struck <= one.n
        assert one.rate == 0.3
    assert all(rows[d].answers == "pass" and rows[d].struck > 0 for d in RIGHT_ANSWERS)
    assert rows["none"].struck == 0
    assert {rows[d].answers for d in SHOWN["answers"]} <= {"fail", "undecided"}
    undecided = next(one for one in rows.values() if one.answers == "undecided")
    assert ": undecided: " in undecided.why
    again = decisions(found, cases, rate=0.3, seed=1)
    assert again == list(rows.values()) != decisions(found, cases, rate=0.3, seed=2)


def test_a_defect_strikes_as_often_as_it_is_told_to() -> None:
    struck = sum(at_rate("wrong-unit", 0.3, seed)(unit) for unit in UNITS for seed in range(100))
    low, high = proportion_interval(struck, 100 * len(UNITS), 0.999)
    assert low < 0.3 < high


# --- the check can fail -------------------------------------------------------------------------


def test_without_its_cases_a_defect_that_is_back_where_it_was_gets_through(
    found: Analysis, cases: list[Case]
) -> None:
    rows = {one.defect: one for one in returning(cases)}
    assert list(rows) == list(DEFECTS)
    for one in rows.values():
        assert (one.cases, one.without) == (MOST, "pass")
        # Among the whole suite a few failures are too few to name it, and enough not to pass.
        assert one.suite == ("undecided" if one.defect in SHOWN["answers"] else "pass")
    named = {one.defect for one in rows.values() if one.own == "fail"}
    assert SHOWN["answers"] - LUCKY <= named <= SHOWN["answers"]
    for one in returning(suite(found, most=3)):  # three failures of three name nothing
        assert one.own == ("undecided" if one.defect in SHOWN["answers"] else "pass")


def test_three_cases_can_never_fail_the_rule_that_is_given_for_them() -> None:
    for n, can in ((2, False), (3, False), (MOST, True), (5, True)):
        assert can_fail(n) == can
        table = ScoreTable("none right", {"correct": ""})
        for at in range(n):
            table.add(Case(f"c{at}", "q"), Answer("", abstained=False), [Score("correct", 0.0)])
        rule = GateRule(**yaml.safe_load(gate_rule("all", n)))
        assert (decide([rule], table).outcome == "fail") == can
        limit = float(gate_rule("one", n).rpartition(": ")[2].rstrip("}"))
        assert (proportion_interval(0, n).high < limit) == can


def only_the_answer(trace: Trace) -> Found | None:
    """Blame the last state, not the first, and only where the answer is wrong."""
    wrong = trace.expected not in trace.answer
    return Found("query", "answer", "the answer is wrong") if wrong else None


def test_a_careless_reader_sees_no_defect_and_makes_a_suite_that_names_none() -> None:
    found = analyse(1, reader=only_the_answer)
    assert in_matrix(found) == in_categories(found) == set()
    cases = suite(found, most=3)
    assert (len(found.groups.decided), len(cases)) == (1, 3)
    rows = {one.defect: one for one in decisions(found, cases)}
    assert all(one.answers != "fail" for one in rows.values())
    assert {d for d, one in rows.items() if one.wrong == one.n} >= SHOWN["answers"] - LUCKY
    back = [one for one in returning(cases) if not one.cases]
    assert len(back) >= len(DEFECTS) - 3
    assert all((one.own, one.suite) == ("", "pass") for one in back)


def test_a_case_without_its_facts_lets_every_answer_through(cases: list[Case]) -> None:
    made = evaluate(cases, agent("answers-other", lambda _: True, 0), SCORERS)
    assert not made.aggregate(correct.__name__).mean
    blind = [Case(case.id, case.question, sources=case.sources) for case in cases]
    made = evaluate(blind, agent("answers-other", lambda _: True, 0), SCORERS)
    assert made.aggregate(correct.__name__).mean == 1
