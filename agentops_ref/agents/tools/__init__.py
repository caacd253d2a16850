"""Tools that agents call, with one contract for all of them. Taught in chapter 6.

::

    Python function ─┐
    MCP server ──────┤
    OpenAPI document ┼─► Tool ─► Registry.call ─► known? allowed? right arguments? made before?
    Unity Catalog ───┤                            within the rate? ─► within its time ─► ToolResult
    running case ────┘                            └─ one audit record and one span for each call
"""

from agentops_ref.agents.tools.audit import Audit, AuditFile, AuditRecord
from agentops_ref.agents.tools.documents import Excerpts, Query, SearchTool
from agentops_ref.agents.tools.registry import Registry
from agentops_ref.agents.tools.spec import (
    Caller,
    Rate,
    Tool,
    ToolResult,
    ToolSource,
    ToolSpec,
    WrongArguments,
)

__all__ = [
    "Audit",
    "AuditFile",
    "AuditRecord",
    "Caller",
    "Excerpts",
    "Query",
    "Rate",
    "Registry",
    "SearchTool",
    "Tool",
    "ToolResult",
    "ToolSource",
    "ToolSpec",
    "WrongArguments",
]
