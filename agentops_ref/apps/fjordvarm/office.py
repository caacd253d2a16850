"""Blocks -> DOCX, PPTX and XLSX, with fixed times so that equal drafts give equal bytes."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime
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

_STYLE_TYPE = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}type"
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")


def _issued(draft: Draft) -> datetime:
    return datetime(draft.published.year, draft.published.month, draft.published.day, 12)


def _core_properties(properties: Any, draft: Draft) -> None:
    properties.author = "Fjordvarm (fictional)"
    properties.title = draft.title
    properties.created = properties.modified = _issued(draft)
    properties.revision = 1


def rezip(content: bytes, issued: datetime) -> bytes:
    """The same archive without times or compression of its own.

    Stored, not deflated: zlib builds differ in their output, and the bytes are hashed downstream.
    """
    stamp = issued.replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":  # openpyxl writes the time of saving
                data = _MODIFIED.sub(rb"\g<1>" + stamp + rb"\g<2>", data)
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            new.writestr(entry, data)
    return out.getvalue()


def _saved(document: Any, draft: Draft) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return rezip(buffer.getvalue(), _issued(draft))


def _slim(document: Any) -> None:
    """Drop what python-docx's template brings and nobody uses: 0.8 MB in each stored file."""
    kept = {"Normal Table", "Table Grid"}
    for style in list(document.styles):
        if style.element.get(_STYLE_TYPE) == "table" and style.name not in kept:
            style.element.getparent().remove(style.element)
    for key, relation in list(document.part.rels.items()):
        if relation.reltype.endswith("/stylesWithEffects"):
            del document.part.rels[key]


def _docx_block(document: Any, block: Block) -> None:
    match block:
        case Heading(level, text):
            document.add_heading(text, min(level, 3))
        case Paragraph(text):
            document.add_paragraph(text)
        case Bullets(items):
            for item in items:
                document.add_paragraph(item, style="List Bullet")
        case Table(caption, header, rows):
            if caption:
                document.add_paragraph(caption).runs[0].italic = True
            grid = document.add_table(rows=0, cols=len(header), style="Table Grid")
            for row in (header, *rows):
                for cell, text in zip(grid.add_row().cells, row, strict=True):
                    cell.text = text
        case Figure():
            raise ValueError("figures are drawn in PDF documents only")


def render_docx(draft: Draft) -> Rendered:
    """A Word document; Word decides its pages, so facts have none."""
    import docx

    document = docx.Document()
    _slim(document)
    _core_properties(document.core_properties, draft)
    document.add_heading(draft.title, 0)
    if draft.meta:
        top = document.sections[0].header.paragraphs[0]
        top.text = "\t\t".join(value for _, value in draft.meta)
    for block in draft.blocks:
        _docx_block(document, block)
    return Rendered(_saved(document, draft), (None,) * len(draft.marks))


def render_pptx(draft: Draft) -> Rendered:
    """A deck: the title slide, then one slide for each section."""
    import pptx
    from pptx.util import Inches, Pt

    deck = pptx.Presentation()
    _core_properties(deck.core_properties, draft)
    slide = deck.slides.add_slide(deck.slide_layouts[0])
    slide.shapes.title.text = draft.title
    slide.placeholders[1].text = f"Fjordvarm Academy, {draft.published.isoformat()}"
    pages: list[int] = []
    frame: Any = None
    for block in draft.blocks:
        match block:
            case Heading(_, text):
                slide = deck.slides.add_slide(deck.slide_layouts[1])
                slide.shapes.title.text = text
                frame = slide.placeholders[1].text_frame
            case Paragraph(text):
                _add_line(frame, text)
            case Bullets(items):
                for item in items:
                    _add_line(frame, item)
            case Table(_, header, rows):
                shape = slide.shapes.add_table(
                    len(rows) + 1, len(header), Inches(0.6), Inches(4.0), Inches(8.8), Inches(2.2)
                )
                for row, cells in enumerate((header, *rows)):
                    for column, text in enumerate(cells):
                        cell = shape.table.cell(row, column)
                        cell.text = text
                        cell.text_frame.paragraphs[0].runs[0].font.size = Pt(14)
            case Figure():
                raise ValueError("figures are drawn in PDF documents only")
        if not isinstance(block, Heading):
            pages += [len(deck.slides)] * len(block.marks)
    return Rendered(_saved(deck, draft), tuple(pages))


def _add_line(frame: Any, text: str) -> None:
    from pptx.util import Pt

    first = frame.paragraphs[0]
    paragraph = first if not first.text else frame.add_paragraph()
    paragraph.text = text
    paragraph.font.size = Pt(18)


def render_xlsx(draft: Draft) -> Rendered:
    """A workbook: one sheet for each table, whole numbers as numbers."""
    import openpyxl
    from openpyxl.styles import Font

    book = openpyxl.Workbook()
    book.properties.creator = "Fjordvarm (fictional)"
    book.properties.title = draft.title
    book.properties.created = _issued(draft)
    cover = book.active
    cover.title = "Read me"
    cover.append([draft.title])
    cover.append([f"Issued {draft.published.isoformat()}"])
    for block in draft.blocks:
        match block:
            case Table(caption, header, rows):
                sheet = book.create_sheet(caption[:31])
                sheet.append(list(header))
                for cell in sheet[1]:
                    cell.font = Font(bold=True)
                for row in rows:
                    sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
                for index, name in enumerate(header):
                    widest = max(len(name), *(len(row[index]) for row in rows))
                    sheet.column_dimensions[chr(ord("A") + index)].width = widest + 2
            case Paragraph(text):
                cover.append([text])
            case Bullets(items):
                for item in items:
                    cover.append([item])
            case Heading(_, text):
                cover.append([text])
    return Rendered(_saved(book, draft), (None,) * len(draft.marks))
