"""``agentops ingest parse`` and ``show`` on a user's own files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agentops_ref.apps.cli import cli
from agentops_ref.errors import AgentOpsError, DocumentError, NotRecorded
from tests.etl.test_parse import pdf, scanned_pdf

CELLS = [(55, 315, "Part"), (155, 315, "Nm"), (55, 335, "Flare nut"), (155, 335, "18")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    words = "The flare nut is tightened with two spanners and checked for leaks afterwards."
    lines = [(50.0, 100.0, "Helvetica", 10.0, words)]
    lines += [(float(x), float(y), "Helvetica", 9.0, text) for x, y, text in CELLS]
    (tmp_path / "nut.pdf").write_bytes(pdf(lines, rule=True))
    (tmp_path / "scan.PDF").write_bytes(scanned_pdf())
    (tmp_path / "a.md").write_text("# Torque\n\nUse [brackets], not [red]colour[/].\n")
    return tmp_path


def agentops(*arguments: str, mode: str = "replay") -> Result:
    return CliRunner().invoke(cli, ["ingest", *arguments, "--set", f"models.mode={mode}"])


def test_parse_gives_elements_with_their_places(folder: Path) -> None:
    text, table = json.loads(agentops("parse", "nut.pdf", "--json").output)
    assert list(text) == ["kind", "text", "page", "confidence", "box"]
    assert (text["kind"], text["page"], text["confidence"]) == ("text", 1, None)
    assert text["box"][:2] == pytest.approx([50 / 595, 92 / 842], abs=0.01)
    assert (table["kind"], table["text"]) == ("table", "Part | Nm\nFlare nut | 18")
    assert table["box"] == pytest.approx([50 / 595, 300 / 842, 250 / 595, 340 / 842], abs=0.002)
    (title, sentence) = json.loads(agentops("parse", "a.md", "--json").output)
    assert title == {
        "kind": "title",
        "text": "Torque",
        "page": None,
        "confidence": None,
        "box": None,
    }
    assert sentence["text"] == "Use [brackets], not [red]colour[/]."


def test_the_listing_fits_80_columns_and_shows_everything(folder: Path) -> None:
    found = agentops("parse", "nut.pdf").output
    assert max(map(len, found.splitlines())) <= 80
    flat = " ".join(found.split())
    assert "with two spanners and checked for leaks afterwards." in flat
    assert "Part Nm Flare nut 18" in flat
    assert "not [red]colour[/]." in agentops("parse", "a.md").output


def test_a_scan_is_read_by_the_configured_ocr(folder: Path) -> None:
    (item,) = json.loads(agentops("parse", "scan.PDF", "--json", mode="scripted").output)
    assert (item["text"], item["confidence"]) == ("scripted line", 1.0)
    assert item["box"] == pytest.approx([0, 0, 400 / 600, 16 / 800], abs=1e-3)


def test_a_scan_that_is_not_recorded_says_so_where_ocr_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    ended = agentops("parse", "scan.PDF", "--json")
    assert isinstance(ended.exception, NotRecorded)
    assert "never recorded reading this image" in str(ended.exception)
    assert agentops("parse", "nut.pdf").exit_code == 0  # a text layer needs no OCR


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("notes.doc", b"x", r"notes\.doc: no parser for '\.doc' files; did you mean '\.docx'"),
        ("empty.pdf", b"", r"empty\.pdf: the file is empty \(0 bytes\)"),
        ("bad.pdf", b"%PDF-1.7 nothing", r"bad\.pdf: "),
    ],
)
def test_a_bad_file_is_named(folder: Path, name: str, data: bytes, message: str) -> None:
    (folder / name).write_bytes(data)
    ended = agentops("parse", name)
    assert isinstance(ended.exception, DocumentError)
    with pytest.raises(AgentOpsError, match=message):
        raise ended.exception
    assert agentops("parse", "no-such-file.pdf").exit_code == 2


def test_show_draws_the_page(folder: Path) -> None:
    arguments = ("show", "nut.pdf", "--quote", "Flare nut | 18", "--out", "marked.png")
    assert agentops(*arguments).output == "marked.png: page 1, 1 line marked\n"
    assert (folder / "marked.png").read_bytes().startswith(b"\x89PNG")
    (box,) = json.loads(agentops(*arguments, "--json").output)["boxes"]
    assert box[0] == pytest.approx(55 / 595, abs=0.002)
    ended = agentops("show", "nut.pdf", "--quote", "19 Nm")
    assert "nut.pdf: page 1 does not hold '19 Nm'" in str(ended.exception)
    assert not (folder / "page.png").exists()
    ended = agentops(*arguments[:-1], "missing/marked.png")
    assert str(ended.exception).startswith("cannot write missing/marked.png: No such file")
