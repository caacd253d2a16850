"""The running case's actions as tools: visits are booked and moved, credit notes proposed.

Taught in chapter 6. The state is in SQLite. Each action, and the note under which key it was done,
land in one transaction; so an action that is sent again, after a time-out or by a process that took
over, is answered with what was done the first time and is not done twice.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.agents.tools.records import RecordQuery
from agentops_ref.agents.tools.spec import Caller
from agentops_ref.errors import ModelError

Slot = Literal["morning", "afternoon"]
Serial = Annotated[str, Field(description="serial number", min_length=2, max_length=100)]
Day = Annotated[date, Field(description="YYYY-MM-DD")]
Visit = Annotated[int, Field(description="visit number")]

_TABLES = """
create table if not exists visits (
  visit integer primary key, tenant text not null, serial text not null, technician text not null,
  day text not null, slot text not null, booked_by text not null, booked_at text not null,
  unique (technician, day, slot)
);
create table if not exists credit_notes (
  note integer primary key, tenant text not null, invoice text not null, cents integer not null,
  reason text not null, status text not null, proposed_by text not null, proposed_at text not null
);
create table if not exists done (key text primary key, answer text not null);
"""

_UNIT = """
select i.serial_number from installations i
where i.tenant = $tenant and upper(i.serial_number) = upper(trim($serial))
"""
_TECHNICIAN = """
select t.technician_id, t.active from technicians t
where t.tenant = $tenant and upper(t.technician_id) = upper(trim($technician))
"""
_INVOICE = """
select v.invoice_id, v.amount_eur from invoices v
where v.tenant = $tenant and upper(v.invoice_id) = upper(trim($invoice))
"""


class Refused(ModelError):
    """An action that the rules of the business do not allow; says which and what is possible."""


class Schedule:
    """Visits and credit notes of all tenants, in one SQLite file; each caller sees its tenant's.

    Safe to share between threads and processes: SQLite serialises the writers.
    """

    def __init__(self, path: Path, query: RecordQuery) -> None:
        self._path, self._query = path, query

    def tools(self, **more: Any) -> list[FunctionTool]:
        """Return the actions as tools; ``more`` are fields of each `ToolSpec`."""
        acts: dict[str, Any] = {"effect": "write", "rehearses": True}
        return [
            FunctionTool(self.visits, **more),
            FunctionTool(self.book_visit, **acts, **more),
            FunctionTool(self.reschedule_visit, **acts, **more),
            FunctionTool(self.propose_credit_note, **acts, **more),
        ]

    def visits(self, serial: Serial, caller: Caller) -> list[dict[str, Any]]:
        """Booked visits to one unit."""
        with self._open() as held:
            return _rows(
                held,
                "select visit, technician, day, slot from visits "
                "where tenant = ? and serial = upper(trim(?)) order by day, slot desc",
                caller.tenant,
                serial,
            )

    def book_visit(
        self,
        serial: Serial,
        technician: Annotated[str, Field(description="technician number")],
        day: Day,
        slot: Slot,
        caller: Caller,
    ) -> dict[str, Any]:
        """Book a technician's visit to a unit."""
        unit = self._one(_UNIT, f"no unit {serial}", caller, serial=serial)["serial_number"]
        person = self._one(
            _TECHNICIAN, f"no technician {technician}", caller, technician=technician
        )
        if str(person["active"]).lower() != "true":
            raise Refused(f"technician {person['technician_id']} is not active; choose another")
        who = str(person["technician_id"])

        def act(held: sqlite3.Connection) -> dict[str, Any]:
            self._free(held, who, day, slot)
            made = held.execute(
                "insert into visits (tenant, serial, technician, day, slot, booked_by, booked_at) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                (caller.tenant, str(unit).upper(), who, f"{day}", slot, _who(caller), _now()),
            )
            return {"visit": made.lastrowid, "technician": who, "day": f"{day}", "slot": slot}

        return self._once("book_visit", (str(unit), who, f"{day}", slot), caller, act)

    def reschedule_visit(
        self, visit: Visit, day: Day, slot: Slot, caller: Caller
    ) -> dict[str, Any]:
        """Move a booked visit to another day or slot."""

        def act(held: sqlite3.Connection) -> dict[str, Any]:
            found = _rows(
                held,
                "select technician, day, slot from visits where tenant = ? and visit = ?",
                caller.tenant,
                visit,
            )
            if not found:
                raise Refused(f"no visit {visit}")
            who = found[0]["technician"]
            if (found[0]["day"], found[0]["slot"]) != (f"{day}", slot):
                self._free(held, who, day, slot)
                held.execute(
                    "update visits set day = ?, slot = ? where tenant = ? and visit = ?",
                    (f"{day}", slot, caller.tenant, visit),
                )
            return {"visit": visit, "technician": who, "day": f"{day}", "slot": slot}

        return self._once("reschedule_visit", (visit, f"{day}", slot), caller, act)

    def propose_credit_note(
        self,
        invoice: Annotated[str, Field(description="invoice number")],
        amount_eur: Annotated[float, Field(gt=0)],
        reason: Annotated[str, Field(min_length=3, max_length=300)],
        caller: Caller,
    ) -> dict[str, Any]:
        """Propose to credit an amount of an invoice; a person decides."""
        billed = self._one(_INVOICE, f"no invoice {invoice}", caller, invoice=invoice)
        number, cents = str(billed["invoice_id"]), round(amount_eur * 100)
        most = round(float(billed["amount_eur"]) * 100)

        def act(held: sqlite3.Connection) -> dict[str, Any]:
            (earlier,) = held.execute(
                "select coalesce(sum(cents), 0) from credit_notes "
                "where tenant = ? and invoice = ? and status <> 'rejected'",
                (caller.tenant, number),
            ).fetchone()
            if not 0 < cents <= most - earlier:
                raise Refused(
                    f"invoice {number} can be credited by 0.01 to {(most - earlier) / 100:.2f} EUR "
                    f"more, not {cents / 100:.2f}"
                )
            made = held.execute(
                "insert into credit_notes "
                "(tenant, invoice, cents, reason, status, proposed_by, proposed_at) "
                "values (?, ?, ?, ?, 'proposed', ?, ?)",
                (caller.tenant, number, cents, reason, _who(caller), _now()),
            )
            # What a policy looks at: a large credit must not pass as several small ones.
            whole = {"credited_eur": (earlier + cents) / 100} if caller.rehearsal else {}
            return {
                **whole,
                "credit_note": made.lastrowid,
                "invoice": number,
                "amount_eur": f"{cents / 100:.2f}",
                "status": "proposed",
            }

        return self._once("propose_credit_note", (number, cents, reason), caller, act)

    # --- what all of them do --------------------------------------------------------------

    def _once(
        self,
        action: str,
        wanted: tuple[Any, ...],
        caller: Caller,
        act: Callable[[sqlite3.Connection], dict[str, Any]],
    ) -> dict[str, Any]:
        """Act and note it under its key, or return what was done under that key before.

        The key is the request's with what is wanted: a request that asks for the same twice means
        one thing, and another request another. A rehearsal is undone in the same transaction.
        """
        named = json.dumps([caller.tenant, caller.request, action, *wanted])
        key = hashlib.sha256(named.encode()).hexdigest()
        with self._open() as held:
            held.execute("begin immediate")
            try:
                done = held.execute("select answer from done where key = ?", (key,)).fetchone()
                if done:
                    held.execute("rollback")
                    answer: dict[str, Any] = json.loads(done[0])
                    return answer
                answer = act(held)
                if caller.rehearsal:
                    held.execute("rollback")
                    return answer
                held.execute("insert into done values (?, ?)", (key, json.dumps(answer)))
                held.execute("commit")
                return answer
            except BaseException:
                if held.in_transaction:
                    held.execute("rollback")
                raise

    @staticmethod
    def _free(held: sqlite3.Connection, who: str, day: date, slot: Slot) -> None:
        taken = held.execute(
            "select slot from visits where technician = ? and day = ?", (who, f"{day}")
        ).fetchall()
        if (slot,) in taken:
            free = [one for one in ("morning", "afternoon") if (one,) not in taken]
            raise Refused(
                f"technician {who} has a visit on the {slot} of {day}"
                + (f"; the {free[0]} is free" if free else "; that day is full")
            )

    def _one(self, sql: str, nothing: str, caller: Caller, **values: str) -> Mapping[str, Any]:
        rows = self._query(sql, {**values, "tenant": caller.tenant})
        if not rows:
            raise Refused(nothing)
        return rows[0]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=5, isolation_level=None)) as held:
            held.executescript(_TABLES)
            yield held


def _rows(held: sqlite3.Connection, sql: str, *values: Any) -> list[dict[str, Any]]:
    found = held.execute(sql, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _who(caller: Caller) -> str:
    return f"{caller.agent} for {caller.user}" if caller.user else caller.agent


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
