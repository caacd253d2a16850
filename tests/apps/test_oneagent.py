"""One agent in five frameworks: each answers, abstains, ends, and asks the same."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from rapidfuzz import fuzz

from agentops_ref import build, load_config
from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import Registry, SearchTool
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.apps.oneagent import KINDS, LOW_CODE, NAME
from agentops_ref.apps.oneagent.dspy_agent import DspyAgent, uncompiled
from agentops_ref.apps.oneagent.dspy_compile import compile_program
from agentops_ref.apps.oneagent.lines import python_lines, yaml_lines
from agentops_ref.errors import ModelError, NotRecorded
from agentops_ref.evals import check_cases, load_cases
from agentops_ref.models.recording import RecordedChat
from agentops_ref.records import Answer, Case, Chunk, Hit
from agentops_ref.testing import ScriptedChat
from agentops_ref.tracing import MlflowTracer, NoTracer
from agentops_ref.wiring import App
from agentops_ref.wiring.parts import load

ROOT = Path(__file__).parents[2]
WAYS = (*KINDS, "low code")
SAME = tuple(way for way in WAYS if way != "DSPy")
LOOK = ("search_documents", {"query": "flare nut NL-8"})
UNIT = ("find_installation", {"serial": "NL8-1"})
TEXT = "The flare nut is tightened to 18 Nm."
Said = str | tuple[str, dict[str, str]] | Exception


def search(query: str, **_: Any) -> list[Hit]:
    return [Hit(Chunk("a", "manuals/a.pdf", "abc", 0, TEXT, "NL-8 manual", 3), 1.0)]


def find_installation(serial: str) -> str:
    """One unit by serial number."""
    if serial == "broken":
        raise RuntimeError("the table is gone")
    return f"{serial}: commissioned 2024-03-18"


def wired(way: str, model: Any, state: Path, **overrides: Any) -> App:
    env = LOW_CODE if way == "low code" else None
    app = build(load_config(env=env, overrides={"paths.state": str(state), **overrides}))
    # Without an index, tables and a tracking database: what differs is how tools are called.
    parts = {
        "chat": model,
        "tools": Registry([SearchTool(search), FunctionTool(find_installation)]),
        "tracer": NoTracer(),
    }
    app.__dict__.update(parts)
    return app


def agent_of(way: str, model: Any, state: Path, **overrides: Any) -> Callable[..., Answer]:
    """Return one of the five; DSPy's is not compiled, since the shipped one knows other tools."""
    app = wired(way, model, state, **overrides)
    if way == "DSPy":
        return uncompiled(app)
    made: Callable[..., Answer] = load("agent", KINDS.get(way, app.config.agent.kind))(app)
    return made


def model_for(way: str, said: Sequence[Said]) -> ScriptedChat:
    return ScriptedChat(replies=in_json(said) if way == "DSPy" else in_steps(said))


def in_steps(said: Sequence[Said]) -> list[AIMessage | str | Exception]:
    """Return what a model says that calls a tool at a time."""
    return [
        one
        if isinstance(one, str | Exception)
        else AIMessage("", tool_calls=[{"name": one[0], "args": one[1], "id": f"call_{at}"}])
        for at, one in enumerate(said)
    ]


def in_json(said: Sequence[Said]) -> list[AIMessage | str | Exception]:
    """Return the same as DSPy's two signatures: all look-ups at once, then the reply."""
    wanted = [(one[0], *one[1].values()) for one in said if isinstance(one, tuple)]
    plan = json.dumps({"lookups": [{"tool": tool, "argument": a} for tool, a in wanted]})
    rest = [one for one in said if not isinstance(one, tuple)]
    replies = [json.dumps({"answer": one}) if isinstance(one, str) else one for one in rest]
    return [plan, *(replies or [json.dumps({"answer": "NOT FOUND"})])] if wanted else [*replies]


# --- each of the five -------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_it_looks_up_and_answers(way: str, tmp_path: Path) -> None:
    model = model_for(way, [UNIT, LOOK, "18 Nm [1], commissioned on 2024-03-18."])
    answer = agent_of(way, model, tmp_path)("How tight, and since when?")
    assert (answer.text, answer.abstained) == ("18 Nm, commissioned on 2024-03-18.", False)
    assert [c.document for c in answer.citations] == ["manuals/a.pdf"]
    assert [(step.action, step.status) for step in answer.steps] == [
        ("find_installation", "ok"),
        ("search_documents", "ok"),
    ]
    assert [json.loads(step.input) for step in answer.steps] == [UNIT[1], LOOK[1]]
    assert answer.usage.calls == (2 if way == "DSPy" else 3)
    assert answer.usage.tokens > 0
    assert answer.model == "scripted (scripted)"
    assert answer.seconds > 0
    assert "commissioned 2024-03-18" in str(model.asked[-1])
    assert TEXT in str(model.asked[-1])


@pytest.mark.parametrize("way", WAYS)
def test_it_abstains_in_the_agreed_words(way: str, tmp_path: Path) -> None:
    answer = agent_of(way, model_for(way, [LOOK, "not found"]), tmp_path)("What does it weigh?")
    assert answer.abstained
    assert answer.text == "I could not find this."
    assert not answer.problem
    assert not answer.citations


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_after_its_steps(way: str, tmp_path: Path) -> None:
    calls = [("search_documents", {"query": f"try {at}"}) for at in range(9)]
    agent = agent_of(way, model_for(way, calls), tmp_path, **{"agent.max_steps": 3})
    answer = agent("Never enough?")
    assert answer.abstained
    assert len(answer.steps) == 3
    if way == "DSPy":  # makes as many look-ups, and replies from them
        assert (answer.usage.calls, answer.problem) == (2, "")
    else:
        assert (answer.usage.calls, answer.problem) == (3, "limit: no answer after 3 model calls")


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_was_made_is_not_made_again(way: str, tmp_path: Path) -> None:
    answer = agent_of(way, model_for(way, [LOOK, LOOK, TEXT]), tmp_path)("How tight?")
    assert [step.status for step in answer.steps] == ["ok", "repeated"]
    assert len(answer.hits) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_that_raises_is_told_to_the_model(way: str, tmp_path: Path) -> None:
    model = model_for(way, [("find_installation", {"serial": "broken"}), "NOT FOUND"])
    answer = agent_of(way, model, tmp_path)("Since when?")
    assert [step.status for step in answer.steps] == ["failed"]
    assert answer.abstained
    assert answer.problem.startswith("failed: find_installation: ")
    assert "the table is gone" in str(model.asked[-1])


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_cannot_be_read_is_a_problem(way: str, tmp_path: Path) -> None:
    answer = agent_of(way, model_for(way, [LOOK, ModelError("no JSON")]), tmp_path)("How tight?")
    assert answer.abstained
    assert answer.problem == "failed: no JSON"
    assert len(answer.steps) == 1


@pytest.mark.parametrize("way", SAME)
def test_a_tool_that_nobody_has_is_told_to_the_model(way: str, tmp_path: Path) -> None:
    answer = agent_of(way, model_for(way, [("fly", {"to": "x"}), TEXT]), tmp_path)("How tight?")
    assert [step.status for step in answer.steps] == ["unknown"]
    assert answer.text == TEXT


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "18 Nm",
        "[1]",
        '{"lookups": 1}',
        '{"lookups": ["search_documents"]}',
        '{"lookups": [{"tool": "fly", "argument": ""}]}',
    ],
)
def test_what_does_not_fit_the_signature_is_a_problem(garbage: str, tmp_path: Path) -> None:
    answer = agent_of("DSPy", ScriptedChat(replies=[garbage]), tmp_path)("How tight?")
    assert answer.abstained
    assert answer.problem.startswith("failed: ")
    assert answer.usage.calls == 1


@pytest.mark.parametrize("way", WAYS)
def test_what_its_author_must_mend_is_raised(way: str, tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="never asked"):
        agent_of(way, model_for(way, [NotRecorded("never asked")]), tmp_path)("How tight?")


@pytest.mark.parametrize("way", WAYS)
def test_the_requests_limits_hold(way: str, tmp_path: Path) -> None:
    request = Request(limits=Limits(Allowance(steps=1)))
    answer = agent_of(way, model_for(way, [LOOK, TEXT]), tmp_path)("How tight?", request=request)
    assert answer.problem.startswith("limit: the request's steps are used up")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("default")
def test_its_calls_are_spans_of_one_trace(way: str, tmp_path: Path) -> None:
    app = wired(way, model_for(way, [LOOK, TEXT]), tmp_path)
    tracer = MlflowTracer(f"sqlite:///{tmp_path}/mlflow.db", "test")
    app.__dict__["tracer"] = tracer
    app.__dict__["tools"] = Registry([SearchTool(search)], tracer=tracer)
    kind = "agentops_ref.apps.oneagent.dspy_agent:uncompiled"
    kind = KINDS.get(way, app.config.agent.kind) if way != "DSPy" else kind
    answer = load("agent", kind)(app)("How tight?")
    kinds = [line.kind for line in app.trace(answer.trace_id)]
    assert kinds == ["AGENT", "CHAT_MODEL", "TOOL", "CHAT_MODEL"]


# --- what they ask ----------------------------------------------------------------------------


def test_a_framework_does_not_change_what_is_asked(tmp_path: Path) -> None:
    """The keys under which a conversation is recorded are the same, message by message."""
    keys = {}
    for way in SAME:
        said = [UNIT, LOOK, "18 Nm [1]."]
        folder = tmp_path / way
        recorded = RecordedChat(
            model_name="m",
            model_digest="d",
            parameters={},
            mode="record",
            folder=folder,
            make=lambda way=way, said=said: model_for(way, said),
        )
        agent_of(way, recorded, tmp_path)("How tight, and since when?")
        keys[way] = {file.stem for file in folder.rglob("*.json")}
    assert len(keys["plain Python"]) == 3
    assert all(found == keys["plain Python"] for found in keys.values())


def test_dspy_asks_in_its_own_words(tmp_path: Path) -> None:
    model = model_for("DSPy", [LOOK, TEXT])
    agent_of("DSPy", model, tmp_path)("How tight?")
    system, user = model.asked[0]
    assert "Look things up with the tools" in system.text  # the task is the same
    assert "NX-4" not in system.text  # the examples are not
    assert user.text.startswith("[[ ## question ## ]]\nHow tight?")


def test_all_offer_the_same_tools() -> None:
    allowed = load_config().agent.allow[NAME]
    assert load_config(env=LOW_CODE).agent.allow["tools"] == allowed


# --- DSPy's optimiser -------------------------------------------------------------------------

TRAIN = [
    Case("a", "How tight is the flare nut?", facts=("18 Nm",), sources=("x",)),
    Case("b", "How heavy is it?", facts=("20 kg",), sources=("x",)),
    Case("c", "Which colour?", abstain=True),
]


def answers(messages: Sequence[BaseMessage]) -> str:
    """Look up once, then answer the torque, and abstain from everything else."""
    asked = messages[-1].text
    plan, right = in_json([LOOK, "18 Nm [1]."])
    if "`answer`" not in asked:
        return str(plan)
    return str(right) if "How tight" in asked else str(in_json(["NOT FOUND"])[0])


def test_what_went_right_becomes_an_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = wired("DSPy", ScriptedChat(script=answers), tmp_path)
    program, usage = compile_program(app, TRAIN, demos=4)
    for predictor in (program.plan, program.reply):
        asked = [demo.question for demo in predictor.demos]
        assert asked == [TRAIN[0].question, TRAIN[2].question]
    assert usage.calls == 6
    again, _ = compile_program(app, TRAIN, demos=4)
    assert again.dump_state() == program.dump_state()
    file = tmp_path / "program.json"
    program.save(file)
    agent = DspyAgent(**parts(app, ScriptedChat(script=answers)), compiled=file)
    assert agent("How tight?").text == "18 Nm."
    shown = "".join(m.text for m in agent.model.asked[0])  # type: ignore[attr-defined]
    assert TRAIN[0].question in shown
    assert TRAIN[1].question not in shown


def test_an_example_that_cannot_be_run_ends_the_compilation(tmp_path: Path) -> None:
    app = wired("DSPy", ScriptedChat(replies=[NotRecorded("never asked")]), tmp_path)
    with pytest.raises(NotRecorded, match="never asked"):
        compile_program(app, TRAIN)


def parts(app: App, model: Any) -> dict[str, Any]:
    made = uncompiled(app)
    names = ("name", "registry", "prompt", "usage_of", "context_chars", "min_support", "max_steps")
    return {"model": model, **{name: getattr(made, name) for name in names}}


def test_the_shipped_program_fits_the_configuration(tmp_path: Path, corpus: Path) -> None:
    app = build(load_config(overrides={"paths.state": str(tmp_path), "models.mode": "scripted"}))
    agent = load("agent", KINDS["DSPy"])(app)
    fresh = uncompiled(app)
    train = {case.question for case in load_cases(ROOT / "corpus" / "agent-train.yaml")}
    for name, compiled in agent.program.named_predictors():
        written = getattr(fresh.program, name).signature
        assert compiled.signature.instructions == written.instructions
        assert compiled.signature.equals(written)
        assert {demo["question"] for demo in compiled.demos} <= train
        assert compiled.demos


# --- the train split --------------------------------------------------------------------------

THINGS = re.compile(r"\b(?:\w+-\d{5,6}|[CI]\d{4})\b")
"""Serial numbers, parts, customers and invoices."""


def test_no_train_question_is_measured() -> None:
    train = load_cases(ROOT / "corpus" / "agent-train.yaml")
    measured = load_cases(ROOT / "corpus" / "agent-cases.yaml")
    named = {name for case in measured for name in THINGS.findall(case.question)}
    for case in train:
        alike = max(fuzz.token_sort_ratio(case.question, one.question) for one in measured)
        assert alike < 75, case.id
        assert not named & set(THINGS.findall(case.question)), case.id
    assert {case.slice for case in train} == {"documents", "records", "both", "nobody"}


def test_the_train_split_holds_in_documents_and_tables(corpus: Path) -> None:
    for case in load_cases(ROOT / "corpus" / "agent-train.yaml"):
        left = set(case.facts)
        for source in case.sources:
            table = corpus / "v1" / f"{source}.csv"
            if table.is_file():
                rows = rows_of(table, case.question)
                cells = {cell.removesuffix(".00") for row in rows for cell in row.values()}
                left -= {fact for fact in left if cells & set(fact.split("|"))}
        printed = tuple(source for source in case.sources if not source.startswith("tables/"))
        assert bool(left) == bool(printed), case.id
        if left:
            assert not check_cases([replace(case, facts=tuple(left), sources=printed)], corpus)


def rows_of(table: Path, question: str) -> list[dict[str, str]]:
    """Return Torvik's rows of the things that a question names; a part has a row a warehouse."""
    with table.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("tenant", "torvik") == "torvik"]
    named = THINGS.findall(question)
    return [r for r in rows if any(thing in cell for thing in named for cell in r.values())]


# --- around it --------------------------------------------------------------------------------


SOURCE = '''
"""What it is."""

import os  # why


def f(a,
      b):
    """Doc."""
    # no
    return (
        a
    )
'''


def test_lines_are_those_that_say_something() -> None:
    assert python_lines(SOURCE) == 6
    assert python_lines("") == 0
    assert python_lines("x = 'a\\\n\\\nb'\n") == 3
    assert yaml_lines("# no\n\na: 1  # yes\n  # no\nb:\n  - c\n") == 3


def test_the_frameworks_write_nothing_at_home_and_load_only_when_used(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    code = (
        "import sys\n"
        "import agentops_ref.apps.cli.main, agentops_ref.apps.oneagent\n"
        "assert not {'dspy', 'llama_index', 'langgraph'} & set(sys.modules)\n"
        "from pathlib import Path\n"
        "from tests.apps.test_oneagent import LOOK, WAYS, agent_of, model_for\n"
        "for way in WAYS:\n"
        f"    agent = agent_of(way, model_for(way, [LOOK, 'x']), Path({state!r}))\n"
        "    assert agent('?').text == 'x'\n"
        "assert 'litellm' not in sys.modules\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []
