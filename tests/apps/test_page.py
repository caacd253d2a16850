"""What cells put on a page: a value for the prose, a figure with its words."""

from __future__ import annotations

import io
import os
import re
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from agentops_ref.apps import page


def test_a_figure_has_its_words_and_no_ground_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.publish_display_data", shown.append)
    figure = Figure()
    figure.subplots().plot([0, 1], [0, 1])
    page.picture(figure, 'A "line" < 2')
    (data,) = shown
    assert data["text/plain"] == 'A "line" < 2'
    drawn = data["text/html"]
    assert 'role="img" aria-label="A &quot;line&quot; &lt; 2"' in drawn
    assert "<pre>A &quot;line&quot; &lt; 2</pre>" in drawn
    assert "<?xml" not in drawn


def test_a_picture_is_a_band_of_its_page_and_has_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.publish_display_data", shown.append)
    drawn = io.BytesIO()
    Image.new("RGBA", (1000, 400), "red").save(drawn, "PNG")
    page.photo(drawn.getvalue(), "all <red>", width=500, rows=(0.25, 0.75))
    (data,) = shown
    assert data["text/plain"] == "all <red>"
    assert '<img alt="all &lt;red&gt;"' in data["text/html"]
    assert "<pre>all &lt;red&gt;</pre>" in data["text/html"]
    (coded,) = re.findall(r"base64,([^\"]+)", data["text/html"])
    with Image.open(io.BytesIO(b64decode(coded))) as image:
        assert (image.format, image.size) == ("JPEG", (500, 100))


def test_a_value_is_said_as_a_plain_number(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, value, display: said.update({name: value}))
    page.say("share", np.float64(0.5))
    page.say("word", "text")
    assert said == {"share": 0.5, "word": "text"}
    assert type(said["share"]) is float


def test_a_command_line_is_shown_with_what_it_prints_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert page.terminal("agentops config show", {"retrieval.k": 7}) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("$ agentops config show\n")
    assert re.search(r"retrieval\.k\s+7", shown)
    assert "exit code" not in shown
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert page.terminal("agentops config show", {}, most=2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"\(\d+ more lines\)", lines[3])
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) <= page.COLUMNS
    assert page.terminal("agentops eval gate nobody.jsonl", {}) == 2
    shown = capsys.readouterr().out
    assert "error: no recorded outputs" in shown
    assert shown.endswith("exit code 2\n")
    assert "AGENTOPS__RETRIEVAL__K" not in os.environ
