"""An optimiser finds what is there to be found, asks nothing twice, and its failures are seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from agentops_ref.agents.prompts import excerpts_with_questions, load_prompt
from agentops_ref.errors import ConfigError, DeveloperError, NotRecorded
from agentops_ref.evals.optimising import (
    OWN_MODEL,
    Candidate,
    Example,
    choose_examples,
    rewrite_instructions,
    speaking,
)
from agentops_ref.evals.scorers import correct
from agentops_ref.records import Answer, Case, Chunk, Citation, Hit
from agentops_ref.tracing import MlflowTracer

CASES = [Case(f"c{n}", f"What is {n}?", (f"{n} Nm",), slice="value") for n in range(8)]
START = Candidate("Answer.")
PROMPT = """---
abstain: NOT IN THE DOCUMENTS
reply: I could not find this.
format: json
---
## system
Answer the question.
Be exact.

Excerpts:
[1] one
Question: What?
{"excerpt": 1, "quote": "one", "answer": "One."}
## user
{context}
Question: {question}
"""


class Agent:
    """Right on every second case; with the unit in its instructions or an example, on all."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[Candidate, str]] = Counter()

    def __call__(self, candidate: Candidate, case: Case) -> tuple[Answer, Example]:
        self.asked[candidate, case.id] += 1
        knows = "unit" in candidate.instructions or candidate.examples
        right = int(case.id[1:]) % 2 == 0 or knows
        text = case.facts[0] if right else "I do not know."
        return Answer(text, abstained=False), Example(case.question, "the table", "row", text)


@pytest.fixture
def tracked(tmp_path: Path) -> MlflowTracer:
    tracer = MlflowTracer(f"sqlite:///{tmp_path}/mlflow.db", "prompts")
    tracer.connect()
    return tracer


def test_examples_are_chosen_among_right_answers() -> None:
    agent = Agent()
    found = choose_examples(START, CASES, agent, correct, candidates=2, most=2, seed=1)
    assert found.best.instructions == START.instructions
    assert found.best.examples
    assert all(one.answer.endswith("Nm") and one.excerpt for one in found.best.examples)
    assert found.before < found.after == 1
    assert max(agent.asked.values()) == 1
    assert found.answers == len(agent.asked)
    assert found.tried[0].candidate == START


def test_where_no_example_helps_the_prompt_stays() -> None:
    def stubborn(_: Candidate, case: Case) -> tuple[Answer, Example]:
        text = case.facts[0] if case.id < "c4" else "I do not know."
        return Answer(text, abstained=False), Example(case.question, "e", "q", text)

    found = choose_examples(START, CASES, stubborn, correct, candidates=1, most=2, seed=1)
    assert found.best == START
    assert found.before == found.after < 1


def test_a_failure_of_the_agent_ends_the_search() -> None:
    def broken(*_: object) -> tuple[Answer, Example]:
        raise NotRecorded("never asked")

    with pytest.raises(NotRecorded, match="never asked"):
        choose_examples(START, CASES, broken, correct, candidates=1, most=1, seed=1)


def test_what_cannot_be_searched_is_told() -> None:
    agent = Agent()
    with pytest.raises(DeveloperError, match="needs cases"):
        choose_examples(START, [], agent, correct, candidates=1, most=1, seed=1)
    with pytest.raises(DeveloperError, match="two cases"):
        choose_examples(START, CASES[:1], agent, correct, candidates=1, most=1, seed=1)
    unexpecting = [Case("c1", "q"), Case("c2", "q")]
    with pytest.raises(DeveloperError, match="no correct of case"):
        choose_examples(START, unexpecting, agent, correct, candidates=1, most=1, seed=1)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", [pytest.param("gepa", marks=pytest.mark.slow), "metaprompt"])
def test_instructions_are_rewritten_by_the_model_that_is_given(
    tracked: MlflowTracer, kind: str
) -> None:
    from mlflow.genai.optimize.optimizers import GepaPromptOptimizer, MetaPromptOptimizer

    shown: list[str] = []

    def reply(messages: list[dict[str, str]], _: int) -> str:
        shown.append(messages[-1]["content"])
        if kind == "gepa":
            return "```\nAnswer with the unit, {{so}}.\n```"
        return '{"desk": "Answer with the unit."}'

    optimiser = (
        GepaPromptOptimizer(OWN_MODEL, max_metric_calls=14)
        if kind == "gepa"
        else MetaPromptOptimizer(OWN_MODEL)
    )
    agent = Agent()
    with speaking(reply):
        found = rewrite_instructions(START, CASES[:4], agent, correct, optimiser, name="desk")
    assert "unit" in found.best.instructions
    assert (found.before, found.after) == (0.5, 1)
    assert max(agent.asked.values()) == 1
    assert "What is" in shown[0]
    assert "missing:" in shown[0]  # the scorer's reason reaches the model
    mlflow = tracked.connect()
    assert mlflow.genai.load_prompt("prompts:/desk@latest").template == found.best.instructions


@pytest.mark.filterwarnings("default")
def test_what_the_agent_lacks_is_no_bad_score(tracked: MlflowTracer) -> None:
    from mlflow.genai.optimize.optimizers import GepaPromptOptimizer

    def broken(*_: object) -> tuple[Answer, Example]:
        raise NotRecorded("never asked")

    optimiser = GepaPromptOptimizer(OWN_MODEL, max_metric_calls=10)
    with speaking(lambda *_: "x"), pytest.raises(NotRecorded, match="never asked"):
        rewrite_instructions(START, CASES[:2], broken, correct, optimiser, name="desk")


def test_a_revised_prompt_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(PROMPT)
    prompt = load_prompt(tmp_path, "a.md")
    assert prompt.instructions == "Answer the question.\nBe exact."
    assert prompt.revised(prompt.instructions).sections == prompt.sections
    made = prompt.revised("First.\n\nSecond, with {braces}.")
    assert made.instructions == "First.\nSecond, with (braces)."
    assert made.sections[0][1].endswith('"answer": "One."}')
    assert made.digest != prompt.digest
    assert "{" not in made.messages(context="c", question="q")[0].text.split("Excerpts:")[0]
    headed = prompt.revised("First.\n## user\nSecond.", "Question: {context}?\n## system\nNo.")
    (tmp_path / "c.md").write_text(headed.text)
    assert load_prompt(tmp_path, "c.md").sections == headed.sections
    assert "Question: (context)?" in headed.messages(context="c", question="q")[0].text
    (tmp_path / "b.md").write_text(made.text)
    again = load_prompt(tmp_path, "b.md")
    assert (again.sections, again.digest) == (made.sections, made.digest)
    assert (again.abstain, again.reply, again.structured) == (made.abstain, made.reply, True)


def test_examples_stand_with_their_excerpts(tmp_path: Path) -> None:
    shown = [
        Example("Q1?", "table", "row 1", "One."),
        Example("Q2?", "", "", "I could not find this."),
        Example("Q3?", "table", "row 3", "Three."),
        Example("Q4?", "list", "row 4", "Four."),
    ]
    text = excerpts_with_questions(shown, "NOT IN THE DOCUMENTS")
    assert text.count("] table") == 1
    assert '{"excerpt": 0, "quote": "", "answer": "NOT IN THE DOCUMENTS"}' in text
    assert '{"excerpt": 2, "quote": "row 4", "answer": "Four."}' in text
    (tmp_path / "a.md").write_text(PROMPT)
    made = load_prompt(tmp_path, "a.md").revised("Do.", text)
    assert made.sections[0][1] == f"Do.\n\n{text}"


def test_a_prompt_without_a_system_section_is_not_revised(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("## user\n{question}\n")
    with pytest.raises(ConfigError, match="no '## system' section"):
        load_prompt(tmp_path, "a.md").revised("x")
    (tmp_path / "b.md").write_text(PROMPT)
    with pytest.raises(ConfigError, match="empty instructions"):
        load_prompt(tmp_path, "b.md").revised(" \n ")


def test_an_answer_that_shows_nothing_makes_no_example() -> None:
    def quoteless(_: Candidate, case: Case) -> tuple[Answer, Example | None]:
        return Answer(case.facts[0], abstained=False), None

    found = choose_examples(START, CASES, quoteless, correct, candidates=1, most=2, seed=1)
    assert found.best == START
    assert found.judged == len(CASES) // 2


@pytest.mark.parametrize("tenant", ["", "torvik"])
def test_no_document_of_a_tenant_becomes_an_example(tenant: str) -> None:
    from agentops_ref.wiring.optimising import _example

    chunk = Chunk(
        id="1",
        document="m.pdf",
        version="1",
        ordinal=0,
        text="Fuse | 16 A",
        context="Manual",
        metadata={"tenant": tenant},
    )
    cited = Citation("m.pdf", "1", 1, "Fuse | 16 A")
    answer = Answer("16 A", abstained=False, citations=(cited,), hits=(Hit(chunk, 1.0),))
    shown = Example("What is 1?", "Manual: Fuse | 16 A", "Fuse | 16 A", "16 A")
    assert _example(CASES[1], answer) == (None if tenant else shown)
    assert _example(CASES[1], replace(answer, citations=())) is None
    silent = replace(answer, abstained=True, citations=())
    assert _example(CASES[1], silent) == Example("What is 1?", "", "", "16 A")
