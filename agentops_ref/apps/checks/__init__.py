"""Checks of the exercises, one module for each chapter: is the answer right, and why?"""

from __future__ import annotations

from typing import NamedTuple


class Checked(NamedTuple):
    """Whether an answer is right, and why."""

    right: bool
    why: str

    def __str__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'}. {self.why}"
