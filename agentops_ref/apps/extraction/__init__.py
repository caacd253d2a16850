"""How well records are extracted, against what the corpus is known to say. Taught in chapter 3.

    truth: what was printed ─┐
                             ├─ comparison: right, found, wanted ── report
    records of each document ┘

The truth is what the generator was given to print (`_build/corpus/truth`), never what anybody read
back. A value counts in its document, for its key: the right torque for the wrong model is wrong.
A content that several corpus versions share counts once.

``python -m agentops_ref.apps.extraction`` prints the table; `agentops record run` calls it, so that
what the model is asked here is recorded.
"""

from agentops_ref.apps.extraction.comparison import Quality, Wrong, compare, unprinted
from agentops_ref.apps.extraction.report import Measured, lines, measure, table
from agentops_ref.apps.extraction.truth import VERSIONS, Item, Looked, look, wanted

__all__ = [
    "VERSIONS",
    "Item",
    "Looked",
    "Measured",
    "Quality",
    "Wrong",
    "compare",
    "lines",
    "look",
    "measure",
    "table",
    "unprinted",
    "wanted",
]
