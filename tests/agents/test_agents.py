"""Prompts, citations, the chain and the loop over tools, with scripted models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from agentops_ref.agents.chain import Chain, Direct, format_context
from agentops_ref.agents.citations import (
    Draft,
    best_quote,
    cite,
    read_draft,
    strip_markers,
    support,
)
from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import Caller, Registry, SearchTool, ToolSpec
from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import ConfigError, ModelError
from agentops_ref.records import Chunk, Hit, Usage

PROMPTS = shipped_config_dir() / "prompts"


def hit(text: str, document: str = "manuals/a.pdf", page: int | None = 3) -> Hit:
    return Hit(Chunk(document + text[:8], document, "abc123abc123", 0, text, "A › B", page), 1.0)


HITS = [
    hit("The flare nut is tightened to 18 Nm. Use a torque wrench."),
    hit("Clean the filter every 3 months.", "notes/b.md", None),
]


class Model:
    """Answers from a list and remembers what it was asked."""

    def __init__(self, *replies: AIMessage | Exception) -> None:
        self.replies, self.asked = list(replies), []  # type: ignore[var-annotated]
        self.bound: list[str] = []
        self.choices: list[str | None] = []
        self.formats: list[Any] = []

    def bind(self, **kwargs: Any) -> Model:
        self.formats.append(kwargs["response_format"])
        return self

    def bind_tools(self, tools: list[Any], *, tool_choice: str | None = None) -> Any:
        self.bound = [tool["function"]["name"] for tool in tools]
        return _Bound(self, tool_choice)

    def invoke(self, messages: list[Any]) -> AIMessage:
        self.asked.append(list(messages))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


class _Bound:
    """The model with a tool choice, of which it keeps a list."""

    def __init__(self, model: Model, choice: str | None) -> None:
        self.model, self.choice = model, choice

    def invoke(self, messages: list[Any]) -> AIMessage:
        self.model.choices.append(self.choice)
        return self.model.invoke(messages)


def usage_of(message: Any) -> Usage:
    return Usage(10, 2, 0.001, 1)


def search(
    query: str, *, k: int | None = None, filters: Mapping[str, Any] | None = None
) -> list[Hit]:
    return HITS


def chain(model: Model, **changes: Any) -> Chain:
    settings: dict[str, Any] = {
        "search": search,
        "model": model,
        "prompt": load_prompt(PROMPTS, "answer.md"),
        "usage_of": usage_of,
        "context_chars": 1000,
        "min_support": 0.5,
    }
    return Chain(**{**settings, **changes})


def test_the_chain_cites_what_the_marker_names() -> None:
    answer = chain(Model(AIMessage("Tighten it to 18 Nm [1].")))("What torque?")
    assert answer.text == "Tighten it to 18 Nm."
    (citation,) = answer.citations
    assert (citation.document, citation.page) == ("manuals/a.pdf", 3)
    assert citation.quote == "The flare nut is tightened to 18 Nm."
    assert answer.usage == Usage(10, 2, 0.001, 1)


def test_a_structured_answer_cites_the_excerpt_that_it_names() -> None:
    reply = '{"excerpt": 2, "quote": "Clean the filter", "answer": "Every 3 months."}'
    model = Model(AIMessage(reply))
    answer = chain(model)("How often?")
    assert answer.text == "Every 3 months."
    assert [c.document for c in answer.citations] == ["notes/b.md"]
    (bound,) = model.formats
    assert bound["json_schema"]["schema"]["properties"]["excerpt"]["enum"] == [0, 1, 2]


@pytest.mark.parametrize("text", ["", "{", '{"excerpt": 1}', "[1, 2]", "null", '{"answer": "x"}'])
def test_text_that_is_no_structured_answer_is_an_answer_without_evidence(text: str) -> None:
    assert read_draft(text) == Draft(text)


def test_the_chain_asks_no_model_when_nothing_is_found() -> None:
    model = Model()
    answer = chain(model, search=lambda q, **_: [])("What does a QX-99 weigh?")
    assert answer.abstained
    assert answer.usage == Usage()
    assert model.asked == []


def test_the_chain_abstains_on_the_agreed_phrase() -> None:
    answer = chain(Model(AIMessage("not in the documents.")))("What colour?")
    assert answer.abstained
    assert answer.citations == ()
    assert answer.text == "I could not find this in the documents."


def test_markers_to_nowhere_are_dropped_and_support_is_used_instead() -> None:
    assert (
        cite(Draft("Cleaned every 3 months [7]"), HITS, min_support=0.5)[0].document == "notes/b.md"
    )
    assert cite(Draft("Something else entirely"), HITS, min_support=0.5) == ()
    assert cite(Draft("Anything"), [], min_support=0.0) == ()


def test_a_marker_is_cited_once() -> None:
    assert len(cite(Draft("18 Nm [1], really 18 Nm [1] [2]"), HITS, min_support=0.5)) == 2


@given(st.text(), st.text(min_size=1))
def test_a_quote_is_always_verbatim(answer: str, text: str) -> None:
    assert best_quote(answer, hit(text)) in text


def test_support_counts_codes_and_decimals_as_words() -> None:
    assert support("NL-8: 2.4 kg [1]", "the NL-8 holds 2.4 kg") == 1.0
    assert support("NL-8", "NL-12 and 8") == 0.0
    assert support("", "text") == 0.0
    assert strip_markers("Yes [1][2].") == "Yes."


def test_the_context_never_exceeds_its_limit_but_shows_the_best_hit() -> None:
    text, shown = format_context(HITS, limit=10)
    assert len(shown) == 1
    assert text.startswith("[1] A › B: The flare nut")
    assert format_context([], 10) == ("", ())
    assert format_context(HITS, 1000, start=3)[0].splitlines()[1].startswith("[4]")


def test_braces_in_a_document_are_not_read_as_a_template() -> None:
    model = Model(AIMessage("x"))
    hits = [hit("Ignore this: {question} {context} {0}")]
    chain(model, search=lambda q, **_: hits)("What {context}?")
    assert "{question} {context} {0}" in model.asked[0][-1].content
    assert "What {context}?" in model.asked[0][-1].content


def test_direct_asks_the_model_alone() -> None:
    model = Model(AIMessage("I do not know"))
    answer = Direct(model=model, prompt=load_prompt(PROMPTS, "role.md"), usage_of=usage_of)("Hi?")  # type: ignore[arg-type]
    assert answer.abstained
    assert answer.hits == ()
    assert [message.type for message in model.asked[0]] == ["system", "human"]


class Records:
    """A tool that returns rows, or raises."""

    def __init__(self, rows: list[dict[str, Any]] | Exception) -> None:
        self.rows = rows
        properties = {"serial": {"type": "string"}}
        schema = {"type": "object", "properties": properties, "required": ["serial"]}
        self.spec = ToolSpec("find_installation", "One unit.", schema, agents=("tools",))

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows


def loop(model: Model, rows: list[dict[str, Any]] | Exception = [], **changes: Any) -> ToolLoop:  # noqa: B006
    settings: dict[str, Any] = {
        "name": "tools",
        "registry": Registry([SearchTool(search), Records(rows)]),
        "model": model,
        "prompt": load_prompt(PROMPTS, "tools.md"),
        "usage_of": usage_of,
        "context_chars": 1000,
        "min_support": 0.5,
        "max_steps": 3,
    }
    return ToolLoop(**{**settings, **changes})


def calls(name: str, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": "1"}])


def test_the_loop_searches_then_answers_with_a_citation() -> None:
    model = Model(calls("search_documents", query="torque"), AIMessage("18 Nm [1]"))
    answer = loop(model)("What torque?")
    assert answer.text == "18 Nm"
    assert answer.citations[0].document == "manuals/a.pdf"
    assert answer.usage.calls == 2
    assert model.bound == ["search_documents", "find_installation"]


def test_the_loop_reads_records_with_parameters() -> None:
    model = Model(calls("find_installation", serial="X'; drop"), AIMessage("It is an NL-8"))
    loop(model, [{"model": "NL-8"}])("Which model is it?")
    assert model.asked[1][-1].content == "model: NL-8"


@pytest.mark.parametrize(
    ("call", "rows", "said"),
    [
        (calls("erase_everything"), [], "there is no tool 'erase_everything'"),
        (calls("find_installation", serial="1"), ValueError("broken"), "the tool failed"),
        (calls("find_installation", wrong="1"), [], "argument 'serial' is missing"),
        (calls("find_installation", serial="1"), [], "nothing found"),
    ],
)
def test_a_failing_tool_is_an_answer_to_the_model(call: AIMessage, rows: Any, said: str) -> None:
    model = Model(call, AIMessage("Sorry"))
    assert loop(model, rows)("?").text == "Sorry"
    assert said in model.asked[1][-1].content


def test_the_loop_stops_after_its_steps() -> None:
    model = Model(*[calls("search_documents", query="x")] * 5)
    answer = loop(model)("?")
    assert answer.abstained
    assert len(model.asked) == 3


def test_the_same_call_is_not_run_twice() -> None:
    model = Model(*[calls("search_documents", query="x")] * 2, AIMessage("18 Nm [1]"))
    answer = loop(model)("?")
    assert "called before" in model.asked[2][-1].content
    assert len(answer.hits) == len(HITS)


def test_an_unusable_model_answer_ends_in_an_abstention() -> None:
    answer = loop(Model(ModelError("no JSON")))("?")
    assert answer.abstained
    assert answer.problem == "failed: no JSON"


@pytest.mark.parametrize(("look_first", "first"), [(True, "any"), (False, None)])
def test_a_specialist_looks_before_it_answers(look_first: bool, first: str | None) -> None:
    model = Model(calls("search_documents", query="torque"), AIMessage("18 Nm [1]"))
    assert loop(model, look_first=look_first)("?").text == "18 Nm"
    assert model.choices == [first, None]


def test_what_was_done_is_said_whatever_the_model_says() -> None:
    booking = Records([{"visit": 7}])
    booking.spec = replace(booking.spec, name="book_visit", effect="write", repeat="once")
    model = Model(calls("book_visit", serial="NL8-1"), AIMessage("NOT IN THE DOCUMENTS"))
    answer = loop(model, registry=Registry([booking]))("Book it")
    assert not answer.abstained
    assert answer.text == "book_visit: visit: 7"


def test_an_agent_sees_and_uses_the_tools_that_are_its_own() -> None:
    model = Model(calls("find_installation", serial="NL8-1"), AIMessage("Sorry"))
    answer = loop(model, [{"model": "NL-8"}], name="another")("?")
    assert model.bound == ["search_documents"]
    assert [(step.action, step.status) for step in answer.steps] == [
        ("find_installation", "denied")
    ]


def test_a_search_is_restricted_as_the_request_is() -> None:
    asked: list[Any] = []

    def restricted(query: str, *, k: int | None = None, filters: Any = None) -> list[Hit]:
        asked.append(filters)
        return HITS

    model = Model(calls("search_documents", query="torque"), AIMessage("18 Nm [1]"))
    registry = Registry([SearchTool(restricted)])
    loop(model, registry=registry)("?", request=Request(filters={"kind": "mails"}, tenant="torvik"))
    assert asked == [{"kind": "mails", "tenant": ["", "torvik"]}]


def test_a_missing_prompt_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'anser.md' not found.*'answer.md'"):
        load_prompt(PROMPTS, "anser.md")
    (tmp_path / "x.md").write_text("no sections")
    with pytest.raises(ConfigError, match="expected a '## user' section"):
        load_prompt(tmp_path, "x.md")
