"""The expectations of an index, and the reports of how it met them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.records import QualityReport
from agentops_ref.wiring.base import Progress
from agentops_ref.wiring.index import Index
from agentops_ref.wiring.parts import load
from agentops_ref.wiring.tables import Tables

if TYPE_CHECKING:
    from agentops_ref.etl.quality import Check

log = logging.getLogger(__name__)


class Quality(Index, Tables):
    """What a sync is judged by; see `agentops_ref.etl.quality`."""

    def quality_check(self, *, accept: bool = False) -> Check:
        """Return the expectations of ``etl.quality``, as a sync is given them.

        Raises
        ------
        ConfigError
            An expectation that makes no sense, or a ``completeness`` that cannot be imported.
        """
        from agentops_ref.etl.quality import Check, expectations

        settings = self.config.etl.quality
        name = settings.completeness
        completeness = None
        if name is not None:
            completeness = load("completeness", name)
            if name == "extract":
                completeness = completeness(lambda: self.record_schema)
        return Check(
            expectations(settings.expectations),
            level=settings.level,
            fewest=settings.fewest,
            completeness=completeness,
            accept=accept,
        )

    def quality(self, *, progress: Progress | None = None) -> QualityReport:
        """Judge the index as it stands; see `agentops_ref.etl.quality.whole`."""
        from agentops_ref.etl.quality import whole_index

        held = self.index if self.config.etl.sink.pin is not None else self.sink.snapshot()
        check = self.quality_check()
        report = whole_index(self.source, held, self.stages, check, progress=progress)
        self._keep_quality(report, track=False)
        return report

    def quality_reports(self, scope: str = "sync") -> list[QualityReport]:
        """Return the kept reports of the source, oldest first."""
        from agentops_ref.etl.quality import recent

        return recent(self.source.name, self._quality_folder, scope=scope)

    def track_quality(self, report: QualityReport) -> str:
        """Log a report as an MLflow run: numbers, the report, the plot. Return the run's id."""
        from dataclasses import asdict

        from agentops_ref.etl.quality import describe
        from agentops_ref.etl.quality.plot import plot_quality

        mlflow = self.tracer.connect()
        tags = {
            "kind": f"quality of {report.scope}",
            "index_version": str(report.index_version),
            "source": report.source,
            "refused": str(bool(report.refused)).lower(),
        }
        with mlflow.start_run(run_name=f"quality-{report.scope}", tags=tags) as run:
            counts = dict.fromkeys(("pass", "fail", "not enough"), 0)
            for verdict in report.verdicts:
                counts[verdict.state] += 1
            states = {f"expectations.{s.replace(' ', '_')}": n for s, n in counts.items()}
            mlflow.log_metrics({**report.metrics, **states, "documents": report.documents})
            mlflow.log_dict(asdict(report), "quality.json")
            mlflow.log_text(describe(report), "quality.txt")
            earlier = self.quality_reports(report.scope)
            mlflow.log_figure(plot_quality(report, earlier), "quality.png")
            return str(run.info.run_id)

    @property
    def _quality_folder(self) -> Path:
        return self.config.path(self.config.paths.state) / "quality"

    def _keep_quality(self, report: QualityReport, *, track: bool = True) -> None:
        """Keep a report on disk and, if asked for, in MLflow; a failure fails no sync."""
        from agentops_ref.etl.quality import keep

        settings = self.config.etl.quality
        try:
            keep(report, self._quality_folder, last=settings.keep)
            if track and settings.mlflow:
                self.track_quality(report)
        except Exception as error:  # whatever a store raises, the sync was done
            log.warning("cannot keep the quality report: %s: %s", type(error).__name__, error)
