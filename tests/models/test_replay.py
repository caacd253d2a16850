"""The contract once more, from recordings alone: the same answers, and the live model is not asked.

Each test of the contract runs twice: against a model that records, then against one that replays
and whose live model cannot answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.models import RecordedChat, ScriptedChat
from agentops_ref.models.local import LocalChat
from tests.models import test_contract as contract
from tests.models.fakes import FakeServer, chat, local_chat, scripted

Make = Callable[[], Any]


def silent_local() -> LocalChat:
    """Return a local model without weights: it binds, and cannot answer."""
    model = local_chat(FakeServer())
    model._server = None
    return model


def silent_script() -> ScriptedChat:
    return ScriptedChat(replies=[])


KINDS: dict[str, tuple[Make, Make]] = {
    "scripted": (scripted, silent_script),
    "local": (lambda: local_chat(FakeServer()), silent_local),
}
SCHEMAS = (contract.Word, contract.WordDict, contract.Word.model_json_schema())
TESTS: dict[str, Callable[[RecordedChat], None]] = {
    "text": contract.test_text,
    "usage": contract.test_usage_and_who_answered,
    "stream": contract.test_streaming_equals_invoking,
    "empty": contract.test_an_empty_answer,
    "stop": contract.test_stop,
    "raw": contract.test_structured_output_with_the_raw_message,
    "unfit": contract.test_an_answer_that_does_not_fit_the_schema_is_an_error,
    "tool": contract.test_a_tool_call,
    "unused tool": contract.test_tools_offered_and_not_used,
    "history": contract.test_a_finished_tool_exchange_in_the_history,
    "async": contract.test_async_and_batch,
    **{
        f"schema {at}": lambda model, schema=schema: contract.test_structured_output(model, schema)
        for at, schema in enumerate(SCHEMAS)
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TESTS)
def test_replaying_keeps_the_contract(name: str, kind: str, tmp_path: Path) -> None:
    make, silent = KINDS[kind]
    TESTS[name](chat(tmp_path, "record", make))
    before = sorted(file.read_bytes() for file in tmp_path.rglob("*.json"))
    assert before
    TESTS[name](chat(tmp_path, "replay", silent))
    assert sorted(file.read_bytes() for file in tmp_path.rglob("*.json")) == before
