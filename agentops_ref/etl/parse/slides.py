"""What a deck holds that unstructured passes over: charts, and the text of merged cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentops_ref.etl.parse.common import MAX_REPEATED, element, table_text
from agentops_ref.records import Element


def shapes_of(shapes: Any) -> Iterator[Any]:
    """The shapes of a slide, those within groups too."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from shapes_of(shape.shapes)
        else:
            yield shape


def is_hidden(slide: Any) -> bool:
    """Whether a presentation leaves the slide out."""
    return slide._element.get("show") in ("0", "false")


def unmerge(deck: Any) -> bool:
    """Repeat a merged cell's text in each place that it spans; whether there was any."""
    left, any_merged = MAX_REPEATED, False
    for slide in deck.slides:
        for shape in shapes_of(slide.shapes):
            if not getattr(shape, "has_table", False):
                continue
            cells = shape.table._tbl.tr_lst
            for at, row in enumerate(cells):
                for column, cell in enumerate(row.tc_lst):
                    text = shape.table.cell(at, column).text
                    height, width = cell.rowSpan, cell.gridSpan
                    left -= (height * width - 1) * (len(text) + 10)
                    if left < 0:
                        return any_merged
                    for below in range(at, min(at + height, len(cells))):
                        for beside in range(column, min(column + width, len(row.tc_lst))):
                            if (below, beside) != (at, column):
                                shape.table.cell(below, beside).text = text
                                any_merged = True
    return any_merged


def charts_of(slide: Any, number: int) -> Iterator[Element]:
    """Each chart as a table: its categories down, its series across."""
    for shape in shapes_of(slide.shapes):
        if not getattr(shape, "has_chart", False):
            continue
        chart = shape.chart
        if chart.has_title and chart.chart_title.has_text_frame:
            yield from element("caption", chart.chart_title.text_frame.text, page=number)
        for plot in chart.plots:
            series = list(plot.series)
            rows = [["", *(one.name for one in series)]]
            for at, category in enumerate(plot.categories):
                values = [one.values[at] if at < len(one.values) else None for one in series]
                rows.append(
                    [str(category), *("" if value is None else f"{value:.10g}" for value in values)]
                )
            yield from element("table", table_text(rows), page=number)
