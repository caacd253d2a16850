"""Chapter 1's checks tell right from wrong, and its own cases hold in the tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.records import record_tools
from agentops_ref.apps.checks.ch01 import (
    MODEL,
    PLACES,
    PROGRAMS,
    Steps,
    place_of,
    predicate,
    reach,
    steps,
)
from agentops_ref.config import load_config
from agentops_ref.etl.tables import DeltaTables
from agentops_ref.evals import load_cases
from agentops_ref.evals.matching import states
from agentops_ref.records import Case
from agentops_ref.tracing import SpanLine

ROOT = Path(__file__).parents[2]
CASES = [
    Case("a", "?", facts=("20 A",), sources=("manuals/x.pdf",), slice="value"),
    Case("b", "?", abstain=True, slice="unanswerable"),
    Case("c", "?", facts=("3.2.1",), sources=("tables/installations.csv",), slice="records"),
    Case("d", "?", facts=("A2L",), sources=("training/x.pptx",), slice="general"),
]
RIGHT = {
    "a": {"chain", "tools"},
    "b": {"prompt", "chain", "tools"},
    "c": {"tools"},
    "d": {"llm", "prompt", "chain", "tools"},
}


def is_agent(traces: Sequence[Steps]) -> bool:
    for one in traces:
        for other in traces:
            pairs = enumerate(zip((*one, "end"), (*other, "end"), strict=False))
            parted = next((at for at, (a, b) in pairs if a != b), 0)
            if parted and one[parted - 1] == MODEL:
                return True
    return False


def test_the_right_reach_is_right() -> None:
    assert reach(RIGHT, CASES).right
    assert [place_of(case) for case in CASES] == ["documents", "nowhere", "tables", "weights"]
    assert set(PLACES) == {place_of(case) for case in CASES}


@pytest.mark.parametrize("case", sorted(RIGHT))
@pytest.mark.parametrize("system", ["llm", "prompt", "chain", "tools"])
def test_each_wrong_cell_is_named_with_the_reason(case: str, system: str) -> None:
    checked = reach({**RIGHT, case: RIGHT[case] ^ {system}}, CASES)
    assert not checked.right
    assert checked.why.startswith(f"{case}: {system} ")


def test_gaps_and_strangers_are_not_right() -> None:
    assert not reach({}, CASES).right
    assert "no case 'z'" in reach({"z": set()}, CASES).why
    assert "no system 'oracle'" in reach({"a": {"oracle"}}, CASES).why


def test_a_predicate_that_looks_where_traces_part_is_right() -> None:
    own = {"chain": [("retrieve", MODEL, "cite")] * 2, "tools": [(MODEL, "s", MODEL), (MODEL,)]}
    assert predicate(is_agent, own).right
    assert any(program.agent for program in PROGRAMS)
    assert not all(program.agent for program in PROGRAMS)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda traces: True,
        lambda traces: False,
        lambda traces: len(set(traces)) > 1,  # an if statement parts traces as well
        lambda traces: any(MODEL in t and t.index(MODEL) < len(t) - 1 for t in traces),
        lambda traces: any(trace.count(MODEL) > 1 for trace in traces),
        lambda traces: traces[9] == (),
    ],
)
def test_tempting_predicates_are_not_right(wrong: object) -> None:
    checked = predicate(wrong)  # type: ignore[arg-type]
    assert not checked.right
    assert checked.why


def test_a_predicate_that_is_wrong_on_the_measured_systems_is_told_so() -> None:
    assert "'chain'" in predicate(is_agent, {"chain": [(MODEL,), (MODEL, "x")]}).why


def test_steps_are_read_from_a_trace() -> None:
    def line(depth: int, name: str, kind: str) -> SpanLine:
        return SpanLine(depth, name, kind, 0.1, 0, 0, 0.0)

    lines = [
        line(0, "case", "CHAIN"),
        line(1, "agent", "AGENT"),
        line(2, "generate", "CHAT_MODEL"),
        line(2, "search_documents", "TOOL"),
        line(2, "generate", "CHAT_MODEL"),
    ]
    assert steps(lines) == (MODEL, "search_documents", MODEL)


def test_the_chapters_own_cases_hold_in_tables_and_documents(corpus: Path, tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path / "delta")
    tables.sync(corpus / "v1" / "tables")
    registry = Registry(record_tools(tables.query))
    cases = load_cases(ROOT / "corpus" / "chapter-01.yaml")
    for case in cases:
        for source in case.sources:
            folder = corpus / "v1" / ("" if source.startswith("tables/") else "docs")
            assert (folder / source).is_file(), source
        if place_of(case) != "tables":
            continue
        with (corpus / "v1" / "tables" / "installations.csv").open(encoding="utf-8") as file:
            serials = [row["serial_number"] for row in csv.DictReader(file)]
        (serial,) = [serial for serial in serials if serial in case.question]
        caller = Caller("tools", tenant=load_config().agent.tenant)
        found = registry.call("find_installation", {"serial": serial}, caller).text
        assert all(states(found, fact) for fact in case.facts), found
