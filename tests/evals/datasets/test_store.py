"""Versions in MLflow: written once, read back equal. A draft comes from what a trace holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.evals.cases import load_cases, parse_cases
from agentops_ref.evals.datasets import Asked, draft_of, fetch, publish, published
from agentops_ref.records import Case
from agentops_ref.tracing import MlflowTracer

CASES = [
    Case("a", "How tight?", ("42 Nm",), ("18 Nm",), ("m.pdf",), slice="value"),
    Case("b", "E99?", abstain=True, slice="unanswerable", split="test", corpus_version=2),
    Case("c", "Book it", tools=("stock", "book"), arguments={"book": {"n": 1}}, slice="actions",
         origin="trace", origin_note="tr-1", retired="2026-01-08: x"),
    Case("d", "Leak?", ("F2",), (), ("m.pdf",), slice="s", origin="synthetic",
         origin_note="validated by A. N. against m.pdf"),
]  # fmt: skip


@pytest.fixture(scope="module")
def tracer(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracer:
    return MlflowTracer(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db", "evals")


def test_published_and_read_back(tracer: MlflowTracer) -> None:
    kept = publish(tracer, "desk", CASES)
    assert fetch(tracer, kept.id).cases == tuple(CASES)
    assert fetch(tracer, kept.id).digest == kept.digest
    assert publish(tracer, "desk", CASES[::-1]) == kept  # nothing new
    other = publish(tracer, "desk", [replace(CASES[0], facts=("43 Nm",)), *CASES[1:]])
    assert [one.id for one in published(tracer, "desk")] == [other.id, kept.id]
    assert fetch(tracer, kept.id).cases == tuple(CASES)  # a version does not change
    assert published(tracer, "other") == []


def test_where_a_case_comes_from_is_kept(tracer: MlflowTracer) -> None:
    kept = publish(tracer, "sources", CASES)
    found = tracer.connect().genai.datasets.get_dataset(dataset_id=kept.id).to_df()
    sources = {row["inputs"]["case"]: row for row in found.to_dict("records")}
    assert {n: row["source_type"] for n, row in sources.items()} == {
        "a": "UNSPECIFIED", "b": "UNSPECIFIED", "c": "TRACE", "d": "CODE",
    }  # fmt: skip
    assert sources["c"]["source_id"] == "tr-1"
    assert sources["d"]["tags"]["origin_note"] == "validated by A. N. against m.pdf"


def test_an_unfinished_version_is_finished(
    tracer: MlflowTracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.genai.datasets import EvaluationDataset

    def killed(self: Any, records: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EvaluationDataset, "merge_records", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(tracer, "killed", CASES)
    (left,) = published(tracer, "killed")
    assert left.cases == 0
    assert publish(tracer, "killed", CASES).id == left.id
    assert fetch(tracer, left.id).cases == tuple(CASES)


def test_what_is_not_there_is_named(tracer: MlflowTracer) -> None:
    with pytest.raises(OperatorError, match="no MLflow dataset 'd-none' in sqlite"):
        fetch(tracer, "d-none")
    foreign = tracer.connect().genai.datasets.create_dataset("foreign")
    foreign.merge_records([{"inputs": {"q": "?"}, "expectations": {"a": 1}}])
    with pytest.raises(OperatorError, match="does not hold cases"):
        fetch(tracer, foreign.dataset_id)


def test_a_draft_has_to_be_finished(tmp_path: Path) -> None:
    said = {"answer": "42 Nm\nis: right # no", "cited": [["m.pdf", 3, "42 Nm"], ["m.pdf", 4, ""]]}
    asked = Asked.of("tr-1", {"question": ' How "tight"? '}, said)
    assert asked == Asked("tr-1", 'How "tight"?', "42 Nm\nis: right # no", ("m.pdf",))
    text = draft_of(asked, case_id="x", slice="value")
    assert "#   42 Nm is: right # no\n# and cited: m.pdf" in text
    with pytest.raises(ConfigError, match="case 'x': can be answered, so it needs 'facts'"):
        parse_cases(text, "draft.yaml")
    finished = tmp_path / "draft.yaml"
    finished.write_text(
        text.replace("facts: []", "facts: [42 Nm]").replace("sources: []", "sources: [m.pdf]")
    )
    assert load_cases(finished) == [
        Case("x", 'How "tight"?', ("42 Nm",), (), ("m.pdf",), slice="value", origin="trace",
             origin_note="tr-1")
    ]  # fmt: skip


@pytest.mark.parametrize("inputs", [None, {}, {"question": "  "}, {"query": "x"}, "text", []])
def test_a_trace_without_a_question(inputs: object) -> None:
    with pytest.raises(OperatorError, match="trace tr-1 holds no question: its root"):
        Asked.of("tr-1", inputs, None)


def test_a_trace_with_an_odd_answer() -> None:
    assert Asked.of("t", {"question": "q"}, None) == Asked("t", "q", "None")
    assert Asked.of("t", {"question": "q"}, {"cited": [3, [], ["d"]]}).cited == ("d",)
