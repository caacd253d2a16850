"""Approvals in a SQLite file or in Postgres: what waits, who decided, what came of it.

Every change of a record is one statement that names the state it starts from, so of two that want
the same change, in whatever processes, one gets it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from agentops_ref.agents.identity import Identity
from agentops_ref.agents.memory.database import Database

State = Literal["pending", "approved", "rejected", "running", "done", "failed"]
"""Approved: decided and not begun. Running: begun; one that stays so was cut off, and whether the
action was done is not known."""

_COLUMNS = (
    "id, state, tenant, tool, version, arguments, effect, why, role, agent, requested_by, roles, "
    "request, thread, requested_at, expires_at, decided_by, decided_at, note, result"
)
_TABLE = f"""
CREATE TABLE IF NOT EXISTS approvals (
    {", ".join(f"{name} text NOT NULL" for name in _COLUMNS.split(", "))},
    PRIMARY KEY (id)
)
"""
_ONE_PENDING = """
CREATE UNIQUE INDEX IF NOT EXISTS approvals_pending
ON approvals (tenant, tool, version, arguments, requested_by, thread) WHERE state = 'pending'
"""
_WAIT = 10.0


@dataclass(frozen=True, slots=True)
class Approval:
    """One action that waits or waited. Times are UTC, ISO 8601; empty where nothing happened."""

    id: str
    state: State
    tenant: str
    tool: str
    version: str
    arguments: Mapping[str, Any]
    effect: str
    """What doing it would give, as the tool's rehearsal told; empty where it has none."""
    why: str
    role: str
    """Who decides."""
    agent: str
    requested_by: str
    roles: tuple[str, ...]
    """Of whoever requested it, where somebody has logged in: it is done with no more than these."""
    request: str
    thread: str
    requested_at: str
    expires_at: str
    decided_by: str = ""
    decided_at: str = ""
    note: str = ""
    result: str = ""
    """What the tool told when it was done, or why it failed."""

    @property
    def identity(self) -> Identity | None:
        """Whoever requested it, without a token; None where nobody had logged in."""
        return Identity(self.requested_by, self.tenant, self.roles) if self.roles else None

    def late(self, now: datetime) -> bool:
        """Whether nobody decided in time."""
        return self.state == "pending" and self.expires_at <= written(now)


class ApprovalStore:
    """The table of approvals. Safe to share between threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database, self._ready = database, False

    def ask(
        self,
        *,
        tenant: str,
        tool: str,
        version: str,
        arguments: Mapping[str, Any],
        effect: str,
        why: str,
        role: str,
        agent: str,
        requested_by: str,
        roles: Sequence[str],
        request: str,
        thread: str,
        now: datetime,
        lasts: timedelta,
    ) -> Approval:
        """Write down an action that waits, or return the one that waits already for the same.

        Asking again, in another request of the same conversation, gives no second one: two people
        could approve both. One that nobody decided in time makes room.
        """
        asked = _json(arguments)
        same = (tenant, tool, version, asked, requested_by, thread)
        where = (
            "tenant = ? AND tool = ? AND version = ? AND arguments = ? AND requested_by = ? "
            "AND thread = ? AND state = 'pending'"
        )
        at = written(now)
        row = (
            uuid4().hex[:12], "pending", tenant, tool, version, asked, effect, why, role, agent,
            requested_by, json.dumps(list(roles)), request, thread, at, written(now + lasts),
            "", "", "", "",
        )  # fmt: skip
        marks = ", ".join("?" * len(row))
        with self._connection() as held:
            _run(
                held,
                "UPDATE approvals SET state = 'rejected', note = 'nobody decided in time', "
                f"decided_at = ? WHERE {where} AND expires_at <= ?",
                (at, *same, at),
            )
            _run(
                held,
                f"INSERT INTO approvals ({_COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING",
                row,
            )
            (found,) = _run(held, f"SELECT {_COLUMNS} FROM approvals WHERE {where}", same)
        return _approval(found)

    def get(self, id_: str) -> Approval | None:
        """Return one by its id."""
        with self._connection() as held:
            found = _run(held, f"SELECT {_COLUMNS} FROM approvals WHERE id = ?", (id_,))
        return _approval(found[0]) if found else None

    def list(self, *, every: bool = False, tenant: str | None = None) -> list[Approval]:
        """Return those that wait or were cut off, oldest first; ``every``: the decided ones too."""
        where, values = ["true" if every else "state IN ('pending', 'approved', 'running')"], []
        if tenant is not None:
            where, values = [*where, "tenant = ?"], [tenant]
        with self._connection() as held:
            found = _run(
                held,
                f"SELECT {_COLUMNS} FROM approvals WHERE {' AND '.join(where)} "
                "ORDER BY requested_at, id",
                values,
            )
        return [_approval(row) for row in found]

    def decide(self, id_: str, state: State, *, by: str, note: str, now: datetime) -> bool:
        """Decide one that waits; False if it does not, or no longer."""
        at = written(now)
        return self._change(
            "state = ?, decided_by = ?, decided_at = ?, note = ?",
            (state, by, at, note),
            "id = ? AND state = 'pending' AND expires_at > ?",
            (id_, at),
        )

    def begin(self, id_: str, *, tenant: str, tool: str, version: str, arguments: Any) -> bool:
        """Let an approved action begin, once; False if it is not this one that was approved."""
        return self._change(
            "state = 'running'",
            (),
            "id = ? AND state = 'approved' AND tenant = ? AND tool = ? AND version = ? "
            "AND arguments = ?",
            (id_, tenant, tool, version, _json(arguments)),
        )

    def end(self, id_: str, state: State, result: str) -> bool:
        """Write down what came of an approved action."""
        return self._change(
            "state = ?, result = ?",
            (state, result),
            "id = ? AND state IN ('approved', 'running')",
            (id_,),
        )

    def forget(self, threads: Sequence[str]) -> int:
        """Empty the records of these conversations; return how many there were.

        That somebody decided, and what came of it, stays; of what it was about nothing does, and
        what waited is off. Whoever calls it scrubs the database's files afterwards.
        """
        marks = ", ".join("?" * len(threads))
        if not threads:
            return 0
        with self._connection() as held:
            statement = (
                "UPDATE approvals SET arguments = '{}', effect = '', result = '', "
                "note = 'forgotten', thread = '', "
                "state = CASE WHEN state = 'pending' THEN 'rejected' ELSE state END "
                f"WHERE thread IN ({marks}) RETURNING id"
            )
            return len(_run(held, statement, tuple(threads)))

    def _change(self, change: str, new: Sequence[Any], where: str, values: Sequence[Any]) -> bool:
        with self._connection() as held:
            statement = f"UPDATE approvals SET {change} WHERE {where} RETURNING id"
            return bool(_run(held, statement, (*new, *values)))

    def _connection(self) -> Any:
        if not self._ready:
            # IF NOT EXISTS does not help two that are at it at once.
            with (
                self._database.one_at_a_time("table of approvals", wait=_WAIT),
                self._database.connection() as held,
            ):
                _run(held, _TABLE)
                _run(held, _ONE_PENDING)
            self._ready = True
        return self._database.connection()


def written(moment: datetime) -> str:
    """Return a moment as text whose order is that of the moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _json(arguments: Any) -> str:
    return json.dumps(arguments, sort_keys=True)


def _run(connection: Any, statement: str, values: Sequence[Any] = ()) -> Any:
    if not isinstance(connection, sqlite3.Connection):
        statement = statement.replace("?", "%s")  # psycopg's way to mark a value
    ran = connection.execute(statement, tuple(values))
    return ran.fetchall() if ran.description else []


def _approval(row: Sequence[Any]) -> Approval:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    fields |= {name: json.loads(fields[name]) for name in ("arguments", "roles")}
    return Approval(**{**fields, "roles": tuple(fields["roles"])})
