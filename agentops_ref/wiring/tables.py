"""The Delta tables, and what files and databases bring to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentops_ref.wiring.base import Base

if TYPE_CHECKING:
    from agentops_ref.etl.extract.schema import Schema
    from agentops_ref.etl.tables import TablesReport


class Tables(Base):
    """Structured data; see `agentops_ref.etl.tables`."""

    @cached_property
    def tables(self) -> Any:
        """The Delta tables; ``tables.query(sql, parameters)`` reads them through DuckDB."""
        from agentops_ref.etl.tables import DeltaTables
        from agentops_ref.etl.tabular.declared import limits, policy

        tables = self.config.etl.tables
        return DeltaTables(
            self.config.path(tables.uri),
            max_share=tables.max_share,
            wait=tables.wait_seconds,
            policy=policy(tables),
            limits=limits(tables),
            views=lambda: self.record_schema.views,
        )

    def merge_tables(self, *, allow_mass_deletion: bool = False) -> TablesReport:
        """Merge all sources of tables; what failed stands in the report, and the others landed."""
        from agentops_ref.etl.tabular.declared import declared

        found = declared(self.config.etl.tables, self.config.path)
        report: TablesReport = self.tables.sync_sources(
            found, allow_mass_deletion=allow_mass_deletion
        )
        return report

    def sync_tables(self, *, allow_mass_deletion: bool = False) -> Mapping[str, Mapping[str, int]]:
        """Merge all sources of tables; counts per table, none for one that did not change.

        Raises
        ------
        AgentOpsError
            One failed; the others have landed.
        """
        return self.merge_tables(allow_mass_deletion=allow_mass_deletion).require().counts

    def people(self) -> Iterable[str]:
        """Return the names of customers and technicians."""
        known = self.tables.names()
        for table in ("customers", "technicians"):
            if table in known:
                for row in self.tables.query(f"select name from {table}", {}):
                    yield str(row["name"])

    @cached_property
    def record_schema(self) -> Schema:
        """The record types that are extracted from documents, and the views over their tables."""
        from agentops_ref.etl.extract import load_schema

        return load_schema(self.config.shipped(self.config.etl.extract.schema_file))
