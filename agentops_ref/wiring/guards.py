"""The guards, and the search as agents get it: looked through by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentops_ref.records import Hit
from agentops_ref.wiring.index import Index
from agentops_ref.wiring.tables import Tables

if TYPE_CHECKING:
    from agentops_ref.agents.guards import Guards
    from agentops_ref.agents.guards.tenancy import Owners

_NAMES = {
    "customers": ("customer_id", "name", "email", "phone"),
    "installations": ("serial_number",),
    "invoices": ("invoice_id",),
    "work_orders": ("work_order_id",),
}
"""Table with a tenant → the columns that name somebody or something of that tenant."""


class Guarding(Index, Tables):
    """See `agentops_ref.agents.guards`."""

    @cached_property
    def guards(self) -> Guards:
        """The configured guards."""
        return self.guards_with(every=False)

    def guards_with(self, *, every: bool, traced: bool = True) -> Guards:
        """Return the guards; ``every`` includes those that look at no channel."""
        from agentops_ref.agents.guards import Parts, build_guards

        parts = Parts(
            file=self.config.shipped,
            owners=self._owners,
            names=self.people,
            embeddings=lambda: self.embeddings,
        )
        tracer = self.tracer if traced else None
        return build_guards(self.config.guards, parts, tracer=tracer, every=every)

    def shown(
        self, query: str, *, k: int | None = None, filters: Mapping[str, Any] | None = None
    ) -> list[Hit]:
        """Return what a search finds, as an agent may show it to its model."""
        return self.guards.sifted(self.search(query, k=k, filters=filters))

    def _owners(self) -> Owners:
        from agentops_ref.agents.guards.tenancy import owners_of

        return owners_of(self._named())

    def _named(self) -> Iterator[tuple[str, str]]:
        known = self.tables.names()
        for table, columns in _NAMES.items():
            if table not in known:
                continue
            wanted = ", ".join((*columns, "tenant"))
            for row in self.tables.query(f"select {wanted} from {table}", {}):
                for column in columns:
                    yield str(row[column]), str(row["tenant"])
