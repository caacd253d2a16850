"""The two LangChain tools of chapter 1's loop: the search, and one look-up in the records.

They are made from the callables that the composition root hands in. The loop calls them directly;
tools with policies and an audit are in the registry, which chapter 6 teaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.chain import Search, format_context
from agentops_ref.records import Hit

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Query = Callable[[str, Sequence[Any]], list[dict[str, Any]]]
"""Run one SQL statement with parameters; rows as dictionaries."""

_INSTALLATION = """
    select i.serial_number, i.model, i.commissioned, i.firmware, i.status,
           w.kind as warranty, w.ends as warranty_until, w.status as warranty_status
    from installations i left join warranties w on w.serial_number = i.serial_number
    where upper(i.serial_number) = upper(trim(?))
"""


class DocumentSearch:
    """The search tool; remembers what it returned, so that the answer can be cited."""

    def __init__(
        self, search: Search, *, context_chars: int, filters: Mapping[str, Any] | None
    ) -> None:
        self._search, self._limit, self._filters = search, context_chars, filters
        self.shown: list[Hit] = []

    def __call__(self, query: str) -> str:
        """Return numbered excerpts; numbering goes on over several calls."""
        text, hits = format_context(
            self._search(query, filters=self._filters), self._limit, start=len(self.shown) + 1
        )
        self.shown.extend(hits)
        return text or "nothing found"

    def as_tool(self) -> BaseTool:
        from langchain_core.tools import StructuredTool

        return StructuredTool.from_function(
            self.__call__,
            name="search_documents",
            description="Search manuals, bulletins, policies and notes. Input: a short query.",
        )


def records_tool(query: Query) -> BaseTool:
    """Look up one installation by its serial number. The SQL is fixed, only the value varies."""
    from langchain_core.tools import StructuredTool

    def find_installation(serial: str) -> str:
        rows = query(_INSTALLATION, [serial])
        if not rows:
            return f"no installation with serial number {serial}"
        return "; ".join(f"{key}: {value}" for key, value in rows[0].items())

    return StructuredTool.from_function(
        find_installation,
        name="find_installation",
        description="Model, start-up date, firmware and warranty of one unit by serial number.",
    )
