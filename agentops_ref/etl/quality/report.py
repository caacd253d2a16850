"""Reports of quality in words and on disk: one JSON file a run, the last ones kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentops_ref.etl.quality.check import explained
from agentops_ref.files import write_whole
from agentops_ref.records import QualityReport, QualityVerdict


def describe(report: QualityReport) -> str:
    """Say in plain text what a report found, a line per expectation: the plot's equivalent."""
    what = "the index" if report.scope == "index" else "what the sync brings"
    lines = [f"Quality of {what}: {headline(report)}."]
    lines += [f"- {v.state}: {explained(v)}" for v in report.verdicts]
    lines += [f"- quarantined: {name}: {why}" for name, why in report.rejected]
    return "\n".join(lines)


def headline(report: QualityReport) -> str:
    """Return the counts on one line."""
    counts = {
        state: sum(verdict.state == state for verdict in report.verdicts)
        for state in ("pass", "fail", "not enough")
    }
    said = f"{counts['pass']} expectations met, {counts['fail']} failed"
    if counts["not enough"]:
        said += f", {counts['not enough']} without enough to judge"
    said += f"; {report.documents} documents"
    if report.unknown:
        said += f", {report.unknown} not judged"
    return said


def keep(report: QualityReport, folder: Path, *, last: int) -> Path | None:
    """Write a report beside the earlier ones of its source, and drop all but the last ones.

    Returns
    -------
    Path or None
        The file; None when none are kept (``last`` is 0).
    """
    if last < 1:
        return None
    place = _place(report.source, report.scope, folder)
    place.mkdir(parents=True, exist_ok=True)
    files = _files(place)
    number = int(files[-1].stem) + 1 if files else 1
    target = place / f"{number:08}.json"
    write_whole(target, json.dumps(asdict(report), indent=1, ensure_ascii=False))
    for old in files[: max(0, len(files) + 1 - last)]:
        old.unlink(missing_ok=True)
    return target


def recent(source: str, folder: Path, *, scope: str = "sync") -> list[QualityReport]:
    """Return the kept reports of a source, oldest first; damaged ones are left out."""
    found = []
    for file in _files(_place(source, scope, folder)):
        try:
            found.append(report_from(json.loads(file.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError, LookupError):
            continue
    return found


def report_from(stored: dict[str, Any]) -> QualityReport:
    """Return the report that was written as JSON."""
    verdicts = tuple(
        QualityVerdict(**{**verdict, "worst": _pairs(verdict["worst"])})
        for verdict in stored["verdicts"]
    )
    return QualityReport(**{**stored, "verdicts": verdicts, "rejected": _pairs(stored["rejected"])})


def _pairs(stored: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in stored)


def _place(source: str, scope: str, folder: Path) -> Path:
    name = hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:12]
    return folder / f"{name}-{scope}"


def _files(place: Path) -> list[Path]:
    return sorted(place.glob("[0-9]*.json")) if place.is_dir() else []
