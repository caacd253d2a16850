"""The running case's tools: whose rows they give, and that an action is done once."""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentops_ref import build, load_config
from agentops_ref.agents.approvals import Approvals
from agentops_ref.agents.memory import open_database
from agentops_ref.agents.tools import Caller, Registry, ToolSpec
from agentops_ref.agents.tools.records import (
    LOOKUPS,
    SHARED,
    Lookup,
    RecordTool,
    customers_of,
    record_tools,
)
from agentops_ref.agents.tools.schedule import Schedule
from agentops_ref.errors import DeveloperError
from agentops_ref.etl.tables import DeltaTables

TENANTS = ("torvik", "elvedal", "granmo")


@pytest.fixture(scope="module")
def tables(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> DeltaTables:
    held = DeltaTables(tmp_path_factory.mktemp("delta"))
    held.sync(corpus / "v1" / "tables")
    return held


@pytest.fixture(scope="module")
def rows(corpus: Path) -> Callable[[str], list[dict[str, str]]]:
    def read(table: str) -> list[dict[str, str]]:
        with (corpus / "v1" / "tables" / f"{table}.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def records(tables: DeltaTables) -> Registry:
    return Registry(record_tools(tables.query))


def test_each_lookup_finds_what_the_tables_hold(
    records: Registry, rows: Callable[[str], list[dict[str, str]]]
) -> None:
    unit = rows("installations")[0]
    caller = Caller("chain", tenant=unit["tenant"])
    serial = unit["serial_number"]
    (found,) = records.call("find_installation", {"serial": f" {serial.lower()} "}, caller).value
    assert (found["serial_number"], found["model"]) == (serial, unit["model"])
    warranties = [row for row in rows("warranties") if row["serial_number"] == serial]
    told = records.call("find_warranty", {"serial": serial}, caller).value
    assert {row["warranty_id"] for row in told} == {row["warranty_id"] for row in warranties}
    part = rows("parts_stock")[0]
    by_number = records.call("part_stock", {"part": part["part_number"][:-2]}, caller)
    assert part["description"] in by_number.text
    assert part["part_number"] in records.call("part_stock", {"part": "FAN motor"}, caller).text
    invoice = next(row for row in rows("invoices") if row["tenant"] == unit["tenant"])
    billed = records.call("customer_invoices", {"customer": invoice["customer_id"]}, caller)
    assert invoice["invoice_id"] in billed.text
    customer = next(r for r in rows("customers") if r["customer_id"] == invoice["customer_id"])
    by_name = records.call("customer_invoices", {"customer": customer["name"].upper()}, caller)
    assert by_name.text == billed.text


def test_a_units_customer_is_named_to_its_own_tenant_only(
    tables: DeltaTables, rows: Callable[[str], list[dict[str, str]]]
) -> None:
    units = rows("installations")
    for tenant in TENANTS:
        unit = next(row for row in units if row["tenant"] == tenant)
        asked = [unit["serial_number"].lower(), "E41", "x' or true --"]
        assert customers_of(tables.query, asked, tenant) == [f"customer {unit['customer_id']}"]
        for other in {*TENANTS, ""} - {tenant}:
            assert customers_of(tables.query, asked, other) == []
    assert customers_of(tables.query, [], "torvik") == []


def test_open_work_orders_are_those_of_a_unit_or_all(
    records: Registry, rows: Callable[[str], list[dict[str, str]]]
) -> None:
    for tenant in TENANTS:
        mine = [
            row
            for row in rows("work_orders")
            if row["tenant"] == tenant and row["status"] == "open"
        ]
        caller = Caller("chain", tenant=tenant)
        result = records.call("open_work_orders", {}, caller)
        if not mine:
            assert result.text == "no open work order"
            continue
        assert {row["work_order_id"] for row in result.value} == {r["work_order_id"] for r in mine}
        one = records.call("open_work_orders", {"serial": mine[0]["serial_number"]}, caller)
        assert {row["serial_number"] for row in one.value} == {mine[0]["serial_number"]}


def test_no_caller_gets_another_tenants_rows(
    records: Registry, rows: Callable[[str], list[dict[str, str]]]
) -> None:
    """Rows of each table, asked for by their own tenant, by another and by none."""
    asked = [
        (tool, argument, row, column)
        for tool, argument, table, column in (
            ("find_installation", "serial", "installations", "serial_number"),
            ("find_warranty", "serial", "warranties", "serial_number"),
            ("open_work_orders", "serial", "work_orders", "serial_number"),
            ("customer_invoices", "customer", "invoices", "customer_id"),
        )
        for row in rows(table)[::17]
    ]
    found = 0
    for place, (tool, argument, row, column) in enumerate(asked):
        own = Caller("chain", tenant=row["tenant"])
        found += isinstance(records.call(tool, {argument: row[column]}, own).value, list)
        others = [tenant for tenant in TENANTS if tenant != row["tenant"]]
        for tenant in (others[place % 2], ""):
            result = records.call(tool, {argument: row[column]}, Caller("chain", tenant=tenant))
            assert result.ok
            assert isinstance(result.value, str), f"{tool} gave {tenant} {result.value}"
    assert found > 15


@pytest.mark.parametrize(
    "value", ["x' or '1'='1", "%", "*", "' union select * from customers --", "\x00", "NL8'--"]
)
def test_a_value_is_never_sql(records: Registry, value: str) -> None:
    for spec in records.specs():
        (name,) = spec.parameters["properties"]
        result = records.call(spec.name, {name: f"{value:2}"}, Caller("chain", tenant="torvik"))
        assert result.status in ("ok", "failed")
        assert isinstance(result.value, str) or result.value is None


def test_a_lookup_that_forgets_the_tenant_cannot_be_declared() -> None:
    for sql in (
        "select * from invoices where invoice_id = $invoice",
        "select * from invoices v where v.invoice_id = $invoice and v.tenant <> $tenant",
        "select * from invoices v join customers c on c.customer_id = v.customer_id "
        "where v.tenant = $tenant",
        "select * from invoices v, customers c where v.tenant = $tenant",
        "select * from invoices v where v.tenant = $tenant and v.invoice_id in "
        "(select w.work_order_id from work_orders w)",
    ):
        with pytest.raises(DeveloperError, match=r"tenant|join"):
            Lookup("x", "x", {"invoice": "number"}, sql, "none")
    assert Lookup("x", "x", {"p": "part"}, "select * from parts_stock where part_number = $p", "")
    assert SHARED == ("parts_stock",)


def test_descriptions_are_short() -> None:
    """All of them stand in the prompt of a small model."""
    for lookup in LOOKUPS:
        assert len(lookup.description) < 90
    for tool in Schedule(Path("x"), lambda sql, values: []).tools():
        assert len(tool.spec.description) < 90


def test_a_query_gets_no_parameter_that_it_does_not_have() -> None:
    asked: list[Mapping[str, Any]] = []

    def query(sql: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        asked.append(values)
        return []

    (stock,) = [one for one in LOOKUPS if one.name == "part_stock"]
    assert RecordTool(stock, query)({"part": "FV-1"}, Caller("chain")) == "no part FV-1"
    assert asked == [{"part": "FV-1"}]


# --- actions --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "schedule.db"


@pytest.fixture
def booking(file: Path, tables: DeltaTables) -> Registry:
    return Registry(Schedule(file, tables.query).tools())


def visit(day: str = "2025-02-03", slot: str = "morning", **more: Any) -> dict[str, Any]:
    return {"serial": "NL8-241007", "technician": "T01", "day": day, "slot": slot, **more}


def count(file: Path, table: str) -> int:
    with sqlite3.connect(file) as held:
        return int(held.execute(f"select count(*) from {table}").fetchone()[0])


BO = Caller("clerk", tenant="torvik", user="bo", request="r1")


def test_a_visit_is_booked_moved_and_shown(booking: Registry, file: Path) -> None:
    booked = booking.call("book_visit", visit(), BO)
    assert booked.value == {"visit": 1, "technician": "T01", "day": "2025-02-03", "slot": "morning"}
    moved = booking.call(
        "reschedule_visit", {"visit": 1, "day": "2025-02-04", "slot": "afternoon"}, BO
    )
    assert moved.ok
    shown = booking.call("visits", {"serial": "nl8-241007"}, BO).value
    assert shown == [{"visit": 1, "technician": "T01", "day": "2025-02-04", "slot": "afternoon"}]


def test_the_same_request_books_once_whichever_process_answers(
    booking: Registry, file: Path, tables: DeltaTables
) -> None:
    first = booking.call("book_visit", visit(), BO)
    other = Registry(Schedule(file, tables.query).tools())
    again = other.call("book_visit", visit(), BO)
    assert again.value == first.value
    assert not again.repeated
    assert count(file, "visits") == count(file, "done") == 1


def test_the_slot_of_a_technician_is_given_once(booking: Registry, file: Path) -> None:
    assert booking.call("book_visit", visit(), BO).ok
    other = Caller("clerk", tenant="torvik", request="r2")
    refused = booking.call("book_visit", visit(), other)
    assert refused.status == "failed"
    assert "T01 has a visit on the morning of 2025-02-03; the afternoon is free" in refused.text
    assert booking.call("book_visit", visit(slot="afternoon"), other).ok
    third = Caller("clerk", tenant="torvik", request="r3")
    assert "that day is full" in booking.call("book_visit", visit(), third).text
    assert count(file, "visits") == 2


def test_many_at_once_get_one_slot(file: Path, tables: DeltaTables) -> None:
    def book(number: int) -> bool:
        registry = Registry(Schedule(file, tables.query).tools())
        caller = Caller("clerk", tenant="torvik", request=f"r{number}")
        return registry.call("book_visit", visit(), caller).ok

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(book, range(6))) == 1
    assert count(file, "visits") == 1


@pytest.mark.parametrize(
    ("change", "tenant", "said"),
    [
        ({"serial": "NL8-999999"}, "torvik", "no unit NL8-999999"),
        ({"technician": "T99"}, "torvik", "no technician T99"),
        ({"technician": "T07"}, "torvik", "no technician T07"),
        ({}, "granmo", "no unit NL8-241007"),
        ({}, "", "no unit NL8-241007"),
        ({"day": "2025-02-30"}, "torvik", "argument 'day'"),
        ({"slot": "noon"}, "torvik", "argument 'slot'"),
    ],
)
def test_what_cannot_be_booked_changes_nothing(
    booking: Registry, file: Path, change: dict[str, Any], tenant: str, said: str
) -> None:
    result = booking.call("book_visit", visit(**change), Caller("clerk", tenant=tenant))
    assert not result.ok
    assert said in result.text
    assert not file.exists() or count(file, "visits") == 0


def test_another_tenant_neither_sees_nor_moves_a_visit(booking: Registry, file: Path) -> None:
    assert booking.call("book_visit", visit(), BO).ok
    other = Caller("clerk", tenant="granmo")
    assert booking.call("visits", {"serial": "NL8-241007"}, other).value == []
    moved = {"visit": 1, "day": "2025-02-09", "slot": "morning"}
    assert "no visit 1" in booking.call("reschedule_visit", moved, other).text
    assert booking.call("visits", {"serial": "NL8-241007"}, BO).value[0]["day"] == "2025-02-03"


def test_credit_is_proposed_up_to_the_invoice(
    booking: Registry, file: Path, rows: Callable[[str], list[dict[str, str]]]
) -> None:
    invoice = next(row for row in rows("invoices") if row["tenant"] == "torvik")
    number, amount = invoice["invoice_id"], float(invoice["amount_eur"])

    def propose(euros: float, request: str, tenant: str = "torvik") -> Any:
        wanted = {"invoice": number, "amount_eur": euros, "reason": "late visit"}
        caller = Caller("clerk", tenant=tenant, request=request)
        return booking.call("propose_credit_note", wanted, caller)

    first = propose(amount - 1, "r1")
    assert first.value["status"] == "proposed"
    assert propose(amount - 1, "r1").value == first.value
    refused = propose(1.01, "r2")
    assert refused.status == "failed"
    assert "0.01 to 1.00 EUR" in refused.text
    assert propose(1, "r3").ok
    assert "no invoice" in propose(0.01, "r4", tenant="granmo").text
    for wrong in (0, -5, float("inf"), 0.001):
        assert not propose(wrong, f"r{wrong}").ok
    assert count(file, "credit_notes") == 2


def test_a_rehearsal_says_what_would_be_done_and_does_nothing(
    booking: Registry, file: Path
) -> None:
    rehearsing = replace(BO, rehearsal=True)
    told = booking.call("book_visit", visit(), rehearsing)
    assert told.value["technician"] == "T01"
    assert count(file, "visits") == count(file, "done") == 0
    assert booking.call("book_visit", visit(), replace(BO, request="r2")).ok
    refused = booking.call("book_visit", visit(), replace(rehearsing, request="r3"))
    assert "has a visit on the morning" in refused.text


def test_a_large_credit_does_not_pass_as_several_small_ones(
    file: Path, tables: DeltaTables, rows: Callable[[str], list[dict[str, str]]]
) -> None:
    policy = build(load_config()).approvals.policy
    place = open_database(f"sqlite:///{file.with_name('approvals.db')}")
    gate = Approvals(lambda: place, policy, lasts=timedelta(hours=1)).gate
    desk = Registry(Schedule(file, tables.query).tools(), gate=gate)
    invoice = next(
        row["invoice_id"]
        for row in rows("invoices")
        if row["tenant"] == "torvik" and float(row["amount_eur"]) > 600
    )

    def credit(euros: int, request: str) -> str:
        said = f"credit {euros} on {invoice}"
        caller = Caller("clerk", tenant="torvik", request=request, said=said)
        wanted = {"invoice": invoice, "amount_eur": euros, "reason": "late"}
        return str(desk.call("propose_credit_note", wanted, caller).status)

    assert [credit(300, "r1"), credit(200, "r2"), credit(1, "r3")] == ["ok", "ok", "waiting"]
    assert count(file, "credit_notes") == 2


def test_the_configured_policy_is_the_one_that_the_documents_state() -> None:
    """A credit above the warranty policy's limit waits for the warranty manager, and none below."""
    text = Path("corpus/policies/warranty-policy.md").read_text(encoding="utf-8")
    (limit,) = re.findall(r"above \[(\d+) EUR\]\(#warranty.credit_approval_limit\)", text)
    policy = build(load_config()).approvals.policy
    spec = ToolSpec("propose_credit_note", "Propose.", {"type": "object"}, effect="write")
    for cents, role in ((0, None), (1, "warranty manager")):
        euros = int(limit) + cents / 100
        wanted = {"invoice": "I1", "amount_eur": euros}
        demand = policy.demand(spec, wanted, f"I1, {euros}", {"credited_eur": euros})
        assert (demand.role if demand else None) == role


def test_an_action_that_fails_half_way_leaves_nothing(booking: Registry, file: Path) -> None:
    assert booking.call("visits", {"serial": "NL8-241007"}, BO).ok  # makes the tables
    with sqlite3.connect(file) as held:
        held.execute(
            "create trigger half_way before insert on done "
            "begin select raise(abort, 'pulled the plug'); end"
        )
    failed = booking.call("book_visit", visit(), BO)
    assert failed.status == "failed"
    assert "pulled the plug" in failed.text
    assert count(file, "visits") == count(file, "done") == 0
    with sqlite3.connect(file) as held:
        held.execute("drop trigger half_way")
    assert booking.call("book_visit", visit(), Caller("clerk", tenant="torvik")).ok
