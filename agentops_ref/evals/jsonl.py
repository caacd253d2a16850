"""Files of one JSON object a line. Taught in chapter 8."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError


def parse_object(line: str) -> dict[str, Any]:
    """Parse one line.

    Raises
    ------
    ValueError
        Not JSON, or not an object; says which.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"expected one JSON object a line, got {line.strip():.60}")
    return found


def read_objects(file: Path, *, remedy: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield "file, line n" and the object of each line; blank lines are passed over.

    Parameters
    ----------
    remedy
        What to do where the file is missing.

    Raises
    ------
    ConfigError
        The file is missing, not UTF-8 or without a row, or a line holds no object; names the file,
        the line and what was expected.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("; ".join(filter(None, (f"not found: {file}", remedy)))) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8: {error.reason} at byte {error.start}") from None
    if not text.strip():
        raise ConfigError(f"{file}: no rows; expected one JSON object a line")
    # Not splitlines: a text may hold U+2028 and others that it takes for the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{file}, line {number}"
            try:
                row = parse_object(line)
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from None
            yield where, row
