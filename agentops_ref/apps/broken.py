"""Files that an ingestion meets sooner or later, and cannot read, for chapter 4.

Made from nothing by the standard library, so that they can be put into any folder to see what a
pipeline does with them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

UNPACKED = 300_000_000
"""Bytes that the archive bomb unpacks to."""


def _truncated_pdf(whole: bytes) -> bytes:
    return whole[: len(whole) // 3]


def _bomb(_: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b" " * UNPACKED)
    return buffer.getvalue()


def _laughs(_: bytes) -> bytes:
    entities = '<!ENTITY a0 "ha">'
    entities += "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f"<!DOCTYPE r [{entities}]><Types>&a9;</Types>")
    return buffer.getvalue()


BROKEN: Mapping[str, Callable[[bytes], bytes]] = {
    "half-copied.pdf": _truncated_pdf,
    "empty.docx": lambda _: b"",
    "archive-bomb.docx": _bomb,
    "entity-bomb.xlsx": _laughs,
    "a-page-named.pdf": lambda _: b"<html><body>Please log in</body></html>",
    "program.md": lambda _: b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8,
}
"""Name → its content, made from that of a PDF that is whole."""


def write_broken(folder: Path | str, whole_pdf: bytes) -> tuple[str, ...]:
    """Write one file of each kind; return their names."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in BROKEN.items():
        (folder / name).write_bytes(make(whole_pdf))
    return tuple(BROKEN)
