"""Word and PowerPoint, through unstructured."""

from __future__ import annotations

import io
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from agentops_ref.etl.parse import pictures, slides
from agentops_ref.etl.parse.archive import check_archive
from agentops_ref.etl.parse.body import shown
from agentops_ref.etl.parse.common import MAX_REPEATED, clean, element
from agentops_ref.etl.parse.convert import UNTOLD, convert, no_guesses
from agentops_ref.etl.parse.figure import looking
from agentops_ref.records import Element

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr


def parse_docx(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """A Word document. It has no pages until somebody prints it, so neither have its elements."""
    check_archive(name, data)
    pictures.set_up()
    import docx
    from unstructured.partition.docx import partition_docx

    document = docx.Document(io.BytesIO(data))
    changed = shown(document.element.body)
    headings = {clean(p.text) for p in document.paragraphs if _is_heading(p)}
    if document.element.body.xpath(".//w:tcPr/w:vMerge | .//w:tcPr/w:gridSpan"):
        _unmerge(document.element.body)
        changed = True
    if changed:
        buffer = io.BytesIO()
        document.save(buffer)
        data = buffer.getvalue()
    with looking(ocr), no_guesses():
        items: list[Any] = partition_docx(
            file=io.BytesIO(data), include_page_breaks=False, languages=UNTOLD
        )
    for item in items:
        item.metadata.page_number = None
        if clean(item.text) not in headings:
            item.metadata.category_depth = None  # a title only by the looks of its words
    return list(convert(items))


def parse_pptx(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """A deck; the page is the slide, with its speaker notes at the end.

    Only a slide's title placeholder makes a title. A hidden slide is left out, as a hidden sheet.
    """
    check_archive(name, data)
    pictures.set_up()
    import pptx
    from unstructured.partition.pptx import partition_pptx

    deck = pptx.Presentation(io.BytesIO(data))
    if slides.unmerge(deck):
        buffer = io.BytesIO()
        deck.save(buffer)
        data = buffer.getvalue()
    with looking(ocr), no_guesses():
        items: list[Any] = partition_pptx(
            file=io.BytesIO(data), include_page_breaks=False, languages=UNTOLD
        )
    for item in items:
        if item.category == "Title" and item.metadata.category_depth:
            item.metadata.category_depth = None  # a short line of the body
    found = list(convert(items))
    # unstructured would put the notes before the slide's title, that is, under the one before it.
    hidden = set()
    for number, slide in enumerate(deck.slides, 1):
        if slides.is_hidden(slide):
            hidden.add(number)
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        end = sum(1 for item in found if (item.page or 0) <= number)
        said = element("text", notes.text if notes else "", page=number)
        found[end:end] = [*slides.charts_of(slide, number), *said]
    return [item for item in found if item.page not in hidden]


def _unmerge(body: Any) -> None:
    """Repeat a cell in each row and column that it spans, so that every row stands by itself.

    unstructured leaves spanned cells out, and those after them move into other columns.
    """
    left = MAX_REPEATED
    for table in body.xpath(".//w:tbl"):
        above: dict[int, Any] = {}
        for row in table.tr_lst:
            column = row.grid_before
            for cell in row.tc_lst:
                span = cell.grid_span
                is_below = cell.vMerge == "continue" and column in above
                source = above[column] if is_below else cell
                above[column] = source
                left -= (span - 1 + is_below) * (len("".join(source.itertext())) + 10)
                if left < 0:
                    return
                if is_below:
                    cell.clear_content()
                    for child in source.iterchildren():
                        if child is not source.tcPr:
                            cell.append(deepcopy(child))
                column += span
                cell.grid_span = 1
                for _ in range(span - 1):
                    cell.addnext(deepcopy(cell))
        for cell in table.xpath("./w:tr/w:tc"):
            cell.vMerge = None


def _is_heading(paragraph: Any) -> bool:
    """By its style, or a short line that is bold throughout."""
    if paragraph.style is not None and paragraph.style.name.startswith(("Heading", "Title")):
        return True
    runs = [run for run in paragraph.runs if run.text.strip()]
    return bool(runs) and len(paragraph.text) < 100 and all(run.bold for run in runs)
