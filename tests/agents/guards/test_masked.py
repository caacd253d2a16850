"""Personal data that is planted anywhere is in no trace, audit, log or export."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from agentops_ref.agents.guards import Guarded
from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import AuditFile, Registry, SearchTool
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.config import load_config
from agentops_ref.records import Chunk, Hit, Usage
from agentops_ref.testing import ScriptedChat
from agentops_ref.wiring import build

PLANTED = {
    "question": "berit.skaugrud@example.com",
    "document": "+00 555 0287",
    "tool": "51 Specimen Road",
    "memory": "gate code is 7731",
    "known name": "Astrid Fjellmyr",
    "answer": "NO93 8601 1117 947",
}


@pytest.mark.filterwarnings("default")  # MLflow warns itself, and as an error it records nothing
@pytest.mark.parametrize("how", ["patterns", "presidio"])
def test_nothing_personal_is_kept(
    how: str, tmp_path: Path, corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="agentops_ref")
    app = build(
        load_config(
            overrides={
                "paths.state": str(tmp_path),
                "paths.corpus": str(corpus),
                "tracking.mask": how,
                "guards.checks.pii.channels": [],
                "guards.checks.grounded.channels": [],
            }
        )
    )
    app.sync_tables()

    def note(about: str) -> str:
        """A note."""
        return f"address: {PLANTED['tool']}; owner: {PLANTED['known name']}"

    def search(query: str, **more: Any) -> list[Hit]:
        text = f"Call {PLANTED['document']} about {PLANTED['known name']}."
        return [Hit(Chunk("a", "notes/a.md", "0" * 12, 0, text, "A"), 1.0)]

    calls = [
        {"name": "note", "args": {"about": PLANTED["question"]}, "id": "1"},
        {"name": "search_documents", "args": {"query": PLANTED["known name"]}, "id": "2"},
    ]
    said = f"Pay to {PLANTED['answer']}, {PLANTED['known name']}, {PLANTED['document']}."
    model = ScriptedChat(replies=[AIMessage("", tool_calls=calls), said])
    audit = tmp_path / "tools.jsonl"
    registry = Registry(
        [FunctionTool(note), SearchTool(app.guards.search(search))],
        audit=AuditFile(audit, mask=app.mask),
        tracer=app.tracer,
        inspect=app.guards.result,
    )
    loop = ToolLoop(
        name="tools",
        registry=registry,
        model=model,
        prompt=app.prompt_of("tools"),
        usage_of=lambda message: Usage(calls=1),
        context_chars=1000,
        min_support=0.5,
        max_steps=3,
        tracer=app.tracer,
    )
    told = app.config.guards.refusals.model_dump(include={"user", "answer", "ask"})
    agent = Guarded(loop, app.guards, **told)
    fact = Hit(Chunk("f", "memory/C1001", "f", 0, f"The {PLANTED['memory']}.", "fact"), 1.0)
    answer = agent(
        f"Who is {PLANTED['question']}?", request=Request(tenant="torvik", known=(fact,))
    )
    assert answer.text == said, "who asked is told"
    assert PLANTED["memory"] in "".join(message.text for message in model.asked[-1])

    mlflow = app.tracer.connect()
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(answer.trace_id)
    assert len(trace.data.spans) >= 4
    kept = {
        "trace": trace.to_json(),
        "audit": audit.read_text(encoding="utf-8"),
        "log": caplog.text,
        "shown": json.dumps([str(line) for line in app.trace(answer.trace_id)]),
    }
    assert "[PERSON " in kept["trace"]
    assert "[EMAIL " in kept["audit"]
    for place, text in kept.items():
        for where, value in PLANTED.items():
            secret = value.removeprefix("gate code is ")
            assert secret not in text, f"{where} in the {place}"
            assert secret.replace(" ", "") not in text.replace(" ", ""), f"{where} in the {place}"


def test_without_masking_a_value_is_kept_as_it_is(tmp_path: Path) -> None:
    app = build(load_config(overrides={"paths.state": str(tmp_path), "tracking.mask": "none"}))
    value = {"a": [PLANTED["question"]]}
    assert app.masker is None
    assert app.mask(value) is value
