"""Blocks -> PDF with real text, ruled tables, drawn figures, a header and a footer."""

from __future__ import annotations

import io
from typing import Any

from agentops_ref.apps.fjordvarm.model import (
    Block,
    Bullets,
    Draft,
    Figure,
    Heading,
    Paragraph,
    Rendered,
    Table,
)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _styles() -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    base = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=11.5, spaceAfter=5)
    bold = {"fontName": "Helvetica-Bold", "textColor": HexColor("#0b3c5d"), "keepWithNext": 1}
    return {
        "body": base,
        "bullet": ParagraphStyle("bullet", base, leftIndent=12, spaceAfter=3),
        "cell": ParagraphStyle("cell", base, fontSize=8.5, leading=10.5, spaceAfter=0),
        "head": ParagraphStyle(
            "head", base, fontSize=8.5, leading=10.5, spaceAfter=0, fontName="Helvetica-Bold"
        ),
        "caption": ParagraphStyle(
            "caption", base, fontSize=8.5, fontName="Helvetica-Oblique", spaceBefore=3
        ),
        "title": ParagraphStyle("title", base, fontSize=19, leading=24, spaceAfter=10, **bold),
        "h1": ParagraphStyle("h1", base, fontSize=13, leading=16, spaceBefore=10, **bold),
        "h2": ParagraphStyle("h2", base, fontSize=10.5, leading=13, spaceBefore=6, **bold),
    }


def _column_widths(table: Table, width: float) -> list[float]:
    columns = range(len(table.header))
    longest = [
        max(11, max(min(60, len(row[column])) for row in (table.header, *table.rows)) + 4)
        for column in columns
    ]
    return [width * length / sum(longest) for length in longest]


def _table(table: Table, styles: dict[str, Any], width: float) -> list[Any]:
    from reportlab.lib.colors import HexColor, black
    from reportlab.platypus import Paragraph as Text
    from reportlab.platypus import Table as Grid

    data = [[Text(_escape(cell), styles["head"]) for cell in table.header]]
    data += [[Text(_escape(cell), styles["cell"]) for cell in row] for row in table.rows]
    grid = Grid(data, colWidths=_column_widths(table, width), repeatRows=1)
    grid.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.5, black),
            ("BACKGROUND", (0, 0), (-1, 0), HexColor("#dfe9f0")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]
    )
    caption = [Text(_escape(table.caption), styles["caption"])] if table.caption else []
    return [*caption, grid]


def _flowables(block: Block, styles: dict[str, Any], width: float) -> list[Any]:
    from reportlab.platypus import Paragraph as Text
    from reportlab.platypus import Spacer

    from agentops_ref.apps.fjordvarm.figures import drawing

    match block:
        case Heading(level, text):
            return [Text(_escape(text), styles["h1" if level == 1 else "h2"])]
        case Paragraph(text):
            return [Text(_escape(text), styles["body"])]
        case Bullets(items):
            return [Text("- " + _escape(item), styles["bullet"]) for item in items]
        case Table():
            return [*_table(block, styles, width), Spacer(1, 8)]
        case Figure():
            return [drawing(block, width), Text(_escape(block.caption), styles["caption"])]


def render_pdf(draft: Draft) -> Rendered:
    """Lay a draft out on A4 and note on which page each of its facts was printed."""
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import Flowable, KeepTogether, SimpleDocTemplate
    from reportlab.platypus import Paragraph as Text

    pages: dict[int, int] = {}

    class PageNote(Flowable):  # type: ignore[misc]
        """An invisible flowable that remembers the page it was drawn on."""

        def __init__(self, block: int) -> None:
            super().__init__()
            self.block = block

        def wrap(self, *_: float) -> tuple[float, float]:
            return (0, 0)

        def draw(self) -> None:
            pages[self.block] = self.canv.getPageNumber()

    styles = _styles()
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=52,
        rightMargin=52,
        topMargin=62,
        bottomMargin=54,
        title=draft.title,
        author="Fjordvarm (fictional)",
        invariant=1,
        pageCompression=0,
    )
    meta = dict(draft.meta)

    def furniture(canvas: Any, _: Any) -> None:
        canvas.saveState()
        canvas.setFont("Helvetica", 8)
        canvas.drawString(56, A4[1] - 42, meta.get("header", f"Fjordvarm - {draft.title}"))
        canvas.drawRightString(A4[0] - 56, A4[1] - 42, meta.get("revision", ""))
        canvas.line(56, A4[1] - 48, A4[0] - 56, A4[1] - 48)
        canvas.drawString(56, 38, f"Fjordvarm, issued {draft.published.isoformat()}")
        canvas.drawRightString(A4[0] - 56, 38, f"Page {canvas.getPageNumber()}")
        canvas.restoreState()

    story: list[Any] = [Text(_escape(draft.title), styles["title"])]
    headings: list[Any] = []
    for index, block in enumerate(draft.blocks):
        flowables = _flowables(block, styles, document.width)
        if isinstance(block, Heading):
            headings += flowables
        else:
            # Kept together, so that one page holds the heading, the block and its facts.
            story.append(KeepTogether([*headings, PageNote(index), *flowables]))
            headings = []
    document.build(story, onFirstPage=furniture, onLaterPages=furniture)
    found = [
        pages[index]
        for index, block in enumerate(draft.blocks)
        if not isinstance(block, Heading | Figure)
        for _ in block.marks
    ]
    return Rendered(buffer.getvalue(), tuple(found))
