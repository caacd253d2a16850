"""The sample company's corpus: deterministic, traceable, and different only where it says so."""

from __future__ import annotations

import csv
import email
import hashlib
import json
import os
import re
import subprocess
import sys
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.apps.fjordvarm import CorpusSummary, CorpusTextsMissing, build_corpus
from agentops_ref.apps.fjordvarm.texts import read_yaml

ROOT = Path(__file__).resolve().parents[1]
SCANNED = {"certificate", "plate"}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> CorpusSummary:
    return build_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def truths(built: CorpusSummary) -> dict[int, dict[str, Any]]:
    return {
        version: json.loads((built.out / f"truth/v{version}.json").read_text(encoding="utf-8"))
        for version in built.versions
    }


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def printed(path: Path) -> str:
    """Everything that a document prints, without white space."""
    if path.suffix == ".pdf":
        import pypdfium2

        pages = pypdfium2.PdfDocument(path)
        # pdfium marks a hyphen at a line's end with U+FFFE.
        text = " ".join(page.get_textpage().get_text_range() for page in pages)
        return squeezed(text.replace("\ufffe", "-"))
    if path.suffix == ".docx":
        import docx

        document = docx.Document(str(path))
        cells = [cell.text for grid in document.tables for row in grid.rows for cell in row.cells]
        return squeezed(" ".join([p.text for p in document.paragraphs] + cells))
    if path.suffix == ".pptx":
        import pptx

        texts = []
        for slide in pptx.Presentation(str(path)).slides:
            texts += [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        return squeezed(" ".join(texts))
    if path.suffix == ".xlsx":
        import openpyxl

        book = openpyxl.load_workbook(path)
        return squeezed(
            " ".join(str(c) for sheet in book for row in sheet.values for c in row if c is not None)
        )
    if path.suffix == ".eml":
        message = email.message_from_bytes(path.read_bytes(), policy=default)
        body = message.get_body(("plain",))
        assert body is not None
        return squeezed(body.get_content())
    text = path.read_text(encoding="utf-8")
    return squeezed(unescape(re.sub(r"<[^>]+>", " ", text)) if path.suffix == ".html" else text)


def test_two_processes_write_the_same_bytes(built: CorpusSummary, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from agentops_ref.apps.fjordvarm import "
        "build_corpus; build_corpus(Path(sys.argv[1]), versions=(1,))"
    )
    there = tmp_path / "elsewhere"
    environment = os.environ | {
        "PYTHONHASHSEED": "4242",
        "TZ": "Pacific/Auckland",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-c", code, there], cwd=tmp_path, env=environment, check=True)
    assert digests(there / "v1") == digests(built.out / "v1")
    assert digests(there / "truth")["v1.json"] == digests(built.out / "truth")["v1.json"]
    times = [
        {p: p.stat().st_mtime for p in sorted((out / "v1").rglob("*.*"))}
        for out in (there, built.out)
    ]
    assert list(times[0].values()) == list(times[1].values())


def test_an_up_to_date_folder_is_left_alone(built: CorpusSummary) -> None:
    again = build_corpus(built.out)
    assert not again.built
    assert again.documents == built.documents


def test_an_interrupted_build_leaves_no_stamp(
    built: CorpusSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus(tmp_path, versions=(1,), progress=stop)
    assert not (tmp_path / "corpus.json").exists()
    assert not (tmp_path / "v1").exists()


def test_missing_texts_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusTextsMissing, match="checkout"):
        build_corpus(tmp_path / "out", texts=tmp_path)


def test_counts(built: CorpusSummary) -> None:
    kinds = built.kinds[1]
    assert built.documents[1] >= 150
    least = {
        "manual": 20,
        "user-guide": 16,
        "checklist": 16,
        "bulletin": 35,
        "policy": 5,
        "certificate": 12,
        "plate": 12,
        "email": 20,
        "slides": 6,
        "price-list": 4,
        "note": 15,
        "text": 4,
    }
    assert {kind: kinds[kind] >= number for kind, number in least.items()} == dict.fromkeys(
        least, True
    )


@pytest.mark.parametrize("version", [2, 3])
def test_versions_differ_exactly_as_the_change_list_says(
    built: CorpusSummary, version: int
) -> None:
    old = digests(built.out / f"v{version - 1}/docs")
    new = digests(built.out / f"v{version}/docs")
    happened = {f"docs/{name}": "add" for name in new.keys() - old.keys()}
    happened |= {f"docs/{name}": "remove" for name in old.keys() - new.keys()}
    happened |= {f"docs/{n}": "amend" for n in old.keys() & new.keys() if old[n] != new[n]}
    listed = read_yaml(ROOT / "corpus/changes.yaml")["versions"][str(version)]["changes"]
    assert happened == {change["path"]: change["op"].replace("restore", "add") for change in listed}


def test_a_restored_document_comes_back_as_it_was(built: CorpusSummary) -> None:
    name = "docs/bulletins/SB-2023-018.docx"
    assert (built.out / "v1" / name).read_bytes() == (built.out / "v3" / name).read_bytes()


def test_each_fact_is_printed_in_its_document(
    built: CorpusSummary, truths: dict[int, dict[str, Any]]
) -> None:
    texts: dict[str, str] = {}
    missing = []
    for version, told in truths.items():
        kinds = {document["path"]: document["kind"] for document in told["documents"]}
        for fact in told["facts"]:
            if kinds[fact["document"]] in SCANNED:
                assert fact["value"] in fact["text"]
                continue
            path = built.out / f"v{version}" / fact["document"]
            key = hashlib.sha256(path.read_bytes()).hexdigest()
            if key not in texts:
                texts[key] = printed(path)
            cells = [fact["value"], *fact["text"].split(" | ")]
            if not all(squeezed(cell) in texts[key] for cell in cells):
                missing.append(fact["id"])
    assert missing == []


def test_pages_and_tables_are_found_by_a_pdf_reader(
    built: CorpusSummary, truths: dict[int, dict[str, Any]]
) -> None:
    import pdfplumber

    name = "docs/manuals/nl-8-installation-manual.pdf"
    facts = [fact for fact in truths[1]["facts"] if fact["document"] == name]
    with pdfplumber.open(built.out / "v1" / name) as document:
        rows = {
            number: [
                squeezed("|".join(cell or "" for cell in row))
                for table in page.extract_tables()
                for row in table
            ]
            for number, page in enumerate(document.pages, 1)
        }
    assert 4 <= len(rows) <= 8
    table_facts = [fact for fact in facts if " | " in fact["text"]]
    assert len(table_facts) > 60
    assert [f["id"] for f in table_facts if squeezed(f["text"]) not in rows[f["page"]]] == []


def test_ids_are_unique_and_paths_exist(
    built: CorpusSummary, truths: dict[int, dict[str, Any]]
) -> None:
    for version, told in truths.items():
        ids = [fact["id"] for fact in told["facts"]]
        assert len(ids) == len(set(ids))
        folder = built.out / f"v{version}"
        listed = {document["path"] for document in told["documents"]}
        assert listed == {f"docs/{name}" for name in digests(folder / "docs")}
        assert {fact["replaced_by"] for fact in told["facts"]} - {None} <= set(ids)


def test_superseded_bulletins_stand_and_are_marked(truths: dict[int, dict[str, Any]]) -> None:
    for told in truths.values():
        bulletins = {Path(d["path"]).stem: d for d in told["documents"] if d["kind"] == "bulletin"}
        older = {number for d in bulletins.values() for number in d["supersedes"]}
        assert older
        assert older <= bulletins.keys()
        marked = {number for number, d in bulletins.items() if d["status"] == "superseded"}
        assert marked == older


def current(told: dict[str, Any], subject: str, field: str) -> set[str]:
    return {
        fact["value"]
        for fact in told["facts"]
        if (fact["subject"], fact["field"], fact["replaced_by"]) == (subject, field, None)
    }


def test_the_valid_charge_follows_bulletins_and_withdrawals(
    truths: dict[int, dict[str, Any]],
) -> None:
    charge = "refrigerant_charge_base"
    assert [current(truths[v], "NL-8", charge) for v in (1, 2, 3)] == [{"1.70"}, {"1.78"}, {"1.80"}]
    assert [current(truths[v], "NL-12", charge) for v in (1, 2)] == [{"2.80"}, {"2.30"}]
    withdrawn = {fact["value"] for item in truths[2]["withdrawn"] for fact in item["facts"]}
    assert {"2.80", "85"} <= withdrawn
    assert current(truths[2], "BR-50", "torque_flare_gas") == {"55"}


def test_one_code_means_different_things(truths: dict[int, dict[str, Any]]) -> None:
    meanings = {
        model: current(truths[1], model, "fault_e41_meaning")
        for model in ("NL-8", "NL-8 G2", "BR-35", "DY-10")
    }
    assert len({next(iter(values)) for values in meanings.values()}) == 4


def test_fact_subjects_of_papers_agree_with_the_tables(
    built: CorpusSummary, truths: dict[int, dict[str, Any]]
) -> None:
    units = {row["serial_number"]: row for row in table(built, 1, "installations")}
    for fact in truths[1]["facts"]:
        if fact["field"] == "serial_number":
            assert fact["value"] in units
        if fact["field"] == "model":
            assert units[fact["subject"]]["model"] == fact["value"]


def table(built: CorpusSummary, version: int, name: str) -> list[dict[str, str]]:
    path = built.out / f"v{version}/tables/{name}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_foreign_keys_hold(built: CorpusSummary, version: int) -> None:
    names = (
        "customers",
        "technicians",
        "installations",
        "warranties",
        "work_orders",
        "parts_stock",
        "invoices",
        "sensor_readings",
    )
    rows = {name: table(built, version, name) for name in names}
    keys = {name: {next(iter(row.values())) for row in rows[name]} for name in names}
    assert {name: len(keys[name]) for name in names} == {name: len(rows[name]) for name in names}
    owner = {row["serial_number"]: row["tenant"] for row in rows["installations"]}
    for row in rows["installations"]:
        assert row["customer_id"] in keys["customers"]
    for name in ("warranties", "work_orders", "sensor_readings"):
        for row in rows[name]:
            assert owner[row["serial_number"]] == row["tenant"]
    for row in rows["work_orders"]:
        assert row["technician_id"] in keys["technicians"]
        assert not row["closed"] or row["closed"] >= row["opened"]
    for row in rows["invoices"]:
        assert row["work_order_id"] in keys["work_orders"]
        assert row["customer_id"] in keys["customers"]


def test_tables_change_in_every_way(built: CorpusSummary) -> None:
    for name in ("work_orders", "sensor_readings", "customers", "invoices"):
        old = {next(iter(row.values())): row for row in table(built, 1, name)}
        new = {next(iter(row.values())): row for row in table(built, 2, name)}
        assert new.keys() - old.keys()
        assert old.keys() - new.keys() or name == "invoices"
    orders = [{row["work_order_id"]: row for row in table(built, v, "work_orders")} for v in (1, 2)]
    assert any(orders[0][key] != orders[1][key] for key in orders[0].keys() & orders[1].keys())


def test_no_path_of_this_machine_in_any_output(built: CorpusSummary) -> None:
    homes = {str(ROOT).encode(), str(Path.home()).encode() + b"/", str(built.out).encode()}
    for path in built.out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [home for home in homes if home in content], path.name
