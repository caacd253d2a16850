"""What the commands of ``agentops errors`` share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

file_option = click.option(
    "--file", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="File of readings; by default evals.errors.readings.",
)  # fmt: skip
coder_option = click.option("--coder", metavar="NAME", help="Who reads; by default your login.")


def who(coder: str | None) -> str:
    """Return the reader's name."""
    from getpass import getuser

    return coder or getuser()


def rows(found: Iterable[Any]) -> list[dict[str, Any]]:
    """Return named tuples for JSON, with the ends of an interval in place of it."""
    made = []
    for one in found:
        row = one._asdict()
        if "interval" in row:
            low, high = row.pop("interval")
            row |= {"low": round(low, 6), "high": round(high, 6)}
        made.append(row)
    return made
