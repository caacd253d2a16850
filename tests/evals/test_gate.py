"""The gate's rules: what passes, fails or is undecided, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentops_ref.errors import ConfigError
from agentops_ref.evals.gate import CorrectedRate, check_rules, decide
from agentops_ref.evals.gate_report import to_junit, to_markdown
from agentops_ref.evals.scorers import correct
from agentops_ref.evals.table import ScoreTable
from agentops_ref.intervals import Interval
from agentops_ref.records import Answer, Case, Score, Usage
from agentops_ref.settings_evals import GateRule


def table(
    values: Sequence[float | None], *, judged: Sequence[str] = (), slices: Sequence[str] = ("a",)
) -> ScoreTable:
    made = ScoreTable("r", {"correct": ""}, judged=judged)
    for at, value in enumerate(values):
        error = "ill" if value is None else ""
        answer = Answer("x", False, usage=Usage(10 * at, 0, 0.01), seconds=at / 10)
        case = Case(f"c{at}", "q", slice=slices[at % len(slices)])
        made.add(case, answer, [Score("correct", value, error=error)])
    return made


def outcome(table_: ScoreTable, baseline: ScoreTable | None = None, **rule: object) -> str:
    return decide([GateRule(**rule)], table_, baseline).outcome  # type: ignore[arg-type]


def passing(n: int, of: int) -> list[float]:
    return [1.0] * n + [0.0] * (of - n)


@pytest.mark.parametrize(
    ("lost", "gained", "n", "expected"),
    # Tango at 95 %: none of 100 differ is ±0.037; 15 lost is -0.233 to -0.093.
    [
        (0, 0, 100, "pass"),
        (1, 0, 100, "undecided"),
        (15, 0, 100, "fail"),
        (0, 0, 20, "undecided"),
        (0, 9, 100, "pass"),
    ],
)
def test_non_inferiority(lost: int, gained: int, n: int, expected: str) -> None:
    before = passing(n - gained, n)
    after = [0.0] * lost + [1.0] * (n - lost)
    rule = {"scorer": "correct", "no_worse_than": 0.05}
    assert outcome(table(after), table(before), **rule) == expected


def test_a_failed_score_may_be_either() -> None:
    rule = {"scorer": "correct", "no_worse_than": 0.05}
    before = passing(100, 100)
    assert outcome(table(before), table(before), **rule) == "pass"
    hurt: list[float | None] = [*before[:-8], *[None] * 8]
    assert outcome(table(hurt), table(before), **rule) == "undecided"
    missing = decide([GateRule(**rule)], table(before[:90]), table(before))  # type: ignore[arg-type]
    assert missing.checks[0].reason == "10 cases of the baseline are missing"


def test_budgets_look_at_the_interval_of_the_quantile() -> None:
    hundred = table([1.0] * 100)  # seconds 0.0 to 9.9, tokens 0 to 990
    assert outcome(hundred, measure="seconds", at_most=10) == "pass"
    assert outcome(hundred, measure="seconds", at_most=9.6) == "undecided"
    assert outcome(hundred, measure="seconds", at_most=5) == "fail"
    assert outcome(hundred, measure="tokens", at_most=600, quantile=0.5) == "pass"
    assert outcome(hundred, measure="cost", at_most=0.01) == "pass"
    few = decide([GateRule(measure="seconds", at_most=10)], table([1.0] * 20))
    assert few.outcome == "undecided"
    assert few.checks[0].reason == "20 answers are too few for an upper end"
    assert few.checks[0].to_dict()["high"] is None


def test_mandatory_slices() -> None:
    made = table([1.0] * 10, slices=("a", "b"))
    assert outcome(made, slice="b", cases=5) == "pass"
    assert outcome(made, slice="b", cases=6) == "fail"
    assert outcome(made, slice="forgotten", cases=1) == "fail"
    few = decide([GateRule(scorer="correct", slice="b", at_least=0.1, cases=6)], made)
    assert few.checks[0].reason == "5 cases, at least 6 are needed"


@pytest.mark.parametrize(
    ("undecided", "expected", "code"),
    [("fail", "undecided", 3), ("pass", "pass", 0), ("warn", "pass", 0)],
)
def test_undecided_fails_unless_its_rule_says_otherwise(
    undecided: str, expected: str, code: int
) -> None:
    rule = GateRule(scorer="correct", at_least=0.6, undecided=undecided)  # type: ignore[arg-type]
    found = decide([rule], table(passing(30, 40)))
    assert found.checks[0].outcome == "undecided"
    assert (found.outcome, found.exit_code) == (expected, code)
    assert decide([rule], table(passing(15, 40))).exit_code == 1, "no rule lets a failure pass"


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=60), st.floats(0, 1))
def test_a_mean_below_the_limit_never_passes(values: list[float], limit: float) -> None:
    found = outcome(table(values), scorer="correct", at_least=limit)
    mean = sum(values) / len(values)
    assert not (found == "pass" and mean < limit - 1e-9)
    assert not (found == "fail" and mean >= limit + 1e-9)


def test_judges_need_a_calibration() -> None:
    judged, rule = (
        table(passing(80, 100), judged=["correct"]),
        GateRule(scorer="correct", at_least=0.6),
    )
    with pytest.raises(ConfigError, match="is a judge and its rule has no calibration"):
        decide([rule], judged)
    calibrated = rule.model_copy(update={"calibration": Path("labels.jsonl")})
    with pytest.raises(ConfigError, match="nothing is wired"):
        decide([calibrated], judged)

    def fix(
        rule: GateRule, verdicts: Mapping[str, float], *, digest: str, level: float
    ) -> CorrectedRate:
        assert (len(verdicts), rule.calibration) == (100, Path("labels.jsonl"))
        return CorrectedRate(0.62, Interval(0.5, 0.74), 100, "corrected")

    found = decide([calibrated], judged, correct=fix)
    assert found.outcome == "undecided", "uncorrected, 80 of 100 would pass"
    assert (found.checks[0].mean, found.checks[0].reason) == (0.62, "corrected")

    def cannot(
        rule: GateRule, verdicts: Mapping[str, float], *, digest: str, level: float
    ) -> CorrectedRate:
        return CorrectedRate(float("nan"), Interval(0, 1), 100, "TPR + TNR is not above 1")

    unknown = decide([calibrated], judged, correct=cannot)
    assert unknown.exit_code == 3
    assert unknown.checks[0].to_dict()["mean"] is None
    assert "?" in to_markdown(unknown, "run")
    with pytest.raises(ConfigError, match="two judged rates"):
        decide([GateRule(scorer="correct", no_worse_than=0.1)], judged, table(passing(80, 100)))
    with pytest.raises(ConfigError, match="the judge failed"):
        decide([calibrated], table([1.0, None], judged=["correct"]), correct=fix)

    def judge(case: Case, answer: Answer) -> Score:
        return Score("judge", 1.0)

    judge.judged = True  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="'judge' is a judge"):
        check_rules([GateRule(scorer="judge", at_least=0.5)], [correct, judge])
    check_rules([GateRule(scorer="correct", at_least=0.5)], [correct, judge])


def test_a_gate_that_checks_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="nothing would be checked"):
        decide([], table([1.0]))
    with pytest.raises(ConfigError, match="did you mean 'correct'"):
        outcome(table([1.0]), scorer="corect", at_least=0.5)
    with pytest.raises(ConfigError, match="no slice 'b'"):
        outcome(table([1.0]), scorer="correct", slice="b", at_least=0.5)
    with pytest.raises(ConfigError, match="needs a baseline"):
        outcome(table([1.0]), scorer="correct", no_worse_than=0.5)
    empty = ScoreTable("r", {"correct": ""})
    assert outcome(empty, scorer="correct", at_least=0.1) == "undecided"
    assert outcome(empty, measure="cost", at_most=1) == "undecided"


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"scorer": "correct"},
        {"scorer": "correct", "at_least": 0.5, "no_worse_than": 0.1},
        {"scorer": "correct", "at_least": 60},
        {"scorer": "correct", "at_least": 0.5, "measure": "cost", "at_most": 1},
        {"measure": "cost"},
        {"at_most": 3},
        {"at_least": 0.5},
        {"slice": "a"},
        {"cases": 0},
        {"cases": 3, "calibration": "x"},
        {"cases": 3, "same_population": True},
        {"scorer": "correct", "at_least": 0.5, "same_population": True},
        {"scorer": "correct", "at_least": 0.5, "undecided": "maybe"},
    ],
)
def test_refuses_rules_of_no_kind(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GateRule(**rule)  # type: ignore[arg-type]


def test_reports_for_a_build_server() -> None:
    rules = [
        GateRule(scorer="correct", at_least=0.6),
        GateRule(scorer="correct", at_least=0.9),
        GateRule(scorer="correct", at_least=0.8, undecided="warn"),
        GateRule(scorer="correct", at_least=0.8),
        GateRule(measure="seconds", at_most=30),
        GateRule(slice="x|<y>", cases=3),
    ]
    found = decide(rules, table(passing(80, 100)))
    assert [c.outcome for c in found.checks] == [
        "pass", "fail", "undecided", "undecided", "pass", "fail",
    ]  # fmt: skip
    suite = ElementTree.fromstring(to_junit(found, 'a "run" & <more>')).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    failed = [case for case in cases if case.find("failure") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    assert suite.attrib["tests"] == str(len(cases)) == "6"
    assert suite.attrib["failures"] == str(len(failed)) == "3"
    assert suite.attrib["skipped"] == str(len(skipped)) == "1"
    assert [case.find("failure").attrib["type"] for case in failed] == [  # type: ignore[union-attr]
        "fail", "undecided", "fail",
    ]  # fmt: skip
    assert cases[-1].attrib["name"] == "x|<y>/cases"
    rows = [row for row in to_markdown(found, "r").splitlines() if row.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {9}
