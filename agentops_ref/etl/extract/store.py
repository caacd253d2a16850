"""Results of extraction in the stage cache, by what they were made from. Taught in chapter 3.

Like all of that cache it only saves work: it may be deleted at any time, and where it cannot be
written the records are made all the same.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from agentops_ref.etl.cache import StageCache
from agentops_ref.etl.extract.records import Extracted, Provenance, Record, Rejected, Value
from agentops_ref.etl.recipe import text_hash


class ResultStore:
    """Records and models' answers in the stage cache of ``folder``."""

    def __init__(self, folder: Path | str) -> None:
        self._cache = StageCache(folder)

    def get(self, recipe: str, address: str) -> Extracted | None:
        """Return a stored result; a damaged one counts as absent."""
        try:
            return _extracted(self._cache.get("extract", recipe, address))
        except (ValueError, TypeError, LookupError, AttributeError):
            return None

    def put(self, recipe: str, address: str, result: Extracted) -> None:
        self._cache.put("extract", recipe, address, _stored(result))

    def get_answer(self, recipe: str, text: str) -> Any:
        """Return what a model answered to a text; None where it is not known."""
        return self._cache.get("ask", recipe, text_hash(text))

    def put_answer(self, recipe: str, text: str, answer: Any) -> None:
        self._cache.put("ask", recipe, text_hash(text), answer)


def _stored(result: Extracted) -> dict[str, Any]:
    """JSON knows no dates: they become ``{"date": ...}``."""
    stored = asdict(result)
    for record in stored["records"]:
        record["values"] = {
            name: {"date": value.isoformat()} if isinstance(value, date) else value
            for name, value in record["values"].items()
        }
    return stored


def _extracted(stored: dict[str, Any]) -> Extracted:
    return Extracted(
        tuple(_record(one) for one in stored["records"]),
        tuple(
            Rejected(**{**one, "printed": {n: _tupled(v) for n, v in one["printed"].items()}})
            for one in stored["rejected"]
        ),
        stored["incomplete"],
        stored["failed"],
    )


def _record(stored: dict[str, Any]) -> Record:
    where = stored["provenance"]
    box = where["box"]
    values: dict[str, Value | None] = {n: _tupled(v) for n, v in stored["values"].items()}
    return Record(
        stored["type"],
        values,
        stored["units"],
        Provenance(**{**where, "box": None if box is None else tuple(box)}),
    )


def _tupled(value: Any) -> Any:
    """The other way round; and JSON knows no tuples, a list comes back."""
    if isinstance(value, list):
        return tuple(value)
    return date.fromisoformat(value["date"]) if isinstance(value, dict) else value
