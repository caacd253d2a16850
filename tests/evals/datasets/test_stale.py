"""Which cases have to be looked at again after the documents changed."""

from __future__ import annotations

from dataclasses import replace

from agentops_ref.evals.datasets import Stale, stale_cases, superseded
from agentops_ref.records import Case

CASE = Case("a", "?", ("1 Nm",), (), ("m.pdf", "bulletins/SB-2024-014.docx"), slice="s")
THEN = {"m.pdf": "1", "bulletins/SB-2024-014.docx": "2", "other.md": "3"}


def test_nothing_happened() -> None:
    assert stale_cases([CASE], THEN, THEN) == []
    assert stale_cases([CASE], THEN, {**THEN, "new.md": "9", "other.md": "8"}) == []


def test_each_reason_is_named() -> None:
    changed = {**THEN, "m.pdf": "9"}
    assert stale_cases([CASE], THEN, changed) == [Stale("a", "changed", "m.pdf")]
    gone = {"m.pdf": "1"}
    assert stale_cases([CASE], THEN, gone) == [Stale("a", "deleted", "bulletins/SB-2024-014.docx")]
    by = {"bulletins/SB-2024-014.docx": "bulletins/SB-2025-003.docx"}
    assert stale_cases([CASE], THEN, THEN, by) == [
        Stale("a", "superseded", "bulletins/SB-2024-014.docx", "bulletins/SB-2025-003.docx")
    ]


def test_what_says_nothing_is_passed_over() -> None:
    after = {**THEN, "m.pdf": "9"}
    assert stale_cases([replace(CASE, retired="2026-01-08: x")], THEN, after) == []
    assert stale_cases([replace(CASE, sources=("tables/warranties",))], THEN, after) == []
    assert stale_cases([Case("n", "?", abstain=True)], THEN, after) == []


def test_a_document_says_that_it_takes_the_place_of_another() -> None:
    texts = {
        "bulletins/SB-2025-003.docx": "New charge. Bulletin SB-2025-003 supersedes SB-2024-014 "
        "from the date above. The manual stays. See also SB-2024-01.",
        "notes/x.md": "SB-2024-020 is a bulletin. It replaces nothing.",
    }
    old = ["bulletins/SB-2024-014.docx", "bulletins/SB-2024-01.docx", "bulletins/SB-2024-020.docx",
           "bulletins/SB-2025-003.docx", "guides/manual.pdf"]  # fmt: skip
    found = superseded(texts, old, ["supersed", "replac"])
    assert found == {"bulletins/SB-2024-014.docx": "bulletins/SB-2025-003.docx"}
    assert superseded(texts, old, []) == {}
