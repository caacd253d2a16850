"""Tasks, drafts and errors as lines of ASCII JSON, on their way between processes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from agentops_ref import errors
from agentops_ref.errors import AgentOpsError, OperatorError
from agentops_ref.etl.draft import Draft, Task
from agentops_ref.etl.quality.profile import profile_from
from agentops_ref.records import Chunk, LedgerEntry

PLAIN = {"ImportError": ImportError, "MemoryError": MemoryError}


def task_line(number: int, task: Task) -> str:
    """Write a task and its number."""
    return json.dumps([number, asdict(task)])


def read_task(line: str) -> tuple[int, Task]:
    number, fields = json.loads(line)
    old = fields.pop("old")
    return number, Task(**fields, old=LedgerEntry(**old) if old else None)


def draft_line(number: int, draft: Draft) -> str:
    """Write a draft and its task's number."""
    return json.dumps({"number": number, "draft": asdict(draft)})


def read_draft(fields: dict[str, Any]) -> Draft:
    entry, chunks = fields.pop("entry"), fields.pop("chunks")
    profile = profile_from(fields.pop("profile"))
    return Draft(
        **fields,
        profile=profile,
        entry=LedgerEntry(**entry) if entry else None,
        chunks=None if chunks is None else tuple(Chunk(**chunk) for chunk in chunks),
    )


def error_line(number: int, error: BaseException) -> str:
    """Write what stops the run: the names of the error's classes and its message."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return json.dumps({"number": number, "error": {"kinds": kinds, "message": str(error)}})


def failed_line(reason: str) -> str:
    """Write why the engine itself cannot go on."""
    return json.dumps({"failed": reason})


def read_error(fields: dict[str, Any]) -> Exception:
    """Return the error as it was raised, or as the nearest class that is known here.

    Made past its constructor, which may take other arguments than the message.
    """
    message = str(fields["message"])
    for name in fields["kinds"]:
        kind = getattr(errors, name, None) or PLAIN.get(name)
        if isinstance(kind, type) and issubclass(kind, AgentOpsError | ImportError | MemoryError):
            error: Exception = kind.__new__(kind)
            Exception.__init__(error, message)
            return error
    return OperatorError(f"a worker could not be set up: {fields['kinds'][0]}: {message}")
