"""The search as a tool. What it returns can be cited: the loop keeps the hits behind the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentops_ref.agents.chain import Search, format_context
from agentops_ref.agents.tenants import restricted
from agentops_ref.agents.tools.spec import Caller, ToolSpec
from agentops_ref.records import Hit

Query = Callable[[str, Sequence[Any]], list[dict[str, Any]]]
"""Run one SQL statement with parameters; rows as dictionaries."""
NAME = "search_documents"


@dataclass(frozen=True, slots=True)
class Excerpts:
    """What a search found, best first."""

    hits: tuple[Hit, ...]

    def numbered(self, limit: int | None, *, start: int = 1) -> tuple[str, tuple[Hit, ...]]:
        """Return the text for a model, of at most ``limit`` characters, and the hits in it."""
        text, shown = format_context(self.hits, limit, start=start)
        return text or "nothing found", shown

    def __str__(self) -> str:
        return self.numbered(None)[0]


class SearchTool:
    """The search tool; ``more`` are further fields of its `ToolSpec`."""

    def __init__(self, search: Search, **more: Any) -> None:
        self._search = search
        parameters = {
            "type": "object",
            "properties": {"query": {"type": "string"}},
            "required": ["query"],
            "additionalProperties": False,
        }
        about = "Search manuals, bulletins, policies and notes. Input: a short query."
        self.spec = ToolSpec(NAME, about, parameters, **more)

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Excerpts:
        filters = restricted(caller.filters, caller.tenant, desk=caller.desk)
        return Excerpts(tuple(self._search(arguments["query"], filters=filters or None)))
