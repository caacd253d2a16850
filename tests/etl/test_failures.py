"""One bad document in a folder: what the report says of it, and that no other one suffers."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.etl import FolderSource, MemorySink, sync
from agentops_ref.etl.stages import Stages, default_stages
from agentops_ref.records import SyncReport
from agentops_ref.settings import ChunkConfig
from tests.etl.fakes import AT_ONCE, FakeEmbeddings, write
from tests.etl.test_hostile import Sizes, workbook

SECRET = "the password of the machine"
SECONDS = 20


def docx(*paragraphs: str) -> bytes:
    import docx as library

    document = library.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def pptx(text: str) -> bytes:
    import pptx as library

    deck = library.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = text
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def pdf(text: str, **more: Any) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, **more)
    canvas.drawString(50, 700, text)
    canvas.save()
    return buffer.getvalue()


def encrypted_pdf() -> bytes:
    from reportlab.lib.pdfencrypt import StandardEncryption

    return pdf("secret text", encrypt=StandardEncryption("user", "owner", canPrint=0))


def repacked(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """An archive with its parts changed."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


def bomb(data: bytes, part: str) -> bytes:
    """An office file of which one part unpacks to 300 million bytes."""
    return repacked(data, lambda name, old: old + b" " * 300_000_000 if name == part else old)


def many_parts(data: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        for n in range(20_001):
            archive.writestr(f"x/{n}", b"")
    return buffer.getvalue()


def with_entities(data: bytes, part: str, declared: str, used: str, instead_of: str) -> bytes:
    """An office file whose XML declares entities and uses one in place of a text."""

    def change(name: str, old: bytes) -> bytes:
        if name != part:
            return old
        text = old.decode("utf-8")
        declaration, _, rest = text.partition("?>")
        assert instead_of in rest
        return f"{declaration}?><!DOCTYPE r [{declared}]>{rest.replace(instead_of, used)}".encode()

    return repacked(data, change)


PARTS = {
    "docx": ("word/document.xml", lambda: docx("MARK")),
    "pptx": ("ppt/slides/slide1.xml", lambda: pptx("MARK")),
    "xlsx": ("xl/sharedStrings.xml", lambda: workbook({"A1": "MARK", "B1": "b", "A2": "c"})),
}
LAUGHS = '<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(
        tmp_path / "docs",
        {
            "a.md": "# Torque\n\nTighten the flare nut to 18 Nm.",
            "z.txt": "The outdoor unit is defrosted every hour.",
        },
    )


def stages() -> Stages:
    embeddings: Any = FakeEmbeddings()
    return default_stages(
        ocr=Sizes(),
        ocr_recipe="none",
        embeddings=embeddings,
        embedding_recipe="fake",
        chunk=ChunkConfig(target_chars=600, max_chars=900),
        cache=None,
    )


def run(docs: Path, sink: MemorySink, **options: Any) -> SyncReport:
    started = time.perf_counter()
    report = sync(FolderSource(docs, **options), sink, stages(), AT_ONCE)
    assert time.perf_counter() - started < SECONDS
    return report


def texts(sink: MemorySink) -> str:
    return "\n".join(chunk.text for _, chunk, _ in sink.stored())


HTML = b"""<html><head><title>Page</title><script>stolen()</script></head>
<body onload="steal()"><p>Visible text</p><script src="x">hidden()</script>
<a href="javascript:alert(1)">link</a><img src=x onerror="attack()"></body></html>"""

BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    # what: (name, content, words of the reason)
    "truncated PDF": ("m.pdf", lambda: pdf("text " * 50)[:300], "m.pdf: "),
    "encrypted PDF": ("m.pdf", encrypted_pdf, "encrypted: save it without a password"),
    "malformed PDF": ("m.pdf", lambda: b"%PDF-1.7\n1 0 obj << /Type", "m.pdf: "),
    "truncated DOCX": ("m.docx", lambda: docx("text")[:2000], "not a readable docx file"),
    "encrypted office file": (
        "m.docx",
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        "not a readable docx file",
    ),
    "DOCX bomb": ("m.docx", lambda: bomb(docx("x"), "word/document.xml"), "ZIP bomb"),
    "PPTX bomb": ("m.pptx", lambda: bomb(pptx("x"), "ppt/presentation.xml"), "ZIP bomb"),
    "XLSX bomb": ("m.xlsx", lambda: bomb(workbook({"A1": "x"}), "xl/workbook.xml"), "ZIP bomb"),
    "too many parts": ("m.docx", lambda: many_parts(docx("x")), "parts; 20,000 are allowed"),
    "zero bytes": ("m.pdf", lambda: b"", "the file is empty (0 bytes)"),
    "wrong ending": ("m.docx", lambda: pdf("text"), "not a readable docx file"),
    "unknown ending": ("m.exe", lambda: b"MZ", "no parser for '.exe' files"),
    "no ending": ("Makefile", lambda: b"all:", "no parser for '' files"),
    "binary as text": ("m.txt", lambda: b"\x00\x01\x02" * 99, "binary content"),
    "scripts only": ("m.html", lambda: b"<html><script>x()</script></html>", "no text found"),
    "nested 100,000 deep": (
        "m.html",
        lambda: b"<html><body>" + b"<div>" * 100_000 + b"</body></html>",
        "m.html: ",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_document_is_quarantined_and_the_others_are_served(docs: Path, what: str) -> None:
    name, content, reason = BAD[what]
    (docs / name).write_bytes(content())
    sink = MemorySink()
    report = run(docs, sink)
    assert report.created == ("a.md", "z.txt")
    ((document, why),) = report.quarantined
    assert document == name
    assert reason in why
    assert "\n" not in why
    (docs / name).unlink()
    report = run(docs, sink)
    assert (report.deleted, report.quarantined, report.unchanged) == ((name,), (), 2)


def test_a_huge_file_is_not_read(docs: Path) -> None:
    with (docs / "huge.txt").open("wb") as file:
        file.truncate(50_000_000_000)  # sparse: it takes no space
    report = run(docs, MemorySink())
    assert report.created == ("a.md", "z.txt")
    ((document, why),) = report.quarantined
    assert document == "huge.txt"
    assert "50,000,000,000 bytes, past the limit of 100,000,000" in why


@pytest.mark.parametrize("kind", PARTS)
def test_entities_that_read_a_file_give_nothing_away(docs: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    part, make = PARTS[kind]
    declared = f'<!ENTITY leak SYSTEM "{secret.as_uri()}">'
    (docs / f"m.{kind}").write_bytes(with_entities(make(), part, declared, "&leak;", "MARK"))
    sink = MemorySink()
    report = run(docs, sink)
    assert {"a.md", "z.txt"} <= set(report.created)
    assert SECRET not in texts(sink)
    assert f"m.{kind}" in [*report.created, *(name for name, _ in report.quarantined)]


@pytest.mark.parametrize("kind", PARTS)
def test_entities_that_grow_to_gigabytes_do_not(docs: Path, kind: str) -> None:
    part, make = PARTS[kind]
    (docs / f"m.{kind}").write_bytes(with_entities(make(), part, LAUGHS, "&a9;", "MARK"))
    sink = MemorySink()
    report = run(docs, sink)
    assert {"a.md", "z.txt"} <= set(report.created)
    assert len(texts(sink)) < 10_000
    assert f"m.{kind}" in [*report.created, *(name for name, _ in report.quarantined)]


def test_a_page_gives_what_a_reader_sees(docs: Path) -> None:
    (docs / "m.html").write_bytes(HTML)
    sink = MemorySink()
    assert run(docs, sink).created == ("a.md", "m.html", "z.txt")
    found = texts(sink)
    assert "Visible text" in found
    for unseen in ("stolen", "steal", "hidden", "javascript", "attack"):
        assert unseen not in found


def test_text_in_another_encoding_is_read(docs: Path) -> None:
    (docs / "m.txt").write_bytes("Kältemittel 1,85 kg, 50 °C".encode("cp1252"))
    sink = MemorySink()
    assert run(docs, sink).quarantined == ()
    assert "Kältemittel 1,85 kg, 50 °C" in texts(sink)


def test_a_name_that_is_not_utf8_is_quarantined_alone(docs: Path) -> None:
    for raw in (b"f\xff.txt", b"d\xfe/inner.txt"):
        path = Path(os.fsdecode(os.fsencode(docs) + b"/" + raw))
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_text("x")
        except OSError:
            return  # this file system takes UTF-8 only
    sink = MemorySink()
    report = run(docs, sink)
    assert report.created == ("a.md", "z.txt")
    assert [name for name, _ in report.quarantined] == ["d\\xfe/inner.txt", "f\\xff.txt"]
    assert all("not UTF-8: rename it" in why for _, why in report.quarantined)
    assert run(docs, sink).refused == ""


def test_links_that_go_in_circles_or_out_are_not_followed(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(SECRET)
    (docs / "circle").symlink_to(docs)
    (docs / "self.txt").symlink_to(docs / "self.txt")
    (docs / "out.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "above").symlink_to(tmp_path)
    sink = MemorySink()
    report = run(docs, sink)
    assert (report.created, report.refused) == (("a.md", "z.txt"), "")
    assert SECRET not in texts(sink)


def test_a_name_may_not_replace_or_leave_the_root_on_the_way(docs: Path, tmp_path: Path) -> None:
    """A folder becomes a link out of the root between the listing and the read."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "m.txt").write_text(SECRET)
    write(docs, {"sub/m.txt": "inside"})

    class Swapped(FolderSource):
        def read(self, document: str) -> bytes:
            if document == "sub/m.txt":
                (docs / "sub/m.txt").unlink()
                (docs / "sub").rmdir()
                (docs / "sub").symlink_to(tmp_path / "elsewhere")
            return super().read(document)

    sink = MemorySink()
    report = sync(Swapped(docs), sink, stages(), AT_ONCE)
    assert report.created == ("a.md", "z.txt")
    assert "leads out of" in report.quarantined[0][1]
    assert SECRET not in texts(sink)
