"""Bringing the index in step with its source, and checking that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops_ref.errors import OperatorError, SyncRefused
from agentops_ref.records import SyncReport
from agentops_ref.wiring.base import Progress
from agentops_ref.wiring.quality import Quality
from agentops_ref.wiring.tables import Tables

if TYPE_CHECKING:
    from agentops_ref.etl import AuditReport, Plan


class Syncing(Quality, Tables):
    """See `agentops_ref.etl.sync`, `plan` and `audit`."""

    def plan(self) -> Plan:
        """Return what a sync would do now; reads a listing and the ledger, changes nothing."""
        from agentops_ref.etl.plan import diff

        ledger = self.sink.snapshot().ledger()
        return diff(self.source.list(), ledger, self.stages.recipe, self.config.etl.deletion)

    def sync(
        self,
        *,
        progress: Progress | None = None,
        allow_mass_deletion: bool = False,
        accept_quality: bool = False,
        wait: float = 0,
    ) -> SyncReport:
        """Bring the index in step with the source, in one atomic commit.

        With ``accept_quality`` failed expectations are reported and stop nothing.

        Raises
        ------
        OperatorError
            The source cannot be listed at all.
        TransientError
            Another sync holds the index for longer than ``wait`` seconds.
        """
        from agentops_ref.etl.sync import sync

        report = sync(
            self.source,
            self.sink,
            self.stages,
            self.config.etl.deletion,
            progress=progress,
            allow_mass_deletion=allow_mass_deletion,
            wait=wait,
            engine=self.engine,
            quality=self.quality_check(accept=accept_quality),
        )
        if report.quality is not None:
            self._keep_quality(report.quality)
        return report

    def ensure_index(self, *, progress: Progress | None = None) -> None:
        """Sync if the index is empty, so that a first question needs no preparation."""
        if self.sink.ledger():
            return
        source = self.config.etl.source
        root = self.config.path(source.root)
        if source.kind == "folder" and not root.is_dir():
            raise OperatorError(
                f"nothing to search: no index yet, and {root} does not exist: check the path; for "
                "the sample corpus run `agentops corpus build`"
            )
        if (report := self.sync(progress=progress)).refused:
            raise SyncRefused(report.refused)
        self.sync_tables()

    def audit(
        self, *, repair: bool = False, wait: float = 0, progress: Progress | None = None
    ) -> AuditReport:
        """Compare source, ledger, chunks and vectors; see `agentops_ref.etl.audit`."""
        from agentops_ref.etl.audit import audit

        return audit(
            self.source, self.sink, self.stages, repair=repair, wait=wait, progress=progress
        )
