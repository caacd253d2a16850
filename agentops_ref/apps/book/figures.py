"""Turns plotly figures in executed notebooks into HTML that needs one local script only."""

from __future__ import annotations

import html
import json
from typing import Any

from agentops_ref.apps.book.sphinx_ext import PLOTLY_MARK

PLOTLY_MIME = "application/vnd.plotly.v1+json"


def localise(cell: dict[str, Any]) -> dict[str, Any]:
    """Return the cell with every plotly output replaced by an element that figures.js fills."""
    if not any(PLOTLY_MIME in output.get("data", {}) for output in cell.get("outputs", [])):
        return cell
    return {**cell, "outputs": [_localise(output) for output in cell["outputs"]]}


def _localise(output: dict[str, Any]) -> dict[str, Any]:
    figure = output.get("data", {}).get(PLOTLY_MIME)
    if figure is None:
        return output
    layout = figure.get("layout", {})
    label = str((layout.get("meta") or {}).get("alt") or _title(layout) or "Interactive figure")
    # Inside a script element only `</` could end it early.
    payload = json.dumps({"data": figure["data"], "layout": layout}).replace("</", "<\\/")
    height = int(layout.get("height") or 400)
    text = (
        f'<div class="{PLOTLY_MARK}" role="img" aria-label="{html.escape(label)}" '
        f'style="min-height:{height}px"><script type="application/json">{payload}</script></div>'
    )
    return {**output, "data": {"text/html": text, "text/plain": label}}


def _title(layout: dict[str, Any]) -> str:
    title = layout.get("title") or {}
    return str(title.get("text", "")) if isinstance(title, dict) else str(title)
