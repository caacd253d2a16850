"""From a failure to a case: a draft is no case, a finished one is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.evals import decide, load_cases
from agentops_ref.evals.errors import (
    Category,
    Expected,
    Taxonomy,
    draft_cases,
    gate_rule,
    write_draft,
)
from agentops_ref.evals.result import CaseResult, EvalResult
from agentops_ref.records import Answer, Score
from agentops_ref.settings_evals import GateRule
from tests.evals.errors.build import failed, readings, right, trace

HELD = readings(
    [
        trace("desk/1", question='What is "E1":\n# on NX-4?'),
        trace("desk/2", question="A much longer question, which shows it less clearly?"),
        trace("desk/3", question="Which fuse?"),
        trace("desk/4", question="Where?"),
        trace("desk/5", question="Which fuse is it for that one?"),
        trace("fine"),
    ],
    [
        failed("desk/1", "plan", "search", "wrong: unit\nlooked up"),
        failed("desk/2", "plan", "search"),
        failed("desk/3"),
        failed("desk/4", "plan", "search"),
        failed("desk/5"),
        right("fine"),
    ],
)
GROUPS = Taxonomy(
    (
        Category("wrong-unit", "d", {"anna": tuple(f"desk/{n}" for n in range(1, 6))}, ("desk/2",)),
        Category("maybe", "d", {"model": ("desk/1",)}, proposed=True),
        Category("empty", "d"),
    )
)
WHOLE = Expected(("12 A",), ("manual.pdf",))


def test_a_finished_case_is_one(tmp_path: Path) -> None:
    draft = draft_cases(GROUPS, HELD, "desk/1", expected=WHOLE, origin="incident")
    assert draft.finished
    path = tmp_path / "cases.yaml"
    write_draft(path, draft)
    (case,) = load_cases(path)
    assert (case.question, case.slice) == ('What is "E1":\n# on NX-4?', "wrong-unit")
    assert (case.facts, case.sources, case.origin) == (("12 A",), ("manual.pdf",), "incident")
    assert "wrong: unit looked up" in case.origin_note
    assert case.id == draft.ids[0]


def test_silence_can_be_the_right_answer(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    write_draft(path, draft_cases(GROUPS, HELD, "desk/1", expected=Expected(abstain=True)))
    assert load_cases(path)[0].abstain


@pytest.mark.parametrize("expected", [None, Expected(facts=("12 A",)), Expected(sources=("a",))])
def test_a_draft_is_no_case(tmp_path: Path, expected: Expected | None) -> None:
    draft = draft_cases(GROUPS, HELD, "desk/1", expected=expected)
    assert not draft.finished
    assert "FILL IN" in draft.text
    path = tmp_path / "draft.yaml"
    write_draft(path, draft)
    with pytest.raises(ConfigError, match=r"needs '(facts|sources)'"):
        load_cases(path)


def test_nothing_is_written_into_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text("cases: []\n")
    for expected in (None, WHOLE):
        with pytest.raises(OperatorError, match="exists"):
            write_draft(path, draft_cases(GROUPS, HELD, "desk/1", expected=expected))
    assert path.read_text() == "cases: []\n"


def test_a_category_gives_its_clearest_traces() -> None:
    draft = draft_cases(GROUPS, HELD, "wrong-unit")
    # The example first, then those whose place is known, the shorter question first.
    assert draft.ids == tuple(f"wrong-unit-desk-{n}" for n in (2, 4, 1, 3))
    with pytest.raises(ConfigError, match="4 cases"):
        draft_cases(GROUPS, HELD, "wrong-unit", expected=WHOLE)


@pytest.mark.parametrize(
    ("name", "told"),
    [("maybe", "only proposed"), ("empty", "no failed trace"), ("fine", "not read as failed"),
     ("desk/9", "did you mean 'desk/")],
)  # fmt: skip
def test_what_makes_no_case(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        draft_cases(GROUPS, HELD, name)


@pytest.mark.parametrize("n", [1, 3, 20, 200])
def test_the_gates_rule_passes_when_all_do_and_not_when_one_fails(n: int, tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    write_draft(path, draft_cases(GROUPS, HELD, "desk/1", expected=WHOLE))
    (case,) = load_cases(path)
    rule = GateRule.model_validate(yaml.safe_load(gate_rule(case.slice, n)))

    def outcome(passing: int) -> str:
        results = tuple(
            CaseResult(
                replace(case, id=f"c{at}"),
                Answer("x", False),
                (Score("correct", float(at < passing)),),
            )
            for at in range(n)
        )
        return decide([rule], EvalResult("r", results, {"correct": "d"}, "d").table).outcome

    assert outcome(n) == "pass"
    assert outcome(n - 1) != "pass"
