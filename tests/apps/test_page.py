"""What cells put on a page: a value for the prose, a figure with its words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

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


def test_a_value_is_said_as_a_plain_number(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, value, display: said.update({name: value}))
    page.say("share", np.float64(0.5))
    page.say("word", "text")
    assert said == {"share": 0.5, "word": "text"}
    assert type(said["share"]) is float
