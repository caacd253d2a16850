"""The audit: one record for each call of a tool, whatever came of it.

Taught in chapter 6. A write has another one, from before it is made: a process that dies in between
leaves that one alone, and somebody has to look what became of it. A record says who called what
with which arguments and how it ended. Of the result it keeps the digest: enough to prove what a
model was told, without a second copy of the data.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agentops_ref.agents.tools.spec import Status
from agentops_ref.errors import OperatorError
from agentops_ref.secret import scrub


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One call."""

    at: str
    """When it began: UTC, ISO 8601 to the millisecond."""
    tool: str
    """The name that was called, whether there is such a tool or not."""
    version: str
    """The tool's; empty for an unknown one."""
    status: Status
    repeated: bool
    seconds: float
    agent: str
    tenant: str
    user: str
    request: str
    thread: str
    arguments: Any
    """As given; what is not JSON, as Python shows it."""
    result: str
    """SHA-256 of the text that the model was told."""


Audit = Callable[[AuditRecord], None]
"""Keeps a record. ``[].append`` is one for tests."""


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class AuditFile:
    """Appends records to a file of JSON lines, each with one write.

    Several processes may append to the same file. Only the operating system's failure loses a
    record that a call has returned from: lines are not forced to disk one by one. Secrets are left
    out; ``mask`` returns what else may be kept of the arguments.
    """

    def __init__(self, path: Path, *, mask: Callable[[Any], Any] | None = None) -> None:
        self.path, self._guard = path, threading.Lock()
        self._mask = mask or (lambda value: value)

    def __call__(self, record: AuditRecord) -> None:
        """Append a record.

        Raises
        ------
        OperatorError
            The file cannot be written. A tool whose calls leave no trace must not go on unseen.
        """
        kept = replace(record, arguments=self._mask(record.arguments))
        line = (json.dumps(scrub(asdict(kept))) + "\n").encode()
        try:
            with self._guard:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    if os.write(file, line) != len(line):
                        raise OSError("the disk is full")
                finally:
                    os.close(file)
        except OSError as error:
            raise OperatorError(
                f"{self.path}: the audit of tool calls cannot be written: {error}; free the disk "
                "or set tools.audit to a file that may be written"
            ) from error
