"""Secrets: planted where they could come from, looked for wherever anything is kept or shown."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from agentops_ref import secret
from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import AuditFile, Caller, Registry, ToolSpec
from agentops_ref.config import load_config, shipped_config_dir
from agentops_ref.errors import OperatorError
from agentops_ref.ops.authserver import SigningKeys
from agentops_ref.records import Answer, Citation, Step, Usage
from agentops_ref.secret import Secret, guard_logs, learn, resolved, scrub, secret_of
from agentops_ref.testing import ScriptedChat
from agentops_ref.tracing import MlflowTracer

KEY = "k9-Zebra/Quartz+77=="
"""With signs that addresses and JSON write otherwise."""
QUOTED = 'with "quotes" \\ and 1 slash'


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setenv("PLANTED_QUOTED", QUOTED)
    learn({"a": {"token_env": "PLANTED_KEY"}, "b": ["${env:PLANTED_QUOTED}"]})


@pytest.fixture(scope="module")
def jwt_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    keys = SigningKeys(tmp_path_factory.mktemp("k") / "keys.json")
    return keys.sign({"sub": "kari", "aud": "agentops"})


# --- one text ---------------------------------------------------------------------------------


def test_a_secret_shows_itself_to_nobody() -> None:
    held = Secret("open-sesame-17")
    shown = [str(held), repr(held), f"{held}", f"{held:>20}", "%s %r" % (held, held), str([held])]  # noqa: UP031
    shown += [json.dumps({"a": held}, default=str), str({"a": held})]
    assert not [text for text in shown if "sesame" in text]
    assert held.reveal() == "open-sesame-17"
    assert held == Secret("open-sesame-17") != Secret("another-17")
    assert copy.deepcopy(held) is copy.copy(held) is held
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(held)
    with pytest.raises(TypeError):
        json.dumps(held)


@pytest.mark.usefixtures("planted")
def test_what_was_named_is_taken_out_in_every_spelling() -> None:
    from urllib.parse import quote

    for form in (KEY, quote(KEY, safe=""), quote(KEY), json.dumps(KEY)[1:-1]):
        assert scrub(f"before {form} after") == "before *** after"
    assert json.loads(scrub(json.dumps({"x": QUOTED}))) == {"x": "***"}


def test_bearer_tokens_and_web_tokens_are_known_by_their_look(jwt_text: str) -> None:
    assert scrub(f"got {jwt_text}, thanks") == "got ***, thanks"
    assert scrub(f"{jwt_text.rpartition('.')[0]}.") == "***"
    assert scrub("Authorization: Bearer abc") == "Authorization: Bearer ***"
    assert scrub("{'authorization': 'Basic dXNlcg=='}") == "{'authorization': 'Basic ***'}"
    assert scrub('{"Authorization": "Bearer abc"}') == '{"Authorization": "Bearer ***"}'
    assert scrub("(b'authorization', b'x')") == "(b'authorization', b'x')"
    assert scrub("curl with bearer dapi0123456789abcdef") == "curl with bearer ***"


@pytest.mark.parametrize(
    "text",
    [
        "The bearer certificates of the old boiler, basic maintenance",
        "Torque 18 Nm, part FV-1029, serial NX4-230001, R290 0.65 kg",
        "bearer of bad news",
        "",
    ],
)
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert scrub(text) is text


@pytest.mark.usefixtures("planted")
def test_short_values_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", "a")
    assert scrub("a banana") == "a banana"


@dataclass(frozen=True)
class Held:
    text: str
    inner: tuple[Any, ...] = ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=20,
)


@given(JSON)
def test_what_holds_no_secret_is_returned_itself(value: Any) -> None:
    assert scrub(value) is value
    held = Held("x", (value,))
    assert scrub(held) is held


@given(JSON, st.text(), st.text())
def test_a_secret_is_found_however_deep(value: Any, before: str, after: str) -> None:
    text = f"{before} {KEY} {after}"
    secret.remember(KEY)
    whole = {"a": [value, {"b": (Held(text, (text,)), text.encode(errors="replace"))}], text: 1}
    assert KEY not in repr(scrub(whole))


def test_an_answer_is_scrubbed_whole() -> None:
    secret.remember(KEY)
    answer = Answer(
        f"it is {KEY}",
        abstained=False,
        citations=(Citation("a.md", "0" * 12, 1, f"the key is {KEY}"),),
        usage=Usage(1, 2, 0.5),
        steps=(Step("a", "b", f"{{{KEY}}}", detail=KEY),),
        problem=f"failed: {KEY}",
    )
    clean = scrub(answer)
    assert KEY not in repr(clean)
    assert clean.usage is answer.usage
    assert clean.text == "it is ***"


def test_old_values_make_room_for_new_ones() -> None:
    for number in range(secret.MOST + 20):
        secret.remember(f"value-{number:04}")
    assert scrub(f"value-{secret.MOST + 19:04}") == "***"
    assert len(secret._values) == secret.MOST


# --- by reference -----------------------------------------------------------------------------


@pytest.mark.usefixtures("planted")
def test_references_are_looked_up_at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"X-Key": "${env:PLANTED_KEY}", "n": 3, "deep": [{"a": "<${env:PLANTED_KEY}>"}]}
    assert resolved(given, "headers") == {"X-Key": KEY, "n": 3, "deep": [{"a": f"<{KEY}>"}]}
    monkeypatch.setenv("PLANTED_KEY", "another-one-now")
    assert resolved("${env:PLANTED_KEY}", "k") == "another-one-now"
    assert scrub("another-one-now") == "***"
    monkeypatch.delenv("PLANTED_KEY")
    with pytest.raises(OperatorError, match=r"headers\.X-Key: .* PLANTED_KEY is not set"):
        resolved(given, "headers")
    with pytest.raises(OperatorError, match=r"tools\.x: .* NO_SUCH is not set"):
        secret_of("NO_SUCH", "tools.x")


def test_a_configuration_holds_and_shows_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    servers = [
        {"name": "a", "url": "https://a.example/mcp", "headers": {"X-Key": "${env:PLANTED_KEY}"}}
    ]
    config = load_config(
        overrides={
            "tools.servers": servers,
            "memory.uri": "postgresql://me:${env:PLANTED_KEY}@db.example/x",
            "models.chat.options": {
                "api_key": "written-in-yaml-1",
                "base_url": "https://m.example",
            },
            "etl.sink.uri": "postgresql://me:in-the-address-2@db.example/x",
        }
    )
    assert config.tools.servers[0].headers == {"X-Key": "${env:PLANTED_KEY}"}
    shown = json.dumps([list(row) for row in config.rows()], default=str)
    for hidden in (KEY, "written-in-yaml-1", "in-the-address-2"):
        assert hidden not in shown
        assert scrub(f"<{hidden}>") == "<***>", "it is known from now on"
    assert "${env:PLANTED_KEY}" in shown
    assert "https://m.example" in shown


def test_the_command_shows_no_secret(tmp_path: Path) -> None:
    def agentops(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "agentops_ref.apps.cli", *arguments],
            env={**os.environ, "PLANTED_KEY": KEY, "COLUMNS": "400"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    given = (
        "--set=etl.sink.kind=postgres",
        "--set=etl.sink.uri=postgresql://me:in-the-address-2@127.0.0.1:9/x",
        "--set=models.chat.options={api_key: written-in-yaml-1}",
        "--set=memory.uri=postgresql://me:${env:PLANTED_KEY}@127.0.0.1:9/x",
        f"--set=paths.state={tmp_path}",
    )
    for command in (
        ("config", "show", *given),
        ("config", "show", "--json", *given),
        ("search", "torque", *given),
        ("memory", "show", "customer C1", *given),
    ):
        out = agentops(*command)
        assert out
        for hidden in (KEY, "in-the-address-2", "written-in-yaml-1"):
            assert hidden not in out, command


# --- logs -------------------------------------------------------------------------------------


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A log file as a program would have it, with a handler that was there before."""
    factory = logging.getLogRecordFactory()
    file = tmp_path / "program.log"
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    guard_logs()
    guard_logs()  # once is enough, and twice does no harm
    yield file.read_text
    root.removeHandler(handler)
    handler.close()
    logging.setLogRecordFactory(factory)


@pytest.mark.usefixtures("planted")
def test_logs_of_every_library_are_scrubbed(logged: Callable[[], str], jwt_text: str) -> None:
    theirs = logging.getLogger("somebody.elses.library")
    theirs.warning("sending %s to %s", {"Authorization": f"Bearer {jwt_text}"}, "a.example")
    theirs.error("key %s", KEY)
    theirs.error(f"key {KEY}")
    try:
        try:
            raise ValueError(f"cannot connect with {KEY}")
        except ValueError as error:
            raise RuntimeError(f"token {jwt_text}") from error
    except RuntimeError:
        theirs.exception("it failed")
    theirs.error("%s %s and nothing to fill", *["only one"] * 2)
    written = logged()
    assert KEY not in written
    assert jwt_text not in written
    assert "cannot connect with ***" in written, "what happened, and where, is still told"
    assert "Traceback" in written
    assert "RuntimeError: token ***" in written


def test_other_records_are_as_they_were(logged: Callable[[], str]) -> None:
    logging.getLogger("x").warning("torque %d Nm", 18)
    try:
        raise ValueError("plain")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    assert "torque 18 Nm" in logged()
    assert "ValueError: plain" in logged()


# --- everything at once -----------------------------------------------------------------------


class Leaky:
    """A tool that tells what it should not: in its result, or in what it raises."""

    def __init__(self, name: str, told: Any) -> None:
        schema = {"type": "object", "properties": {"note": {"type": "string"}}}
        self.spec = ToolSpec(name, "Tells.", schema)
        self._told = told

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        if isinstance(self._told, Exception):
            raise self._told
        return self._told


def everything_in(database: Path) -> bytes:
    """All of a SQLite file's bytes, what its log holds included, and every row as text."""
    held = sqlite3.connect(database)
    rows = []
    for (table,) in held.execute("select name from sqlite_master where type = 'table'").fetchall():
        rows += [repr(row) for row in held.execute(f'select * from "{table}"')]
    held.close()
    files = database.parent.glob(f"{database.name}*")
    return "\n".join(rows).encode() + b"".join(file.read_bytes() for file in files)


@pytest.mark.filterwarnings("default")  # MLflow warns itself, and as an error it records nothing
@pytest.mark.usefixtures("planted")
def test_planted_secrets_are_in_no_trace_log_audit_or_answer(
    tmp_path: Path, logged: Callable[[], str], jwt_text: str
) -> None:
    """In the question, a header, tools' arguments, results and errors, and the model's words."""
    import mlflow

    database, audit = tmp_path / "mlflow.db", tmp_path / "tools.jsonl"
    tracer = MlflowTracer(f"sqlite:///{database}", "secrets")
    registry = Registry(
        [
            Leaky("rows", [{"note": f"the key is {KEY}", "header": f"Bearer {jwt_text}"}]),
            Leaky("fails", RuntimeError(f"connecting with {KEY} and {jwt_text}")),
            Leaky("quoted", {"config": {"password": QUOTED}}),
        ],
        audit=AuditFile(audit),
        tracer=tracer,
    )
    call = {"note": f"use {KEY}"}
    calls = [
        {"name": name, "args": call, "id": name} for name in ("rows", "fails", "quoted", "absent")
    ]
    model = ScriptedChat(
        replies=[*(AIMessage("", tool_calls=[one]) for one in calls), f"it is {KEY}"]
    )
    agent = ToolLoop(
        name="tools",
        registry=registry,
        model=model,
        prompt=load_prompt(shipped_config_dir() / "prompts", "tools.md"),
        usage_of=lambda message: Usage(1, 1, 0.0, 1),
        context_chars=1000,
        min_support=0.5,
        max_steps=8,
        tracer=tracer,
    )
    answer = agent(f"My key is {KEY}, and Authorization: Bearer {jwt_text}", request=Request())
    with (
        pytest.raises(ValueError, match="Zebra"),
        tracer.span(
            f"failing with {KEY}", "AGENT", {"headers": {"Authorization": f"Bearer {KEY}"}}
        ),
    ):
        raise ValueError(f"{KEY} {jwt_text}")
    mlflow.flush_trace_async_logging()
    hidden = [KEY, QUOTED, json.dumps(QUOTED)[1:-1], jwt_text, jwt_text.split(".")[2]]
    traces = everything_in(database)
    assert traces.count(b"the key is ***") > 0, "the traces are there"
    assert b"exception" in traces
    for text in hidden:
        assert text.encode() not in traces, text
        assert text not in audit.read_text(), text
        assert text not in logged(), text
        assert text not in repr(scrub(answer)), text
    statuses = [json.loads(line)["status"] for line in audit.read_text().splitlines()]
    assert statuses == ["ok", "failed", "ok", "unknown"]
    # What the model was told of the results had no secret either; only the user's own words did.
    told = [message.text for message in model.asked[-1] if message.type == "tool"]
    assert len(told) == len(calls)
    assert not [text for text in told if KEY in text or QUOTED in text or jwt_text in text]


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("planted")
def test_a_trace_that_is_exported_holds_no_secret(tmp_path: Path, jwt_text: str) -> None:
    """What a reader of the API, or a data set made of traces, gets."""
    import mlflow

    tracer = MlflowTracer(f"sqlite:///{tmp_path}/mlflow.db", "secrets")

    @dataclass
    class Result:
        text: str

    with tracer.span("root", "AGENT", {"question": KEY}) as span:
        with tracer.span("tool", "TOOL", {"args": [jwt_text]}) as inner:
            inner.outputs(Result(f"object of a class: {KEY}"))
        span.outputs({"answer": f"<{KEY}>"})
    mlflow.flush_trace_async_logging()
    trace = tracer.connect().get_trace(span.trace_id)
    whole = trace.to_json()
    assert "<***>" in whole
    assert KEY not in whole
    assert jwt_text not in whole
    assert KEY not in str(trace.info.request_preview) + str(trace.info.response_preview)
    assert {one.name for one in trace.data.spans} == {"root", "tool"}
