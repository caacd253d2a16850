"""What a Word document shows that python-docx passes over: tracked changes, controls, text boxes.

The body is changed so that it reads as it is shown: insertions accepted, deletions gone, the
contents of controls (a form's fields, a table of contents) in their place, and the paragraphs of a
text box behind the paragraph that it is anchored to.
"""

from __future__ import annotations

from typing import Any

_SHELLS = ".//w:ins | .//w:moveTo | .//w:smartTag | .//w:customXml | .//w:sdt/w:sdtContent"
_GONE = ".//w:del | .//w:moveFrom"
_BOXES = ".//w:txbxContent[not(ancestor::mc:Fallback)]"
_NAMES = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
}


def shown(body: Any) -> bool:
    """Change the body in place; whether there was anything to change."""
    found = [_find(body, path) for path in (_GONE, _SHELLS, _BOXES)]
    gone, shells, boxes = found
    for node in gone:
        node.getparent().remove(node)
    for node in shells:
        control = node.getparent()
        shell = control if control.tag.endswith("}sdt") else node
        parent = shell.getparent()
        if parent is None:
            continue
        at = parent.index(shell)
        parent[at : at + 1] = list(node)
    for box in boxes:
        _move_out(box)
    return any(found)


def _move_out(box: Any) -> None:
    anchor = next((a for a in box.iterancestors() if a.tag.endswith("}p")), None)
    if anchor is None or anchor.getparent() is None:
        return
    for paragraph in reversed(list(box)):
        anchor.addnext(paragraph)


def _find(body: Any, path: str) -> list[Any]:
    from lxml import etree  # type: ignore[import-untyped]

    return list(etree.ElementBase.xpath(body, path, namespaces=_NAMES))
