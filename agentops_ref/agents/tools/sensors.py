"""The running case's sensor readings as tools, in this process or behind our own MCP server."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.agents.tools.records import RecordQuery
from agentops_ref.agents.tools.spec import Caller

MOST = 24
"""Readings that one call returns."""

LATEST = """
select r.measured_at, r.outdoor_c, r.flow_c, r.return_c, r.power_w, r.compressor_hz
from sensor_readings r
where r.tenant = $tenant and upper(r.serial_number) = upper(trim($serial))
order by r.measured_at desc limit $count
"""
SUMMARY = """
select count(*) as readings, min(r.measured_at) as first, max(r.measured_at) as last,
       round(avg(r.outdoor_c), 1) as outdoor_c, round(avg(r.flow_c), 1) as flow_c,
       round(avg(r.flow_c - r.return_c), 1) as spread_c,
       round(avg(r.power_w)) as power_w, max(r.compressor_hz) as highest_hz
from sensor_readings r
where r.tenant = $tenant and upper(r.serial_number) = upper(trim($serial))
  and cast(r.measured_at as timestamptz) >= cast($start as timestamptz)
  and cast(r.measured_at as timestamptz) < cast($end as timestamptz)
"""

Serial = Annotated[str, Field(description="serial number", min_length=2, max_length=100)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Start = Annotated[datetime, Field(description="YYYY-MM-DD")]
End = Annotated[datetime, Field(description="YYYY-MM-DD, not included")]


class Sensors:
    """Readings of the caller's tenant's units."""

    def __init__(self, query: RecordQuery) -> None:
        self._query = query

    def tools(self, **more: Any) -> list[FunctionTool]:
        """Return them as tools; ``more`` are fields of each `ToolSpec`."""
        return [
            FunctionTool(self.latest_readings, **more),
            FunctionTool(self.summarise_readings, **more),
        ]

    def latest_readings(
        self, serial: Serial, caller: Caller, count: Count = 1
    ) -> list[dict[str, Any]]:
        """Newest sensor readings of one unit: temperatures, power, compressor speed."""
        return self._rows(LATEST, caller, serial=serial, count=count)

    def summarise_readings(
        self, serial: Serial, start: Start, end: End, caller: Caller
    ) -> dict[str, Any]:
        """Averages of one unit's sensor readings over a period."""
        (summary,) = self._rows(SUMMARY, caller, serial=serial, start=start, end=end)
        return summary

    def _rows(self, sql: str, caller: Caller, **values: Any) -> list[dict[str, Any]]:
        found = self._query(sql, {"tenant": caller.tenant, **values})
        return [{name: _plain(value) for name, value in row.items()} for row in found]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
