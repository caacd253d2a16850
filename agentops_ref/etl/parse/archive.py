"""Office files are ZIP archives; one of a few kilobytes can hold gigabytes."""

from __future__ import annotations

import io
import zipfile

from agentops_ref.errors import DocumentError

MAX_UNPACKED = 500_000_000
"""Bytes of all parts together, unpacked."""
MAX_PARTS = 20_000
MAX_RATIO = 100
"""Unpacked to packed bytes of one part past which it is taken for a bomb; Apache POI's default."""
HARMLESS = 10_000_000
"""Bytes of an unpacked part below which its ratio does not matter."""


def check_archive(name: str, data: bytes) -> None:
    """Raise a `DocumentError` if unpacking an office file would fill the memory.

    The sizes are those that the archive states. They can be lies, but nothing is unpacked beyond
    them: `zipfile` stops at the stated size and finds that the checksum is wrong.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
    if len(parts) > MAX_PARTS:
        raise DocumentError(
            f"{name}: an archive of {len(parts):,} parts; {MAX_PARTS:,} are allowed"
        )
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_UNPACKED:
        raise DocumentError(
            f"{name}: unpacks to {unpacked:,} bytes, past the limit of {MAX_UNPACKED:,}: split it"
        )
    for part in parts:
        if part.file_size > max(HARMLESS, MAX_RATIO * part.compress_size):
            raise DocumentError(
                f"{name}: its part {part.filename} unpacks to {part.file_size:,} bytes from "
                f"{part.compress_size:,}, which no office program writes (a ZIP bomb?)"
            )
