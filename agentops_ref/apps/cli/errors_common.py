"""What the commands of ``agentops errors`` share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from agentops_ref.evals.errors import Count

file_option = click.option(
    "--file", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="File of readings; by default evals.errors.readings.",
)  # fmt: skip
coder_option = click.option("--coder", metavar="NAME", help="Who reads; by default your login.")


def who(coder: str | None) -> str:
    """Return the reader's name."""
    from getpass import getuser

    return coder or getuser()


def rows(counts: Iterable[Count]) -> list[dict[str, Any]]:
    """Return counts for JSON."""
    return [
        {**{k: v for k, v in one._asdict().items() if k != "interval"},
         "low": round(one.interval.low, 6), "high": round(one.interval.high, 6)}
        for one in counts
    ]  # fmt: skip
