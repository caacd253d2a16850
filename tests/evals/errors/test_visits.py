"""States from spans and from steps: the same names, in order, the innermost failure blamed."""

from __future__ import annotations

import random

import pytest

from agentops_ref.evals.errors import Naming, SpanData, visits_of_answer, visits_of_spans
from agentops_ref.records import Answer, Chunk, Citation, Hit, Step

NAMING = Naming(
    deciders={"supervisor": "decide"},
    nodes={"chain": "knowledge"},
    around=frozenset({"request"}),
    last={"supervisor": "finish"},
)


def span(
    id_: int, parent: int, name: str, kind: str, failed: str = "", outputs: object = None
) -> SpanData:
    return SpanData(str(id_), str(parent or ""), name, kind, id_, failed, None, outputs)


FOUND = [{"page_content": "x", "metadata": {"doc_uri": "a.pdf"}}]
SUPERVISED = [
    span(1, 0, "case", "CHAIN"),
    span(2, 1, "request", "AGENT", "boom"),
    span(3, 2, "supervisor", "AGENT", "boom"),
    span(4, 3, "generate", "CHAT_MODEL"),
    span(5, 3, "chain", "AGENT"),
    span(6, 5, "retrieve", "RETRIEVER", outputs=FOUND),
    span(7, 5, "generate", "CHAT_MODEL"),
    span(8, 5, "cite", "PARSER"),
    span(9, 3, "generate", "CHAT_MODEL"),
    span(10, 3, "records", "AGENT", "boom"),
    span(11, 10, "generate", "CHAT_MODEL"),
    span(12, 10, "find_unit", "TOOL", "boom"),
]  # fmt: skip


def test_the_spans_of_a_supervisor() -> None:
    found = visits_of_spans(SUPERVISED, NAMING)
    assert [visit.state for visit in found] == [
        "decide", "knowledge", "knowledge/retrieve", "knowledge/generate", "knowledge/cite",
        "decide", "records", "records/generate", "records/find_unit", "finish",
    ]  # fmt: skip
    assert [visit.state for visit in found if visit.status != "ok"] == ["records/find_unit"]
    assert found[2].output == "a.pdf: x"
    assert "boom" in found[8].output


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_spans_does_not_matter(seed: int) -> None:
    mixed = list(SUPERVISED)
    random.Random(seed).shuffle(mixed)
    assert visits_of_spans(mixed, NAMING) == visits_of_spans(SUPERVISED, NAMING)


def test_a_node_elsewhere_is_one_node() -> None:
    remote = [
        span(1, 0, "supervisor", "AGENT"),
        span(2, 1, "knowledge", "AGENT"),
        span(3, 2, "request", "AGENT"),
        span(4, 3, "chain", "AGENT"),
        span(5, 4, "retrieve", "RETRIEVER"),
    ]
    found = [visit.state for visit in visits_of_spans(remote, NAMING)]
    assert found == ["knowledge", "knowledge/retrieve", "finish"]


def test_an_agent_alone_and_spans_without_an_agent() -> None:
    chain = [span(1, 0, "chain", "AGENT"), span(2, 1, "retrieve", "RETRIEVER", "down")]
    assert [(v.state, v.status) for v in visits_of_spans(chain, NAMING)] == [("retrieve", "failed")]
    assert [v.state for v in visits_of_spans([span(1, 0, "look", "TOOL")])] == ["look"]
    assert visits_of_spans([]) == ()


def test_the_steps_of_an_answer_are_a_coarser_view_of_the_same_states() -> None:
    steps = (
        Step("supervisor", "knowledge", "what is E1?"),
        Step("supervisor", "records", "unit 7", status="failed", detail="no such unit"),
        Step("records", "find_unit", "{}", status="failed", detail="no such unit"),
    )
    found = visits_of_answer(Answer("x", False, steps=steps), NAMING)
    assert [visit.state for visit in found] == [
        "decide", "knowledge", "decide", "records", "records/find_unit", "finish",
    ]  # fmt: skip
    assert [visit.state for visit in found if visit.status != "ok"] == ["records/find_unit"]
    fine = {visit.state for visit in visits_of_spans(SUPERVISED, NAMING)}
    assert {visit.state for visit in found} <= fine


def test_the_steps_of_an_agent_with_tools_and_of_a_chain() -> None:
    tools = Answer("x", False, steps=(Step("tools", "search", "{}"),))
    assert [v.state for v in visits_of_answer(tools, NAMING)] == ["search", "generate"]
    hit = Hit(Chunk("1", "a.pdf", "v", 0, "text", "c"), 1.0)
    chain = Answer("x", False, (Citation("a.pdf", "v", 1, "text"),), (hit,))
    assert [v.state for v in visits_of_answer(chain)] == ["retrieve", "generate", "cite"]
    broken = Answer("x", True, hits=(hit,), problem="failed: silent")
    assert [v.status for v in visits_of_answer(broken)] == ["ok", "failed"]
    assert [v.output for v in visits_of_answer(Answer("x", True))] == ["nothing"]
