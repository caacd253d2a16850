"""The wired ragas metric gives what its definition says."""

from __future__ import annotations

import json

import pytest

from agentops_ref.evals import load_scorers
from agentops_ref.evals.loading import is_judge
from agentops_ref.evals.ragas_scorers import context_precision_by_id, judged_metric
from agentops_ref.evals.run import scored
from agentops_ref.records import Answer, Case, Chunk, Hit
from agentops_ref.settings_evals import ScorerConfig
from agentops_ref.testing import ScriptedChat

CASE = Case("c", "q", ("x",), (), ("a.pdf", "b.pdf"), slice="value")


def shown(*documents: str) -> Answer:
    hits = tuple(Hit(Chunk(d, d, "v", 0, "text", ""), 1.0) for d in documents)
    return Answer("x", abstained=False, hits=hits)


def test_not_applicable_without_sources() -> None:
    assert context_precision_by_id(Case("u", "q", abstain=True), shown("a.pdf")).value is None
    assert context_precision_by_id(CASE, shown()).value == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_precision_counts_documents_once() -> None:
    answer = shown("a.pdf", "a.pdf", "x.pdf")
    assert context_precision_by_id(CASE, answer).value == pytest.approx(1 / 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_faithfulness_asks_the_chat_model() -> None:
    """Two statements, of which the excerpts hold one: the model says so, ragas counts."""
    statements = {"statements": ["The nut takes 42 Nm.", "It is made of brass."]}
    verdicts = {
        "statements": [
            {"statement": said, "reason": "r", "verdict": verdict}
            for said, verdict in zip(statements["statements"], (1, 0), strict=True)
        ]
    }
    chat = ScriptedChat(replies=[json.dumps(statements), json.dumps(verdicts)])
    entry = ScorerConfig(
        path="agentops_ref.evals.ragas_scorers:judged_metric", options={"metric": "Faithfulness"}
    )
    (judge,) = load_scorers([entry], {"chat": lambda: chat})
    assert is_judge(judge), "a gate asks for its calibration"
    (score,) = scored([judge], CASE, shown("a.pdf"))
    assert (score.scorer, score.value, score.error) == ("faithfulness", 0.5, "")


def test_a_judged_metric_that_does_not_apply_asks_nothing() -> None:
    judge = judged_metric("LLMContextRecall", chat=None)
    assert judge(CASE, shown()).value is None
    assert judge(Case("u", "q", abstain=True), shown("a.pdf")).value is None
    with pytest.raises(ValueError, match="did you mean 'Faithfulness'"):
        judged_metric("Faithfullness", chat=None)
