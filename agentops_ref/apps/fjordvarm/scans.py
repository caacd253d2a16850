"""Image-only documents: scanned certificates (PDF) and photos of rating plates (PNG).

Only integer arithmetic touches the pixels, and the streams are packed here instead of by zlib,
so that the bytes do not depend on the processor or on the compression library.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.apps.fjordvarm.model import Block, Draft, Paragraph, Rendered, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE_PX = (1240, 1754)  # A4 at 150 dots per inch
PLATE_PX = (1000, 640)


def _font(size: int, *, bold: bool = False) -> Any:
    import reportlab
    from PIL import ImageFont

    fonts = Path(reportlab.__file__).parent / "fonts"
    return ImageFont.truetype(str(fonts / ("VeraBd.ttf" if bold else "Vera.ttf")), size)


def _wrap(text: str, font: Any, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) > width and line:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]


def _draw_rows(
    art: Any, blocks: tuple[Block, ...], *, left: int, right: int, top: int, step: int, size: int
) -> int:
    """Draw tables and paragraphs from ``top`` downwards; returns where the next row would be."""
    label, value = _font(size), _font(size, bold=True)
    middle = left + (right - left) * 9 // 20
    for block in blocks:
        if isinstance(block, Table):
            for row in block.rows:
                art.line((left, top + step - 6, right, top + step - 6), fill=150, width=1)
                art.text((left, top), row[0], font=label, fill=40)
                art.text((middle, top), " ".join(row[1:]), font=value, fill=25)
                top += step
            top += step // 2
        elif isinstance(block, Paragraph):
            for line in _wrap(block.text, label, right - left):
                art.text((left, top), line, font=label, fill=45)
                top += step * 4 // 5
            top += step // 2
    return top


def _noise_seed(draft: Draft) -> int:
    return zlib.crc32(draft.path.encode())


def _skewed(pixels: NDArray[Any], slope: int) -> NDArray[Any]:
    """Shift each row by ``row // slope`` pixels, as a sheet lies a little askew."""
    import numpy as np

    rows = [np.roll(row, index // slope) for index, row in enumerate(pixels)]
    return np.stack(rows)


def _page(draft: Draft) -> NDArray[Any]:
    import numpy as np
    from PIL import Image, ImageDraw

    meta = dict(draft.meta)
    image = Image.new("L", PAGE_PX, 240)
    art = ImageDraw.Draw(image)
    art.rectangle((70, 70, 1170, 1684), outline=110, width=2)
    art.text((110, 110), meta["issuer"], font=_font(30, bold=True), fill=30)
    art.text((110, 190), draft.title, font=_font(36, bold=True), fill=20)
    bottom = _draw_rows(art, draft.blocks, left=110, right=1130, top=290, step=56, size=27)
    art.text((110, bottom + 30), "Signature:", font=_font(26), fill=45)
    draw = np.random.Generator(np.random.PCG64(_noise_seed(draft)))
    heights = draw.integers(-26, 26, 14)
    stroke = [(300 + 22 * index, bottom + 44 + int(h)) for index, h in enumerate(heights)]
    art.line(stroke, fill=60, width=3)
    art.ellipse((860, bottom - 10, 1080, bottom + 210), outline=120, width=4)
    art.text((905, bottom + 84), "INSPECTED", font=_font(22, bold=True), fill=120)
    pixels = _skewed(np.asarray(image), slope=260 + int(draw.integers(0, 120)))
    pixels = pixels.copy()
    specks = 2500
    ys, xs = draw.integers(0, PAGE_PX[1], specks), draw.integers(0, PAGE_PX[0], specks)
    pixels[ys, xs] = draw.integers(120, 232, specks)
    return pixels


def _run_length(data: bytes) -> bytes:
    """PDF's RunLengthDecode (PackBits): runs of three or more, literals otherwise."""
    import numpy as np

    array = np.frombuffer(data, dtype=np.uint8)
    edges = np.flatnonzero(np.diff(array)) + 1
    starts = [0, *edges.tolist(), len(data)]
    out, literal = bytearray(), bytearray()

    def flush() -> None:
        for at in range(0, len(literal), 128):
            part = literal[at : at + 128]
            out.append(len(part) - 1)
            out.extend(part)
        literal.clear()

    for start, end in pairwise(starts):
        length = end - start
        if length < 3:
            literal.extend(data[start:end])
            continue
        flush()
        while length:
            part_length = min(length, 128)
            if part_length == 1:
                literal.append(data[start])
            else:
                out.extend((257 - part_length, data[start]))
            length -= part_length
    flush()
    out.append(128)
    return bytes(out)


def render_scan(draft: Draft) -> Rendered:
    """A one-page PDF that holds nothing but the image of a page."""
    width, height = PAGE_PX
    stream = _run_length(_page(draft).tobytes())
    place = b"q 595 0 0 842 0 0 cm /Im0 Do Q"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
        b"/Resources << /XObject << /Im0 5 0 R >> >> /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(place), place),
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray "
        b"/BitsPerComponent 8 /Filter /RunLengthDecode /Length %d >>\nstream\n%s\nendstream"
        % (width, height, len(stream), stream),
    )
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    out += b"startxref\n%d\n%%%%EOF\n" % table
    return Rendered(bytes(out), (1,) * len(draft.marks))


def _plate(draft: Draft) -> NDArray[Any]:
    import numpy as np
    from PIL import Image, ImageDraw

    width, height = PLATE_PX
    draw = np.random.Generator(np.random.PCG64(_noise_seed(draft)))
    metal = 196 + draw.integers(-8, 9, (height, 1)) + draw.integers(-3, 4, (height, width))
    # A reflection runs across the plate, brighter towards one corner.
    metal += (np.arange(width)[None, :] + np.arange(height)[:, None]) // 60
    image = Image.fromarray(metal.clip(0, 255).astype(np.uint8))
    art = ImageDraw.Draw(image)
    art.rounded_rectangle((24, 24, width - 24, height - 24), 20, outline=50, width=4)
    for x, y in ((50, 50), (width - 50, 50), (50, height - 50), (width - 50, height - 50)):
        art.ellipse((x - 11, y - 11, x + 11, y + 11), fill=110, outline=40)
    art.text((90, 44), "FJORDVARM", font=_font(40, bold=True), fill=20)
    art.text((width - 340, 54), dict(draft.meta)["made"], font=_font(24), fill=35)
    _draw_rows(art, draft.blocks, left=90, right=width - 90, top=118, step=42, size=25)
    pixels = np.asarray(image)
    return _skewed(_skewed(pixels, 90).T, 140).T


def _stored_zlib(data: bytes) -> bytes:
    """A zlib stream of stored blocks: valid everywhere and the same everywhere."""
    out = bytearray(b"\x78\x01")
    size = 65535
    for at in range(0, len(data), size):
        part = data[at : at + size]
        last = at + size >= len(data)
        out += struct.pack("<BHH", int(last), len(part), len(part) ^ 0xFFFF) + part
    return bytes(out) + struct.pack(">I", zlib.adler32(data))


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def render_plate(draft: Draft) -> Rendered:
    """A PNG in sixteen greys without metadata."""
    import numpy as np

    width, height = PLATE_PX
    nibbles = (_plate(draft) >> 4).astype(np.uint8)
    packed = (nibbles[:, 0::2] << 4) | nibbles[:, 1::2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", _stored_zlib(rows.tobytes())),
            _chunk(b"IEND", b""),
        )
    )
    return Rendered(content, (1,) * len(draft.marks))
