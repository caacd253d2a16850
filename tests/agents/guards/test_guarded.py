"""Guards around and inside an agent: questions, facts, excerpts, results, answers."""

from __future__ import annotations

from typing import Any

import pytest

from agentops_ref.agents.chain import Chain
from agentops_ref.agents.guards import Check, Context, Decision, Guarded, Guards
from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import Caller, Registry, SearchTool
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.config import shipped_config_dir
from agentops_ref.records import Answer, Chunk, Hit, Step, Usage
from agentops_ref.testing import ScriptedChat

TOLD: dict[str, Any] = {
    "user": "not this question",
    "answer": "no answer",
    "ask": "a person decides",
}


class Word:
    """Finds one word, and remembers what it was shown with an answer."""

    def __init__(self, word: str, verdict: Any = "block") -> None:
        self.word, self.verdict, self.contexts = word, verdict, list[Context]()

    def check(self, text: str, channel: str, context: Context) -> Decision:
        self.contexts.append(context)
        if self.word not in text:
            return Decision("pass", text)
        left = text.replace(self.word, "[removed]") if self.verdict == "redact" else ""
        return Decision(self.verdict, left, (f"word: {self.word}",))


def guards(word: str, *channels: Any, verdict: Any = "block") -> Guards:
    return Guards({"word": Check(Word(word, verdict), channels)}, withheld="withheld: {reasons}")


def hit(text: str, document: str = "notes/a.md", context: str = "A") -> Hit:
    return Hit(Chunk(text, document, "0" * 12, 0, text, context), 1.0)


class Fixed:
    """An agent that gives one answer and remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked = answer, list[tuple[str, Request]]()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        assert request is not None
        self.asked.append((question, request))
        return self.answer


def test_a_question_that_is_stopped_reaches_no_agent() -> None:
    agent = Fixed(Answer("fine", abstained=False))
    answer = Guarded(agent, guards("bad", "user"), **TOLD)("a bad one")
    assert agent.asked == []
    assert (answer.text, answer.abstained) == ("not this question", True)
    assert answer.problem == "block: word: bad"
    asked = Guarded(agent, guards("bad", "user", verdict="ask"), **TOLD)("a bad one")
    assert (asked.text, asked.problem) == ("a person decides", "ask: word: bad")


def test_a_question_may_be_redacted() -> None:
    agent = Fixed(Answer("fine", abstained=False))
    Guarded(agent, guards("bad", "user", verdict="redact"), **TOLD)("a bad one")
    assert agent.asked[0][0] == "a [removed] one"


def test_a_fact_that_is_stopped_is_not_shown() -> None:
    agent = Fixed(Answer("fine", abstained=False))
    request = Request(known=(hit("a bad fact"), hit("a good fact"), hit("x", context="bad")))
    Guarded(agent, guards("bad", "document"), **TOLD)("question", request=request)
    assert [one.chunk.text for one in agent.asked[0][1].known] == ["a good fact"]


def test_an_answer_that_is_stopped_takes_what_it_rested_on_with_it() -> None:
    steps = (Step("a", "look_up", "{}", result="a secret result"),)
    given = Answer("a bad answer", abstained=False, hits=(hit("secret"),), steps=steps,
                   usage=Usage(calls=2))  # fmt: skip
    answer = Guarded(Fixed(given), guards("bad", "answer"), **TOLD)("question")
    assert (answer.text, answer.abstained) == ("no answer", True)
    assert "secret" not in repr(answer)
    assert answer.usage.calls == 2


def test_what_was_done_is_told_though_the_answer_is_stopped() -> None:
    steps = (Step("a", "book", '{"day": 1}'), Step("a", "book", "{}", status="failed"))
    given = Answer("a bad answer", abstained=False, steps=steps)
    agent = Guarded(Fixed(given), guards("bad", "answer"), writes=lambda: ["book"], **TOLD)
    answer = agent("question")
    assert answer.text == 'no answer Done before: book {"day": 1}.'
    assert not answer.abstained


def test_a_guard_of_answers_knows_the_question_and_what_was_shown() -> None:
    word = Word("never")
    watched = Guards({"word": Check(word, ("answer",))}, withheld="")
    steps = (Step("a", "look_up", "{}", result="of a tool"),)
    given = Answer("fine", abstained=False, hits=(hit("of a search"),), steps=steps)
    Guarded(Fixed(given), watched, **TOLD)("question", request=Request(known=(hit("a fact"),)))
    (context,) = word.contexts
    assert context.question == "question"
    assert [text.split("\n")[-1] for text in context.shown] == [
        "of a search", "a fact", "of a tool"]  # fmt: skip


def test_an_abstention_is_given_as_it_is() -> None:
    given = Answer("I found nothing bad.", abstained=True)
    assert Guarded(Fixed(given), guards("bad", "answer"), **TOLD)("question") == given


# --- inside -----------------------------------------------------------------------------------


def found(query: str, **more: Any) -> list[Hit]:
    return [hit("a bad excerpt", "notes/bad.md"), hit("E17 means low flow", "notes/good.md")]


def asked_of(model: ScriptedChat) -> str:
    return "\n".join(message.text for message in model.asked[-1])


def test_the_chain_shows_no_excerpt_that_was_stopped() -> None:
    model = ScriptedChat()
    chain = Chain(
        search=guards("bad", "document").search(found),
        model=model,
        prompt=load_prompt(shipped_config_dir() / "prompts", "answer.md"),
        usage_of=lambda message: Usage(calls=1),
        context_chars=1000,
        min_support=0.5,
    )
    chain("What does E17 mean?")
    assert "E17 means low flow" in asked_of(model)
    assert "a bad excerpt" not in asked_of(model)


@pytest.mark.parametrize("verdict", ["block", "redact"])
def test_the_loop_is_told_no_result_that_was_stopped(verdict: str) -> None:
    from langchain_core.messages import AIMessage

    def note() -> str:
        """A note."""
        return "a bad note"

    calls = [{"name": "note", "args": {}, "id": "1"},
             {"name": "search_documents", "args": {"query": "E17"}, "id": "2"}]  # fmt: skip
    model = ScriptedChat(replies=[AIMessage("", tool_calls=calls), "done"])
    watched = guards("bad", "tool", "document", verdict=verdict)
    audit: list[Any] = []
    loop = ToolLoop(
        name="a",
        registry=Registry(
            [FunctionTool(note), SearchTool(watched.search(found))],
            inspect=watched.result,
            audit=audit.append,
        ),
        model=model,
        prompt=load_prompt(shipped_config_dir() / "prompts", "tools.md"),
        usage_of=lambda message: Usage(calls=1),
        context_chars=1000,
        min_support=0.5,
        max_steps=3,
    )
    answer = loop("E17?", request=Request(tenant="torvik"))
    shown = asked_of(model)
    assert "bad note" not in shown
    assert "bad excerpt" not in shown
    assert "E17 means low flow" in shown
    told = "withheld: word: bad" if verdict == "block" else "a [removed] note"
    assert answer.steps[0].result == told
    assert told in shown


def test_an_error_of_a_tool_is_looked_at_as_well() -> None:
    def fails() -> str:
        """Fail."""
        raise RuntimeError("a bad message")

    registry = Registry([FunctionTool(fails)], inspect=guards("bad", "tool").result)
    result = registry.call("fails", {}, Caller("a"))
    assert (result.status, result.text) == ("failed", "withheld: word: bad")


def test_a_decision_leaves_a_span_without_the_text() -> None:
    spans: list[Any] = []

    class Kept:
        trace_id = ""

        def span(self, name: str, kind: str, inputs: Any) -> Any:
            from contextlib import contextmanager

            @contextmanager
            def opened() -> Any:
                spans.append([name, kind, inputs])
                yield self

            return opened()

        def outputs(self, value: Any) -> None:
            spans[-1].append(value)

    watched = Guards(
        {"word": Check(Word("bad"), ("user",))},
        withheld="",
        tracer=Kept(),  # type: ignore[arg-type]
    )
    watched.check("a good secret", "user")
    assert spans == []
    watched.check("a bad secret", "user")
    decided = {"decision": "block", "reasons": ["word: bad"]}
    assert spans == [["guard", "GUARDRAIL", {"channel": "user"}, decided]]
