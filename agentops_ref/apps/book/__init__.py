"""The book builder: papermill executes, Sphinx renders, nothing in the book is typed by hand.

::

    notebooks/ ─ execute ─► _build/executed/ ─┐
                                              ├─ stage ─► _build/src/ ─ render ─► _build/html/
    book/ + generated pages ──────────────────┘                            (checked: opens offline)

``python -m agentops_ref.apps.book build`` does all of it; ``--help`` lists the steps.
"""

from __future__ import annotations

from collections.abc import Sequence


def main_book(arguments: Sequence[str] | None = None) -> None:
    """Run the builder's command line with ``arguments`` (default: the process's own)."""
    from agentops_ref.apps.book.command import book

    book(args=arguments, prog_name="python -m agentops_ref.apps.book")


__all__ = ["main_book"]
