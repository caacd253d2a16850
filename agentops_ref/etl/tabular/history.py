"""The history of a Delta table, with the rows that each version changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agentops_ref.etl.tabular.landing import COUNTS


class TableVersion(NamedTuple):
    """One line of a table's history."""

    number: int
    made_at: str
    """UTC, ISO 8601 to the second."""
    operation: str
    """Delta's own name of it: WRITE, MERGE, DELETE, ..."""
    inserted: int
    updated: int
    deleted: int


def version_of(line: Mapping[str, Any]) -> TableVersion:
    """Return one entry of Delta's history; counts are ours where the commit carries them."""
    told = line.get("operationMetrics") or {}
    ours = json.loads(line.get(COUNTS) or "null")
    counts = ours or {
        "inserted": _first(told, "num_target_rows_inserted", "num_added_rows"),
        "updated": _first(told, "num_target_rows_updated"),
        "deleted": _first(told, "num_target_rows_deleted", "num_deleted_rows"),
    }
    made = datetime.fromtimestamp(line["timestamp"] / 1000, UTC)
    return TableVersion(
        int(line["version"]),
        made.isoformat(timespec="seconds"),
        str(line["operation"]),
        *(counts.get(what, 0) for what in ("inserted", "updated", "deleted")),
    )


def _first(told: Mapping[str, Any], *names: str) -> int:
    """Return the first of these counts that an operation tells; 0 for none."""
    return next((int(told[name]) for name in names if name in told), 0)
