"""The registry's invariants: one record for each call, nothing raised, nothing called in vain."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.agents.tools import (
    AuditFile,
    AuditRecord,
    Caller,
    Rate,
    Registry,
    ToolSpec,
    WrongArguments,
)
from agentops_ref.agents.tools.audit import digest_of
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.agents.tools.policy import Calls, wait_for
from agentops_ref.agents.tools.spec import cut, told
from agentops_ref.errors import ConfigError, DeveloperError, OperatorError

SCHEMA = {
    "type": "object",
    "properties": {
        "serial": {"type": "string", "description": "serial number"},
        "count": {"type": "integer", "minimum": 1},
        "slot": {"enum": ["morning", "afternoon"]},
    },
    "required": ["serial"],
    "additionalProperties": False,
}


class Counted:
    """A tool that counts its calls and does what it is told to."""

    def __init__(self, act: Any = "18 Nm", **spec: Any) -> None:
        self.spec = ToolSpec(
            **{"name": "look", "description": "Looks.", "parameters": SCHEMA} | spec
        )
        self.act, self.calls = act, 0
        self._guard = threading.Lock()

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        with self._guard:
            self.calls += 1
        return self.act(arguments) if callable(self.act) else self.act


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


RIGHT = {"serial": "NL8-241007"}


def raiser(error: BaseException) -> Any:
    def act(arguments: Any) -> Any:
        raise error

    return act


class Hostile:
    """What breaks whoever looks at it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_call_gives_the_value_and_the_text() -> None:
    tool = Counted([{"part": "FV-1", "quantity": 3}])
    result = Registry([tool]).call("look", RIGHT, Caller("chain"))
    assert result.ok
    assert result.value == [{"part": "FV-1", "quantity": 3}]
    assert result.text == "part: FV-1; quantity: 3"
    assert not result.repeated
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "argument 'serial' is missing: expected string, serial number"),
        ({"serial": 5}, "argument 'serial': expected string, serial number, got 5"),
        (
            {"serial": "x", "slot": "noon"},
            'argument \'slot\': expected one of "morning", "afternoon", got "noon"',
        ),
        ({"serial": "x", "count": 0}, "argument 'count': expected integer, got 0 (0 is less"),
        ({"serail": "x"}, "there is no argument 'serail'; did you mean 'serial'?"),
        ({"serial": "x", "count": True}, "argument 'count': expected integer, got true"),
        ("NL8", 'expected an object of arguments, got "NL8"'),
        (None, "expected an object of arguments, got null"),
        ({"serial": {1, 2}}, "expected JSON"),
        ({"serial": float("nan")}, "expected JSON"),
    ],
)
def test_wrong_arguments_name_the_argument_and_reach_no_tool(arguments: Any, said: str) -> None:
    tool = Counted()
    result = Registry([tool]).call("look", arguments, Caller("chain"))
    assert result.status == "invalid"
    assert said in result.text
    assert tool.calls == 0


def test_a_message_lists_no_more_errors_than_a_model_can_mend() -> None:
    many = {f"argument {number}": "x" * 1000 for number in range(500)}
    text = Registry([Counted()]).call("look", many, Caller("chain")).text
    assert len(text) < 1000


def test_a_schema_is_followed_to_no_other_host() -> None:
    """A reference in a foreign schema would be a request that nobody asked for."""
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    tool = Counted(parameters=schema)
    result = Registry([tool]).call("look", {"a": 1}, Caller("chain"))
    assert result.status == "invalid"
    assert "cannot be judged" in result.text
    assert tool.calls == 0


def test_an_unknown_tool_is_answered_with_the_nearest_that_is_allowed() -> None:
    secret = Counted(name="looks", agents=("clerk",))
    registry = Registry([secret, Counted()])
    result = registry.call("lookk", {}, Caller("chain"))
    assert (result.status, result.text) == (
        "unknown",
        "there is no tool 'lookk'; did you mean 'look'?",
    )
    assert secret.calls == 0


def test_an_agent_off_the_list_never_reaches_the_function() -> None:
    records: list[AuditRecord] = []
    tool = Counted(agents=("clerk",))
    registry = Registry([tool], audit=records.append)
    assert registry.call("look", RIGHT, Caller("chain")).status == "denied"
    assert tool.calls == 0
    assert registry.call("look", RIGHT, Caller("clerk")).ok
    assert tool.calls == 1
    assert [record.status for record in records] == ["denied", "ok"]
    assert registry.specs("chain") == ()
    assert [spec.name for spec in registry.specs("clerk")] == ["look"]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
anything = (
    json_like | st.fixed_dictionaries({"serial": st.text()}) | st.builds(Hostile) | st.binary()
)
acts = st.sampled_from(
    [
        "text",
        "",
        None,
        {"a": {"b": [1, None]}},
        [],
        Hostile(),
        "x" * 100_000,
        raiser(ValueError("broken")),
        raiser(WrongArguments("argument 'serial': nobody has it")),
        raiser(SystemExit(3)),
        raiser(GeneratorExit()),
        raiser(TimeoutError("asleep")),
        raiser(RecursionError()),
    ]
)


@given(
    name=st.sampled_from(["look", "book", "keep", "nothing"]) | st.text(),
    arguments=anything,
    act=acts,
    agent=st.sampled_from(["chain", "clerk"]),
    request=st.sampled_from(["r1", "r2"]),
    limits=st.sampled_from([None, Allowance(), Allowance(steps=0), Allowance(seconds=30)]),
)
def test_never_raises_and_leaves_one_record_for_each_call(
    name: str, arguments: Any, act: Any, agent: str, request: str, limits: Allowance | None
) -> None:
    records: list[AuditRecord] = []
    tools = [
        Counted(act),
        Counted(act, name="book", effect="write", agents=("clerk",)),
        Counted(act, name="keep", repeat="never", rate=Rate(1, 60)),
    ]
    registry = Registry(tools, audit=records.append)
    caller = Caller(agent, request=request)
    for again in range(2):
        result = registry.call(name, arguments, caller, None if limits is None else Limits(limits))
        assert result.text
        assert len(result.text) < 2100
        ended = [record for record in records if record.status != "begun"]
        assert len(ended) == again + 1
        record = ended[-1]
        assert (record.status, record.agent, record.request) == (result.status, agent, request)
        assert record.result == digest_of(result.text)
        json.dumps(record.arguments)
        assert (result.value is None) or result.ok
    if agent == "chain":
        assert tools[1].calls == 0
    assert tools[1].calls == len(records) - len(ended) <= 1  # a write is on record before it begins
    assert tools[2].calls <= 1


def test_the_audit_holds_arguments_as_given(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "tools.jsonl"
    registry = Registry([Counted(version="7")], audit=AuditFile(file))
    caller = Caller("chain", tenant="torvik", user="bo", request="r1", thread="t1")
    registry.call("look", RIGHT, caller)
    registry.call("look", {"serail": "x"}, caller)
    registry.call("gone", Hostile(), caller)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["ok", "invalid", "unknown"]
    first = lines[0]
    assert first["arguments"] == RIGHT
    assert first["version"] == "7"
    assert (first["tenant"], first["user"], first["request"], first["thread"]) == (
        "torvik",
        "bo",
        "r1",
        "t1",
    )
    assert first["result"] == digest_of("18 Nm")
    assert "18 Nm" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_lines_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "tools.jsonl"
    registry = Registry([Counted()], audit=AuditFile(file))
    with ThreadPoolExecutor(8) as pool:
        for number in range(200):
            pool.submit(registry.call, "look", {"serial": f"{number}" * 500}, Caller("chain"))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 200
    assert {line["arguments"]["serial"][:3] for line in lines} >= {"111", "199"}


def test_an_audit_that_cannot_be_written_is_the_operators_business(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    registry = Registry([Counted()], audit=AuditFile(tmp_path / "file" / "tools.jsonl"))
    with pytest.raises(OperatorError, match=r"tools\.audit"):
        registry.call("look", RIGHT, Caller("chain"))


def test_one_span_for_each_call() -> None:
    spans: list[tuple[str, str, Any, Any]] = []
    failed: list[str] = []

    class Traced:
        @contextmanager
        def span(self, name: str, kind: str, inputs: Any) -> Iterator[Any]:
            class Span:
                trace_id = ""

                def outputs(self, value: Any) -> None:
                    spans.append((name, kind, inputs, value))

                def failed(self, why: str) -> None:
                    failed.append(why)

            yield Span()

    registry = Registry([Counted()], tracer=Traced())
    registry.call("look", RIGHT, Caller("chain"))
    registry.call("look", [1], Caller("chain"))
    assert spans[0] == ("look", "TOOL", RIGHT, "18 Nm")
    assert spans[1][2] == {"arguments": [1]}
    assert [why.partition(":")[0] for why in failed] == ["invalid"]


# --- how often ------------------------------------------------------------------------------


def test_the_rate_holds_for_each_tenant() -> None:
    clock = Clock()
    tool = Counted(rate=Rate(2, 10))
    registry = Registry([tool], clock=clock)
    one, other = Caller("chain", tenant="torvik"), Caller("chain", tenant="granmo")
    assert registry.call("look", RIGHT, one).ok
    clock.now = 4
    assert registry.call("look", RIGHT, one).ok
    refused = registry.call("look", RIGHT, one)
    assert (refused.status, tool.calls) == ("limited", 2)
    assert "try again in 6 s" in refused.text
    assert registry.call("look", RIGHT, other).ok
    clock.now = 10
    assert registry.call("look", RIGHT, one).ok
    assert registry.call("look", RIGHT, one).status == "limited"


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=60),
    st.integers(1, 5),
    st.floats(0.5, 20),
)
def test_no_window_ever_holds_more_calls_than_its_rate(
    moments: list[float], calls: int, seconds: float
) -> None:
    rate = Rate(calls, seconds)
    made: list[float] = []
    for moment in sorted(moments):
        wait = wait_for(made, rate, moment)
        if wait == 0:
            made.append(moment)
        else:
            assert wait <= seconds + 1e-9
    for first, last in zip(made, made[calls:], strict=False):
        assert last - first >= seconds - 1e-9


def test_a_refused_write_may_be_called_again_later() -> None:
    clock = Clock()
    tool = Counted(effect="write", rate=Rate(1, 10))
    registry = Registry([tool], clock=clock)
    assert registry.call("look", {"serial": "1"}, Caller("chain", request="r")).ok
    assert registry.call("look", {"serial": "2"}, Caller("chain", request="r")).status == "limited"
    clock.now = 11
    again = registry.call("look", {"serial": "2"}, Caller("chain", request="r"))
    assert again.ok
    assert not again.repeated
    assert tool.calls == 2


# --- once -----------------------------------------------------------------------------------


def test_a_write_is_made_once_in_a_request() -> None:
    numbers = iter(range(100))
    tool = Counted(lambda _: next(numbers), effect="write")
    registry = Registry([tool])
    first = registry.call("look", {"serial": "a", "count": 1}, Caller("chain", request="r"))
    again = registry.call("look", {"count": 1, "serial": "a"}, Caller("other", request="r"))
    assert (first.value, again.value) == (0, 0)
    assert (first.repeated, again.repeated) == (False, True)
    assert tool.calls == 1
    assert registry.call("look", {"serial": "b"}, Caller("chain", request="r")).value == 1
    assert registry.call("look", {"serial": "a"}, Caller("chain", request="s")).value == 2
    assert registry.call("look", {"serial": "a"}, Caller("chain")).value == 3


def test_another_tenant_gets_no_result_of_the_same_request() -> None:
    tool = Counted(repeat="once")
    registry = Registry([tool])
    registry.call("look", RIGHT, Caller("chain", tenant="torvik", request="r"))
    other = registry.call("look", RIGHT, Caller("chain", tenant="granmo", request="r"))
    assert not other.repeated
    assert tool.calls == 2


def test_once_holds_for_two_threads_at_the_same_moment() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(arguments: Any) -> str:
        entered.set()
        assert leave.wait(10)
        return "booked"

    tool = Counted(slow, effect="write")
    registry = Registry([tool])
    caller = Caller("chain", request="r")
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(registry.call, "look", RIGHT, caller) for _ in range(8)]
        assert entered.wait(10)
        time.sleep(0.05)
        leave.set()
        results = [call.result() for call in calls]
    assert tool.calls == 1
    assert {result.text for result in results} == {"booked"}
    assert sorted(result.repeated for result in results) == [False] + [True] * 7


def test_never_refuses_the_second_call() -> None:
    tool = Counted(repeat="never")
    registry = Registry([tool])
    caller = Caller("chain", request="r")
    assert registry.call("look", RIGHT, caller).ok
    again = registry.call("look", RIGHT, caller)
    assert (again.status, again.repeated, tool.calls) == ("limited", True, 1)


def test_a_failed_read_may_be_made_again_and_a_failed_write_not() -> None:
    for effect, calls in (("read", 2), ("write", 1)):
        tool = Counted(raiser(ValueError("broken")), effect=effect, repeat="once")
        registry = Registry([tool])
        caller = Caller("chain", request="r")
        results = [registry.call("look", RIGHT, caller) for _ in range(2)]
        assert [result.status for result in results] == ["failed", "failed"]
        assert results[0].text == "the tool failed: ValueError: broken"
        assert tool.calls == calls


def test_only_the_newest_requests_are_remembered() -> None:
    calls = Calls(requests=2)
    for request in "abc":
        assert calls.claim(request, "x")[1]
    assert not calls.claim("c", "x")[1]
    assert not calls.claim("b", "x")[1]
    assert calls.claim("a", "x")[1]


# --- how long -------------------------------------------------------------------------------


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    leave = threading.Event()
    yield leave
    leave.set()


def test_a_hung_tool_ends_at_its_timeout(hung: threading.Event) -> None:
    tool = Counted(lambda _: hung.wait(20), timeout=0.1)
    started = time.monotonic()
    result = Registry([tool]).call("look", RIGHT, Caller("chain"))
    assert time.monotonic() - started < 5
    assert (result.status, result.text) == ("timeout", "look: no answer within 0.1 seconds")


def test_a_hung_tool_ends_at_the_requests_deadline(hung: threading.Event) -> None:
    tool = Counted(lambda _: hung.wait(20), timeout=15)
    started = time.monotonic()
    limits = Limits(Allowance(seconds=0.1))
    result = Registry([tool]).call("look", RIGHT, Caller("chain"), limits)
    assert time.monotonic() - started < 5
    assert result.status == "timeout"
    assert "the request's 0.1 seconds" in result.text
    over = Registry([tool]).call("look", RIGHT, Caller("chain"), limits)
    assert (over.status, tool.calls) == ("timeout", 1)


def test_a_write_that_was_slow_is_not_made_twice_and_gives_its_result_later(
    hung: threading.Event,
) -> None:
    def slow(arguments: Any) -> str:
        hung.wait(20)
        return "booked as 7"

    tool = Counted(slow, effect="write", timeout=0.1)
    registry = Registry([tool])
    caller = Caller("chain", request="r")
    first = registry.call("look", RIGHT, caller)
    assert first.status == "timeout"
    assert "may have been done" in first.text
    assert registry.call("look", RIGHT, caller).status == "timeout"
    hung.set()
    deadline = time.monotonic() + 10
    while not (again := registry.call("look", RIGHT, caller)).ok and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (again.text, again.repeated, tool.calls) == ("booked as 7", True, 1)


def test_a_request_without_steps_left_calls_no_tool_and_forgets_the_call() -> None:
    tool = Counted(effect="write")
    registry = Registry([tool])
    caller = Caller("chain", request="r")
    result = registry.call("look", RIGHT, caller, Limits(Allowance(steps=0)))
    assert (result.status, tool.calls) == ("limited", 0)
    assert registry.call("look", RIGHT, caller).ok


def test_a_hung_tool_gathers_no_threads_without_end(hung: threading.Event) -> None:
    tool = Counted(lambda _: hung.wait(20), timeout=0.05)
    registry = Registry([tool], at_once=2)
    statuses = [registry.call("look", RIGHT, Caller("chain")).status for _ in range(4)]
    assert statuses == ["timeout", "timeout", "limited", "limited"]
    assert tool.calls == 2
    hung.set()
    deadline = time.monotonic() + 10
    while not (free := registry.call("look", RIGHT, Caller("chain"))).ok:
        assert time.monotonic() < deadline, free
        time.sleep(0.01)


def test_a_huge_result_is_cut_and_says_so() -> None:
    tool = Counted("x" * 10_000, max_chars=100)
    result = Registry([tool]).call("look", RIGHT, Caller("chain"))
    assert result.text == "x" * 100 + "\n[cut: 100 of 10000 characters are shown]"
    assert len(result.value) == 10_000


@given(st.text(), st.integers(1, 50))
def test_a_text_is_cut_only_when_it_is_longer(text: str, most: int) -> None:
    shown = cut(text, most)
    assert (shown == text) == (len(text) <= most)
    assert shown.startswith(text[:most])


def test_what_a_model_is_told_of_a_value() -> None:
    assert told({"a": 1, "b": None, "c": [1, 2]}) == "a: 1; b: null; c: [1, 2]"
    assert told([{"a": 1}, {"a": 2}]) == "a: 1\na: 2"
    assert told([]) == told({}) == told("") == "nothing found"
    assert told(None) == "done"
    assert told(True) == "true"
    assert told(2.5) == "2.5"


# --- what there is --------------------------------------------------------------------------


def test_the_digest_names_everything_that_a_release_pins() -> None:
    registry = Registry([Counted(), Counted(name="book")])
    assert registry.digest() == Registry([Counted(name="book"), Counted()]).digest()
    for change in (
        {"version": "2"},
        {"description": "Sees."},
        {"parameters": {"type": "object"}},
        {"agents": ("clerk",)},
        {"timeout": 3.0},
    ):
        assert Registry([Counted(**change), Counted(name="book")]).digest() != registry.digest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "two words"}, "'two words'"),
        ({"name": "none"}, "not 'none'"),
        ({"timeout": 0}, "above 0"),
        ({"rate": Rate(0, 1)}, "rate"),
        ({"parameters": {"type": 5}}, "no JSON schema"),
        ({"parameters": {"type": "array"}}, "an object's"),
    ],
)
def test_a_specification_that_cannot_work_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DeveloperError, match=said):
        Registry([Counted(**change)])


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(DeveloperError, match="two tools named 'look'"):
        Registry([Counted(), Counted()])


def test_a_source_that_is_not_there_is_named_and_asked_again() -> None:
    clock = Clock()

    class Source:
        name, asked = "server", 0

        def tools(self) -> list[Counted]:
            self.asked += 1
            if self.asked == 1:
                raise ConnectionError("refused")
            return [Counted()]

    source = Source()
    registry = Registry([Counted(name="other")], clock=clock)
    registry.connect(source)
    assert registry.absent == {"server": "ConnectionError: refused"}
    assert [spec.name for spec in registry.specs()] == ["other"]
    assert source.asked == 1
    clock.now = 31
    registry.specs()
    deadline = time.monotonic() + 10
    while len(registry.specs()) == 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [spec.name for spec in registry.specs()] == ["other", "look"]
    assert registry.absent == {}


def test_a_tool_is_adapted_before_it_is_called() -> None:
    class Own(Counted):
        def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
            return self.spec.timeout

    tool = Own()
    registry = Registry([tool], adapt=lambda spec: replace(spec, timeout=3.5))
    assert registry.call("look", RIGHT, Caller("chain")).value == 3.5
    assert tool.spec.timeout == 10


# --- functions ------------------------------------------------------------------------------


def booked(serial: str, count: int = 2, *, caller: Caller) -> str:
    """Books a visit.

    More for the developer.
    """
    return f"{serial} {count} for {caller.tenant}"


def bare(serial: str) -> str:
    return serial


def loose(*serials: str) -> None:
    """Takes anything."""


def untyped(serial) -> None:  # type: ignore[no-untyped-def]
    """Says nothing of its argument."""


def test_a_function_is_a_tool_and_the_caller_no_argument() -> None:
    tool = FunctionTool(booked, effect="write")
    assert tool.spec.name == "booked"
    assert tool.spec.description == "Books a visit."
    assert tool.spec.repeat == "once"
    assert tool.spec.parameters == {
        "type": "object",
        "properties": {
            "serial": {"type": "string"},
            "count": {"type": "integer", "default": 2},
        },
        "required": ["serial"],
        "additionalProperties": False,
    }
    registry = Registry([tool])
    caller = Caller("chain", tenant="torvik")
    assert registry.call("booked", {"serial": "NL8"}, caller).text == "NL8 2 for torvik"
    smuggled = registry.call("booked", {"serial": "NL8", "caller": "granmo"}, caller)
    assert smuggled.status == "invalid"


@pytest.mark.parametrize(
    ("function", "said"),
    [(bare, "docstring"), (loose, r"\*serials"), (untyped, "annotation")],
)
def test_a_function_that_says_too_little_is_refused(function: Any, said: str) -> None:
    with pytest.raises(DeveloperError, match=said):
        FunctionTool(function)


def test_an_import_path_that_leads_nowhere_is_named() -> None:
    from agentops_ref.agents.tools.functions import imported

    assert imported(f"{__name__}:booked") is booked
    for path in ("nowhere", "no.module:x", f"{__name__}:nothing"):
        with pytest.raises(ConfigError, match=path):
            imported(path)


def test_as_function_is_what_a_chat_model_is_bound_to() -> None:
    from langchain_core.utils.function_calling import convert_to_openai_tool

    form = Counted().spec.as_function()
    assert convert_to_openai_tool(form) == form
