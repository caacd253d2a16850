"""The running case's records as tools: fixed SQL, in which only the values vary.

Taught in chapter 6. The tenant is a parameter of the SQL that the registry's caller fills, never an
argument that a model could choose; a statement over private rows without it cannot be declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentops_ref.agents.tools.spec import Caller, ToolSpec
from agentops_ref.errors import DeveloperError

SHARED = ("parts_stock",)
"""Tables without a tenant: every tenant may read all of their rows."""
MOST = 20
"""Rows that one call returns."""

_FIELD = re.compile(r"\$(\w+)")
_TABLE = re.compile(r"\b(?:from|join)\s+(\w+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)
_LISTED = re.compile(r"\bfrom\s+\w+(?:\s+(?:as\s+)?\w+)?\s*,", re.IGNORECASE)
_NO_ALIAS = ("", "where", "left", "inner", "cross", "join", "on", "using", "order", "group")


class RecordQuery(Protocol):
    """Runs one SELECT with named parameters; rows as dictionaries."""

    def __call__(
        self, sql: str, parameters: Mapping[str, Any], /
    ) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question to the tables that may be asked.

    Raises
    ------
    DeveloperError
        The SQL reads a private table without comparing its tenant with the caller's.
    """

    name: str
    description: str
    arguments: Mapping[str, str]
    """Argument → what it is. All are text; one whose text ends in "?" may be left out."""
    sql: str
    nothing: str
    """Told when there are no rows; ``{argument}`` stands for what was asked."""

    def __post_init__(self) -> None:
        if _LISTED.search(self.sql):
            raise DeveloperError(f"lookup {self.name}: name each further table by `join`")
        for table, word in _TABLE.findall(self.sql):
            alias = "" if word.lower() in _NO_ALIAS else word
            owner = rf"\b{alias}\.tenant" if alias else "tenant"
            if table not in SHARED and not re.search(rf"{owner} = \$tenant\b", self.sql):
                raise DeveloperError(
                    f"lookup {self.name}: rows of {table} are read without `tenant = $tenant`"
                )


LOOKUPS = (
    Lookup(
        "find_installation",
        "Model, start-up date, firmware and warranty of one unit by serial number.",
        {"serial": "serial number"},
        f"""
        select i.serial_number, i.model, i.commissioned, i.firmware, i.status,
               w.kind as warranty, w.ends as warranty_until, w.status as warranty_status
        from installations i
        left join warranties w on w.serial_number = i.serial_number and w.tenant = $tenant
        where i.tenant = $tenant and upper(i.serial_number) = upper(trim($serial))
        order by w.ends desc limit {MOST}
        """,
        "no installation with serial number {serial}",
    ),
    Lookup(
        "find_warranty",
        "Warranty of one unit by serial number: kind, start, end, status.",
        {"serial": "serial number"},
        f"""
        select w.warranty_id, w.kind, w.starts, w.ends, w.status
        from warranties w
        where w.tenant = $tenant and upper(w.serial_number) = upper(trim($serial))
        order by w.ends desc limit {MOST}
        """,
        "no warranty for serial number {serial}",
    ),
    Lookup(
        "part_stock",
        "Stock and price of a spare part, by part number or name.",
        {"part": "part number, or a word of its name"},
        f"""
        select part_number, description, warehouse, quantity, unit_price_eur
        from parts_stock
        where starts_with(upper(part_number), upper(trim($part)))
           or contains(lower(description), lower(trim($part)))
        order by part_number limit {MOST}
        """,
        "no part {part}",
    ),
    Lookup(
        "open_work_orders",
        "Open work orders, of one unit or of all.",
        {"serial": "serial number?"},
        f"""
        select o.work_order_id, o.serial_number, o.technician_id, o.opened, o.fault_code,
               o.description
        from work_orders o
        where o.tenant = $tenant and o.status = 'open'
          and (trim($serial) = '' or upper(o.serial_number) = upper(trim($serial)))
        order by o.opened, o.work_order_id limit {MOST}
        """,
        "no open work order",
    ),
    Lookup(
        "customer_invoices",
        "Invoices of one customer, newest first.",
        {"customer": "customer number, or the full name"},
        f"""
        select v.invoice_id, v.work_order_id, v.issued, v.due, v.amount_eur, v.status
        from invoices v
        join customers c on c.customer_id = v.customer_id and c.tenant = $tenant
        where v.tenant = $tenant
          and (upper(c.customer_id) = upper(trim($customer))
               or lower(c.name) = lower(trim($customer)))
        order by v.issued desc, v.invoice_id desc limit {MOST}
        """,
        "no invoice of {customer}",
    ),
)


_CUSTOMERS = """
select distinct i.customer_id from installations i
where i.tenant = $tenant and list_contains($serials, upper(i.serial_number))
order by i.customer_id
"""


def customers_of(query: RecordQuery, serials: Iterable[str], tenant: str) -> list[str]:
    """Return the customers of a tenant's units, as long-term memory names them."""
    wanted = sorted({serial.upper() for serial in serials})
    if not wanted:
        return []
    rows = query(_CUSTOMERS, {"tenant": tenant, "serials": wanted})
    return [f"customer {row['customer_id']}" for row in rows]


class RecordTool:
    """One lookup, for the caller's tenant."""

    def __init__(self, lookup: Lookup, query: RecordQuery, **more: Any) -> None:
        self._lookup, self._query = lookup, query
        self._fields = frozenset(_FIELD.findall(lookup.sql))
        optional = [name for name, about in lookup.arguments.items() if about.endswith("?")]
        schema = {
            "type": "object",
            "properties": {
                name: {
                    "type": "string",
                    "description": about.removesuffix("?"),
                    "maxLength": 100,
                    **({} if name in optional else {"minLength": 2}),
                }
                for name, about in lookup.arguments.items()
            },
            "required": [name for name in lookup.arguments if name not in optional],
            "additionalProperties": False,
        }
        self.spec = ToolSpec(lookup.name, lookup.description, schema, **more)

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        asked = {name: str(arguments.get(name, "")) for name in self._lookup.arguments}
        known = {**asked, "tenant": caller.tenant}
        rows = self._query(self._lookup.sql, {name: known[name] for name in self._fields})
        return list(rows) or self._lookup.nothing.format(**asked)


def record_tools(query: RecordQuery, **more: Any) -> list[RecordTool]:
    """Return the running case's look-ups; ``more`` are fields of each `ToolSpec`."""
    return [RecordTool(lookup, query, **more) for lookup in LOOKUPS]
