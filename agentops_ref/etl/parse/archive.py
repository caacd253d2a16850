"""Office files are ZIP archives and PDFs hold packed streams; a few kilobytes can be gigabytes."""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from agentops_ref.errors import DocumentError

MAX_UNPACKED = 500_000_000
"""Bytes of all parts together, unpacked."""
MAX_PARTS = 20_000
MAX_RATIO = 100
"""Unpacked to packed bytes of one part past which it is taken for a bomb; Apache POI's default."""
HARMLESS = 10_000_000
"""Bytes of an unpacked part below which its ratio does not matter."""
MAX_STREAM = 200_000_000
"""Bytes of one stream of a PDF, unpacked; a page in colour at 600 dots an inch has 100 million."""
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_NESTED = 5
"""Filters on top of one another that are followed."""


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


def check_streams(name: str, data: bytes) -> None:
    """Raise a `DocumentError` if unpacking a stream of a PDF would fill the memory.

    No more than the limit is ever unpacked here. A stream that is not deflated, or is encrypted,
    does not unpack at all and is left to the parser.
    """
    for found in _STREAM.finditer(data):
        packed = found[1]
        for _ in range(_NESTED):
            try:
                packed = zlib.decompressobj().decompress(packed, MAX_STREAM + 1)
            except zlib.error:
                break
            if len(packed) > MAX_STREAM:
                raise DocumentError(
                    f"{name}: a stream of {len(found[1]):,} bytes unpacks to more than "
                    f"{MAX_STREAM:,} (a decompression bomb?)"
                )
