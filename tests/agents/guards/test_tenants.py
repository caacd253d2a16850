"""No search and no tool gives one tenant what belongs to another, whoever asks for what."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentops_ref.agents.chain import Chain
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.tenants import restricted
from agentops_ref.agents.tools import Caller, Excerpts, Registry, SearchTool
from agentops_ref.agents.tools.records import LOOKUPS, record_tools
from agentops_ref.agents.tools.schedule import Schedule
from agentops_ref.agents.tools.sensors import Sensors
from agentops_ref.config import load_config, shipped_config_dir
from agentops_ref.etl.search import Searcher
from agentops_ref.etl.sinks.base import Commit, Rows
from agentops_ref.etl.sinks.memory import MemorySink
from agentops_ref.etl.tables import DeltaTables
from agentops_ref.records import Chunk, LedgerEntry, Usage
from agentops_ref.testing import HashEmbeddings, ScriptedChat

TENANTS = ("torvik", "elvedal", "granmo")
ANYBODY = st.sampled_from((*TENANTS, "", "nobody", "*", "torvik' or '1'='1"))
FILTERS = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "tenant": ANYBODY | st.lists(ANYBODY, max_size=3),
        "kind": st.sampled_from(("mails", "notes")),
    },
)


@given(FILTERS, ANYBODY)
def test_filters_only_ever_become_narrower(filters: Mapping[str, Any] | None, tenant: str) -> None:
    made = restricted(filters, tenant, desk=False)
    allowed = set(made["tenant"])
    assert allowed - {"\x00nobody"} <= {"", tenant}
    asked = (filters or {}).get("tenant")
    if asked is not None:
        assert allowed - {"\x00nobody"} <= ({asked} if isinstance(asked, str) else set(asked))
    assert {k: v for k, v in made.items() if k != "tenant"} == {
        k: v for k, v in (filters or {}).items() if k != "tenant"
    }
    assert restricted(filters, tenant, desk=True) == dict(filters or {})


@pytest.fixture(scope="module")
def search() -> Searcher:
    """Return a search over three documents of each tenant, and of all."""
    embeddings, sink, rows = HashEmbeddings(16), MemorySink(), []
    for tenant in (*TENANTS, ""):
        for number in range(3):
            name = f"{tenant or 'shared'}-{number}"
            text = f"the leak report number {number} about the pump"
            about = {"kind": "mails", "tenant": tenant, "title": name}
            chunk = Chunk(name, name, "0" * 12, 0, text, name, metadata=about)
            vectors = np.asarray(embeddings.embed_documents([text]), dtype=np.float32)
            rows.append(Rows(LedgerEntry(name, name, name, "r", 1), (chunk,), vectors))
    sink.commit(Commit(replace=rows))
    return Searcher(sink, embeddings, load_config().retrieval)


@given(ANYBODY, FILTERS, st.sampled_from(("leak report elvedal", "granmo tenant pump", "pump")))
@settings(max_examples=60)
def test_a_search_for_a_tenant_finds_no_others(
    search: Searcher, tenant: str, filters: Mapping[str, Any] | None, query: str
) -> None:
    tool = SearchTool(search)
    found = tool({"query": query}, Caller("a", tenant=tenant, filters=filters))
    assert isinstance(found, Excerpts)
    seen = {hit.chunk.metadata["tenant"] for hit in found.hits}
    chain = Chain(
        search=search,
        model=ScriptedChat(),
        prompt=load_prompt(shipped_config_dir() / "prompts", "answer.md"),
        usage_of=lambda message: Usage(),
        context_chars=9000,
        min_support=0.5,
    )
    answer = chain(query, request=Request(tenant=tenant, filters=filters))
    seen |= {hit.chunk.metadata["tenant"] for hit in answer.hits}
    assert seen <= {"", tenant}
    if filters is None:
        assert seen, "what is shared is found by all"


def test_the_desk_reads_all_and_says_so(search: Searcher) -> None:
    found = SearchTool(search)({"query": "leak report"}, Caller("a", tenant="torvik", desk=True))
    assert {hit.chunk.metadata["tenant"] for hit in found.hits} - {"", "torvik"}
    assert Request.of_json(Request(desk=True).as_json()).desk
    assert not Request().desk
    assert not Caller("a").desk


# --- tools ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(corpus: Path) -> dict[str, list[dict[str, str]]]:
    found = {}
    for table in ("customers", "installations", "invoices", "work_orders", "technicians"):
        with (corpus / "v1" / "tables" / f"{table}.csv").open(encoding="utf-8") as file:
            found[table] = list(csv.DictReader(file))
    return found


@pytest.fixture(scope="module")
def registry(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    tables = DeltaTables(tmp_path_factory.mktemp("delta"))
    tables.sync(corpus / "v1" / "tables")
    schedule = Schedule(tmp_path_factory.mktemp("schedule") / "s.db", tables.query)
    for serial, who, tenant in (
        ("NL8-241007", "T01", "torvik"),
        ("NL16-231066", "T05", "elvedal"),
        ("NL6-231104", "T09", "granmo"),
    ):
        schedule.book_visit(serial, who, date(2026, 2, 2), "morning", Caller("a", tenant=tenant))
    return Registry(
        [*record_tools(tables.query), *Sensors(tables.query).tools(), *schedule.tools()]
    )


@given(st.data())
@settings(max_examples=40)
def test_no_tool_gives_a_tenant_a_row_of_another(
    registry: Registry, rows: dict[str, list[dict[str, str]]], data: st.DataObject
) -> None:
    unit = data.draw(st.sampled_from(rows["installations"]))
    customer = data.draw(st.sampled_from(rows["customers"]))
    invoice = data.draw(st.sampled_from(rows["invoices"]))
    technician = data.draw(st.sampled_from(rows["technicians"]))
    values = {
        "serial": unit["serial_number"],
        "customer": data.draw(st.sampled_from((customer["customer_id"], customer["name"]))),
        "invoice": invoice["invoice_id"],
        "technician": technician["technician_id"],
        "part": "fan motor",
        "visit": data.draw(st.integers(1, 3)),
        "start": "2025-01-01",
        "end": "2025-02-01",
        "day": "2026-03-03",
        "slot": "afternoon",
        "amount_eur": 1.0,
        "reason": "a reason",
    }
    spec = data.draw(st.sampled_from(registry.specs()))
    arguments = {name: values[name] for name in spec.parameters["required"]}
    if spec.name == "open_work_orders":
        arguments["serial"] = data.draw(st.sampled_from(("", unit["serial_number"])))
    caller = data.draw(st.sampled_from((*TENANTS, "")))
    result = registry.call(spec.name, arguments, Caller("a", tenant=caller))
    told = result.text
    for value in arguments.values():  # what was asked with may be said again
        told = told.replace(str(value), "")
    named = {
        row[column]
        for table, column in (
            ("customers", "name"),
            ("customers", "email"),
            ("invoices", "invoice_id"),
            ("work_orders", "work_order_id"),
            ("installations", "serial_number"),
        )
        for row in rows[table]
        if row["tenant"] != caller
    }
    assert {name for name in named if name in told} == set()
    owner = {"serial": unit, "customer": customer, "invoice": invoice, "technician": technician}
    foreign = [name for name in arguments if name in owner and owner[name]["tenant"] != caller]
    if foreign and spec.effect == "write":
        assert not result.ok, "nothing is changed with what belongs to another"


def test_every_tool_of_the_case_is_among_those(registry: Registry) -> None:
    names = {spec.name for spec in registry.specs()}
    assert {lookup.name for lookup in LOOKUPS} < names
    assert {"book_visit", "propose_credit_note", "latest_readings", "visits"} < names
