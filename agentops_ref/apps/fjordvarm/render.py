"""Which renderer a draft goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentops_ref.apps.fjordvarm.model import Draft, Rendered
from agentops_ref.apps.fjordvarm.office import render_docx, render_pptx, render_xlsx
from agentops_ref.apps.fjordvarm.pdf import render_pdf
from agentops_ref.apps.fjordvarm.plain import (
    render_email,
    render_html,
    render_markdown,
    render_text,
)
from agentops_ref.apps.fjordvarm.scans import render_plate, render_scan

RENDERERS: Mapping[str, Callable[[Draft], Rendered]] = {
    "pdf": render_pdf,
    "docx": render_docx,
    "pptx": render_pptx,
    "xlsx": render_xlsx,
    "html": render_html,
    "md": render_markdown,
    "txt": render_text,
    "eml": render_email,
    "png": render_plate,
}


def render(draft: Draft) -> Rendered:
    """Bytes of a draft, in the format that its path ends in."""
    if draft.kind == "certificate":
        return render_scan(draft)
    return RENDERERS[draft.path.rsplit(".", 1)[-1]](draft)
