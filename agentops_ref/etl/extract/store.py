"""Results of extraction in the stage cache, by what they were made from. Taught in chapter 3.

Like all of that cache it may be deleted at any time: it only saves work.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from agentops_ref.etl.extract.records import Extracted, Provenance, Record, Rejected, Value
from agentops_ref.etl.recipe import text_hash


class ResultStore:
    """Records and models' answers as JSON files below ``folder``."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def get(self, recipe: str, address: str) -> Extracted | None:
        """Return a stored result; a damaged one counts as absent."""
        try:
            return _extracted(self._read("extract", recipe, address))
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return None

    def put(self, recipe: str, address: str, result: Extracted) -> None:
        self._write("extract", recipe, address, asdict(result))

    def get_answer(self, recipe: str, text: str) -> Any:
        """Return what a model answered to a text; None where it is not known."""
        try:
            return self._read("ask", recipe, text_hash(text))
        except (OSError, ValueError):
            return None

    def put_answer(self, recipe: str, text: str, answer: Any) -> None:
        self._write("ask", recipe, text_hash(text), answer)

    def _file(self, stage: str, recipe: str, address: str) -> Path:
        return self.folder / stage / recipe / address[:2] / f"{address}.json"

    def _read(self, stage: str, recipe: str, address: str) -> Any:
        return json.loads(self._file(stage, recipe, address).read_text(encoding="utf-8"))

    def _write(self, stage: str, recipe: str, address: str, value: Any) -> None:
        path = self._file(stage, recipe, address)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed, so that a killed process leaves no half an entry.
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
        ) as file:
            json.dump(value, file, ensure_ascii=False, default=_dated)
        os.replace(file.name, path)


def _dated(value: Any) -> Any:
    if isinstance(value, date):
        return {"date": value.isoformat()}
    raise TypeError(f"not JSON: {type(value).__name__}")


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
    """JSON knows neither tuples nor dates."""
    if isinstance(value, list):
        return tuple(value)
    return date.fromisoformat(value["date"]) if isinstance(value, dict) else value
