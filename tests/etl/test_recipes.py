"""A new embedding model costs embeddings: nothing is read, parsed or sent to OCR for it.

Counted at the parser and at the OCR engine themselves, over documents of every format, one that is
quarantined, one whose new version is, and one that is missing and still served.
"""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pytest

from agentops_ref.etl import FolderSource, MemorySink, parse, sync
from agentops_ref.etl.stages import default_stages
from agentops_ref.records import Element, SyncReport
from agentops_ref.settings import ChunkConfig, DeletionConfig
from agentops_ref.testing import HashEmbeddings, ScriptedOcr
from tests.etl.fakes import write
from tests.etl.test_failures import docx, encrypted_pdf, pdf, pptx
from tests.etl.test_hostile import workbook

PATIENT = DeletionConfig(listings=9, max_share=0.5)


class Counted(FolderSource):
    reads = 0

    def read(self, document: str) -> bytes:
        self.reads += 1
        return super().read(document)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    import cv2

    root = write(
        tmp_path / "docs",
        {
            "a.txt": "The flare nut takes 18 Nm.",
            "b.md": "# Charge\n\nUse 1.70 kg.",
            "c.html": "<h1>Returns</h1><p>Within 30 days.</p>",
            "d.csv": "code,meaning\nE41,Fan locked\n",
            "gone.txt": "Withdrawn soon.",
            "later.txt": "Good at first.",
        },
    )
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Bulletin", "office@example.org"
    mail.set_content("Bulletin 7 replaces bulletin 3.")
    blank = cv2.imencode(".png", np.full((60, 200, 3), 255, np.uint8))[1].tobytes()
    binary = {
        "e.eml": mail.as_bytes(),
        "f.docx": docx("Check the coil."),
        "g.pptx": pptx("Slide one"),
        "h.xlsx": workbook({"A1": "Part", "B1": "Price", "A2": "Coil", "B2": 12}),
        "i.pdf": pdf("Born digital"),
        "j.png": blank,
        "locked.pdf": encrypted_pdf(),
    }
    for name, data in binary.items():
        (root / name).write_bytes(data)
    return root


def test_a_new_embedding_model_costs_no_read_no_parse_and_no_ocr(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    inner = parse.parse

    def counted(name: str, data: bytes, *, ocr: ScriptedOcr) -> tuple[Element, ...]:
        parsed.append(name)
        return tuple(inner(name, data, ocr=ocr))

    monkeypatch.setattr(parse, "parse", counted)
    source, sink, ocr = Counted(docs), MemorySink(), ScriptedOcr("E41 low pressure")

    def run(embeddings: HashEmbeddings) -> SyncReport:
        stages = default_stages(
            ocr=ocr,
            ocr_recipe=ocr.recipe,
            embeddings=embeddings,
            embedding_recipe=embeddings.recipe,
            chunk=ChunkConfig(target_chars=600, max_chars=900),
            cache=tmp_path / "cache",
        )
        return sync(source, sink, stages, PATIENT)

    first = run(HashEmbeddings(16))
    assert [name for name, _ in first.quarantined] == ["locked.pdf"]
    assert len(first.created) == 12
    (docs / "later.txt").rename(tmp_path / "aside")
    (docs / "later.txt").write_bytes(b"\x00" * 64)
    (docs / "gone.txt").unlink()
    second = run(HashEmbeddings(16))
    assert [name for name, _ in second.quarantined] == ["later.txt", "locked.pdf"]
    assert second.tombstoned == ("gone.txt",)
    assert (len(parsed), source.reads, ocr.images) == (14, 14, 1)

    new = HashEmbeddings(24)
    third = run(new)
    assert (len(parsed), source.reads, ocr.images) == (14, 14, 1), "as many as before"
    assert (third.work["read"], third.work["parse"]) == (0, 0)
    assert third.work["embed"] == new.embedded == sink.count() == 12
    assert {len(vector) for _, _, vector in sink.stored()} == {24}
    assert third.quarantined == second.quarantined
    assert third.tombstoned == second.tombstoned
    assert sorted(sink.ledger()) == sorted({*first.created, "locked.pdf"})
    assert [chunk.text for chunk in sink.chunks_of("later.txt")] == ["Good at first."]
