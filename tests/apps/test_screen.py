"""What a terminal of 80 columns shows of a large or hostile sync."""

from __future__ import annotations

import io

from rich.console import Console

from agentops_ref.apps import screen
from agentops_ref.etl.audit import AuditReport, Finding
from agentops_ref.etl.plan import Plan
from agentops_ref.records import Change, SyncReport

MANY = tuple(f"folder/document {n:03}.pdf" for n in range(300))


def shown(draw: object, *records: object) -> list[str]:
    out = Console(file=io.StringIO(), width=80, highlight=False)
    draw(out, *records)  # type: ignore[operator]
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_three_hundred_of_anything_are_some_lines() -> None:
    broken = tuple((name, f"{name}: it is truncated") for name in MANY)
    status = {
        "source": "docs", "version": 1, "made_at": None, "documents": 300, "chunks": 0,
        "quarantined": [{"document": name, "reason": why} for name, why in broken],
        "tombstoned": [{"document": name, "listings": 1} for name in MANY],
    }  # fmt: skip
    plan = Plan(create=tuple(Change("create", name, "new") for name in MANY))
    findings = tuple(Finding("stale", name, "indexed as 1, now 2") for name in MANY)
    for lines in (
        shown(screen.sync_report, SyncReport("docs", 1, created=MANY, quarantined=broken)),
        shown(screen.index_status, status),
        shown(screen.plan, plan),
        shown(screen.audit_report, AuditReport("docs", 300, findings)),
    ):
        assert len(lines) <= 50
        assert any("more" in line and "--json" in line for line in lines)


def test_a_reason_names_its_document_once_and_a_name_commands_no_terminal() -> None:
    name = "a\n\x1b[2J[/].txt"
    report = SyncReport("docs", 1, created=(name,), quarantined=((name, f"{name}: empty"),))
    assert shown(screen.sync_report, report)[-2:] == [
        "  + a \\x1b[2J[/].txt",
        "  ! a \\x1b[2J[/].txt: empty",
    ]


def test_a_source_with_brackets_can_be_refused() -> None:
    for draw, record in (
        (screen.sync_report, SyncReport("d", 1, refused="the listing of we[/]ird lacks 2")),
        (screen.plan, Plan(refused="the listing of we[/]ird lacks 2")),
    ):
        assert shown(draw, record) == ["refused: the listing of we[/]ird lacks 2"]


def test_a_sync_of_nothing_says_so() -> None:
    assert shown(screen.sync_report, SyncReport("empty", 0))[-1].startswith("no documents in empty")
    counts = shown(screen.sync_report, SyncReport("docs", 1, created=("a",), seconds=12.3))[0]
    assert counts == "index version 1: 1 created, 0 updated, 0 deleted, 0 tombstoned, 0 unchanged"


def test_an_audit_of_what_only_people_can_mend_offers_no_repair() -> None:
    finding = Finding("unreadable", "a.pdf", "a.pdf: encrypted", mendable=False)
    lines = shown(screen.audit_report, AuditReport("docs", 1, (finding,)))
    text = " ".join(" ".join(lines).split())
    assert "--repair" not in text
    assert "mend the document at its source" in text
